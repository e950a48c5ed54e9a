use proptest::prelude::*;
use trailmeter_rules::event::{Json, JsonKind};

use super::*;
use crate::generate::{Generator, Options};

/// All that a reader says of a text, as text.
fn told(reader: &mut JsonReader, text: &[u8]) -> String {
    let mut told = String::new();
    let read = reader.read(text, |found| {
        told += &match found {
            Found::Event(event, value) => format!("{event:?} {}\n", shown(value)),
            Found::Rejected(reason) => format!("{reason:?}\n"),
            Found::Control => "control\n".to_owned(),
            Found::UnknownEnvelope(rejection) => format!("{rejection:?}\n"),
        };
    });
    format!("{read:?} {told}")
}

/// A value with all that is in it, in its order, twice: as it is walked and as members are looked up.
fn shown(value: Value<'_>) -> String {
    match value.kind() {
        JsonKind::Array => {
            let mut elements = Vec::new();
            let never = value.any_element(&mut |element| {
                elements.push(shown(element));
                false
            });
            assert!(!never);
            format!("[{}]", elements.join(","))
        }
        JsonKind::Object => {
            let mut members = Vec::new();
            value.each_member(&mut |key, member| {
                let last = value.member(key).map(shown);
                members.push(format!("{key:?}:{} last {last:?}", shown(member)));
            });
            format!("{{{}}}", members.join(","))
        }
        kind => format!("{kind:?}"),
    }
}

/// Both readers say the same of these texts, also once they know them.
fn check<'t>(texts: impl IntoIterator<Item = &'t [u8]> + Clone) {
    let mut parsing = JsonReader::parsing(32);
    for kernel in Kernel::available() {
        let mut reader = JsonReader::with_kernel(32, kernel);
        for text in std::iter::repeat_n(texts.clone(), 3).flatten() {
            let expect = told(&mut parsing, text);
            assert_eq!(told(&mut reader, text), expect, "{kernel:?} {}", text.escape_ascii());
        }
    }
}

fn events(seed: u64, number: u64) -> Vec<Vec<u8>> {
    let options = Options { events: number, seed, ..Options::organisation() };
    Generator::new(options).map(|event| event.json).collect()
}

/// Whether a text is read by its layout once this one was learned.
fn is_known_after(learned: &str, text: &str) -> bool {
    let mut reader = JsonReader::new(32);
    for _ in 0..2 {
        reader.read(learned.as_bytes(), |_| ()).unwrap();
    }
    let mut known = Known::default();
    reader.locate(text.as_bytes(), &mut known) == Some(text.len())
}

const EVENT: &str = r#"{"eventVersion":"1.08","eventName":"GetObject","userIdentity":{"type":"IAMUser","arn":"a"},
    "readOnly":true,"tlsDetails":{"tlsVersion":"TLSv1"},"size":[1,2.5],"requestParameters":{"bucketName":"b"}}"#;

#[test]
fn a_layout_is_known_by_its_keys_and_marks() {
    let with = |from: &str, to: &str| EVENT.replace(from, to);
    assert!(is_known_after(EVENT, &with("GetObject", "PutObject and more")));
    assert!(is_known_after(&with("2.5", "true"), &with("2.5", "false")));
    assert!(is_known_after(&with("true", "null"), &with("true", "null")));
    assert!(is_known_after(EVENT, &with("2.5", "-17")));
    assert!(is_known_after(&with(",", " ,\n "), &with("GetObject", "P").replace(',', " ,\n ")));
    assert!(is_known_after(EVENT, &with("\"b\"", "\"\u{e9}\"")));
    // Other blanks.
    assert!(!is_known_after(EVENT, &with(",", " ,\n ")));
    // Another key where keys matter.
    assert!(!is_known_after(EVENT, &with("readOnly", "reqdOnly")));
    assert!(!is_known_after(EVENT, &with("bucketName", "bucketNama")));
    assert!(!is_known_after(EVENT, &with("tlsVersion\"", "tlsVersion2\"")));
    // Another form.
    assert!(!is_known_after(EVENT, &with("true", "null")));
    // What the event itself says to be true or not, and who it says called, differ by layout.
    assert!(!is_known_after(EVENT, &with("true", "false")));
    assert!(!is_known_after(EVENT, &with("IAMUser", "Root")));
    assert!(!is_known_after(EVENT, &with("true", "\"true\"")));
    assert!(!is_known_after(EVENT, &with("[1,", "[1,1,")));
    // What is escaped where nobody reads it.
    let escaped = |text: &str| with("\"size\":[1", &format!("\"size\":[1,\"{text}\""));
    let with_text = escaped("");
    assert!(is_known_after(&with_text, &escaped(r#"a\"b\\c\/\b\f\n\r\t"#)));
    assert!(is_known_after(&with_text, &escaped(r#"\\"#)));
    assert!(!is_known_after(&with_text, &escaped(r"\u0061")));
    assert!(!is_known_after(&with_text, &escaped(r"\x")));
    assert!(!is_known_after(EVENT, &with("GetObject", r"Get\nObject")));
    assert!(!is_known_after(EVENT, &with("readOnly", r"read\tnly")));
    // What only the parser can judge.
    assert!(!is_known_after(EVENT, &with("true", "True")));
    assert!(!is_known_after(EVENT, &with("2.5", "2.5e3")));
    assert!(!is_known_after(EVENT, &with("2.5", "02.5")));
    assert!(!is_known_after(EVENT, &with("2.5", "2.")));
    assert!(!is_known_after(EVENT, &with("2.5", "1234567890123456")));
}

#[test]
fn both_readers_say_the_same() {
    let with = |from: &str, to: &str| EVENT.replace(from, to).into_bytes();
    let texts = [
        EVENT.as_bytes().to_vec(),
        with("GetObject", ""),
        with("\"GetObject\"", "7"),
        with("readOnly", "eventName"),
        with("\"IAMUser\"", "{}"),
        with("\"arn\":\"a\"", "\"sessionContext\":{\"sessionIssuer\":{\"arn\":\"i\"}}"),
        with("}}", "},\"tlsDetails\":{}}"),
        with("}}", "},\"userIdentity\":{}}"),
        with(
            "}}",
            "},\"additionalEventData\":{\"SignatureVersion\":\"SigV2\",\"AuthenticationMethod\":\"QueryString\"}}",
        ),
        with("}}", "},\"additionalEventData\":\"{}\"}"),
        with("}}", r#"},"additionalEventData":"{\"SignatureVersion\":\"SigV2\"}"}"#),
        with("}}", "},\"resources\":[{\"arn\":\"arn:x\"},{},{\"ARN\":\"arn:y\",\"arn\":\"arn:z\"}]}"),
        with("}}", "},\"resources\":[{\"ARN\":\"x\",\"arn\":\"arn:z\"},7,{\"arn\":\"arn:w\"}]}"),
        with("}}", "},\"sessionCredentialFromConsole\":true}"),
        with("}}", "},\"sessionCredentialFromConsole\":\"true\"}"),
        with("[1,", r#"["a\"b\\",1,"#),
        with("[1,", r#"["a\x",1,"#),
        with("[1,", r#"["",1,"#),
        with("GetObject", r"Get\tObject"),
        with("true", "truth"),
        with(":true", ":"),
        with("]", "}"),
        with(",", ",,"),
        with("true", &"[".repeat(40)),
        with("true", &format!("{}1{}", "[".repeat(40), "]".repeat(40))),
        format!(r#"{{"detail-type":"AWS API Call via CloudTrail","detail":{EVENT}}}"#).into_bytes(),
        format!(r#"{{"detail-type":"EC2 State","detail":{EVENT}}}"#).into_bytes(),
        format!(r#"{{"Records":[{EVENT},{EVENT}]}}"#).into_bytes(),
        format!("[{EVENT}]").into_bytes(),
        b"{\"eventVersion\":\"1\"} x".to_vec(),
        b"{\"eventName\":\"\xff\"}".to_vec(),
        b"7".to_vec(),
        b"".to_vec(),
        b"{}".to_vec(),
        b"[]".to_vec(),
    ];
    check(texts.iter().map(Vec::as_slice));
}

#[test]
fn both_readers_say_the_same_of_generated_events() {
    let events = events(7, 300);
    check(events.iter().map(Vec::as_slice));
}

#[test]
fn layouts_are_bounded() {
    let mut reader = JsonReader::new(32);
    for key in 0..20_000 {
        let text = format!(r#"{{"eventVersion":"1","k{key}":"{key}"}}"#);
        for _ in 0..2 {
            reader.read(text.as_bytes(), |_| ()).unwrap();
        }
    }
    let layouts = reader.layouts.unwrap();
    // All have the same marks: only so many are kept, the others are parsed.
    assert!(layouts.len() <= 64, "{}", layouts.len());
    let mut reader = JsonReader::new(32);
    for members in 0..1500 {
        let text = format!(r#"{{"eventVersion":"1"{}}}"#, ",\"k\":1".repeat(members));
        for _ in 0..2 {
            reader.read(text.as_bytes(), |_| ()).unwrap();
        }
    }
    let layouts = reader.layouts.unwrap();
    // What they take makes them be learned anew, more than once.
    assert!((1..1000).contains(&layouts.len()), "{}", layouts.len());
    assert!(layouts.bytes() < 9 << 20, "{}", layouts.bytes());
}

#[test]
fn shapes_that_hold_no_event_are_bounded() {
    let mut reader = JsonReader::new(32);
    for shape in 0..(1 << 16) + 1000 {
        let bits = (0..17).map(|bit| if shape >> bit & 1 == 0 { "1" } else { "\"\"" });
        let text = format!("[{}]", bits.collect::<Vec<_>>().join(","));
        for _ in 0..2 {
            reader.read(text.as_bytes(), |_| ()).unwrap();
        }
    }
    let shapes = reader.layouts.unwrap().shapes();
    assert!((1..=1 << 16).contains(&shapes), "{shapes}");
}

#[test]
fn what_ends_with_a_blank_is_not_learned() {
    let blank = format!("{EVENT} ");
    assert!(!is_known_after(&blank, &blank));
    assert!(is_known_after(EVENT, EVENT));
}

#[test]
fn another_readers_layouts_are_not_taken_for_ones_own() {
    let [mut one, mut other] = [(); 2].map(|()| JsonReader::new(32));
    for _ in 0..2 {
        one.read(EVENT.as_bytes(), |_| ()).unwrap();
        other.read(EVENT.replace("eventName", "eventTime").as_bytes(), |_| ()).unwrap();
    }
    let mut known = Known::default();
    assert_eq!(one.locate(EVENT.as_bytes(), &mut known), Some(EVENT.len()));
    known.keep();
    let located = known.of(0, EVENT.as_bytes()).unwrap();
    let mut names = Vec::new();
    let read = other.read_located(&located, |found| {
        if let Found::Event(event, _) = found {
            names.push(event.name.map(str::to_owned));
        }
    });
    assert_eq!((read, names), (Ok(()), vec![Some("GetObject".to_owned())]));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn both_readers_say_the_same_of_edited_events(
        seed in 0u64..50,
        edits in proptest::collection::vec((any::<u16>(), "[{}\\[\\]:,\"\\\\a1 \n\u{1}\u{e9}trueARN.-]{0,3}", 0usize..3), 1..4)
    ) {
        let [event] = &events(seed, 1)[..] else { unreachable!() };
        let mut edited = event.clone();
        for (at, text, instead_of) in &edits {
            let at = usize::from(*at) % edited.len();
            let end = edited.len().min(at + instead_of);
            edited.splice(at..end, text.bytes());
        }
        check([&event[..], &edited[..]]);
    }
}
