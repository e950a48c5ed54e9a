use std::io::Write;

use super::*;
use crate::totals::{EventRejection as E, RecordRejection as R};

/// What a sink was given: the events' names, rejections and record outcomes.
#[derive(Default)]
struct Seen {
    names: Vec<String>,
    rejected: Vec<&'static str>,
    records: Vec<String>,
}

impl Sink for Seen {
    fn event(&mut self, event: &Event<'_>, _: json::Value<'_>, _: &[u8]) {
        self.names.push(event.name.unwrap_or("-").to_owned());
    }

    fn rejected(&mut self, reason: EventRejection, _: &[u8]) {
        self.rejected.push(reason.label());
    }

    fn record(&mut self, outcome: RecordOutcome, _: &[u8]) {
        self.records.push(match outcome {
            RecordOutcome::Decoded => "decoded".to_owned(),
            RecordOutcome::Control => "control".to_owned(),
            RecordOutcome::Rejected(reason) => reason.label().to_owned(),
        });
    }
}

const LIMITS: Limits = Limits { decompressed_bytes: 100_000, event_bytes: 10_000, depth: 32 };

fn decode(data: &[u8]) -> Seen {
    let mut seen = Seen::default();
    Decoder::new(LIMITS).decode(&Payload::Bytes(Bytes::copy_from_slice(data)), &mut seen);
    seen
}

/// Names of events and rejections, then what became of the record.
fn check(data: impl AsRef<[u8]>, found: &str, records: &str) {
    let seen = decode(data.as_ref());
    let all: Vec<&str> = seen.names.iter().map(String::as_str).chain(seen.rejected).collect();
    let shown = String::from_utf8_lossy(&data.as_ref()[..data.as_ref().len().min(300)]).into_owned();
    assert_eq!((all.join(" "), seen.records.join(" ")), (found.to_owned(), records.to_owned()), "{shown}");
}

fn event(name: &str) -> String {
    format!(r#"{{"eventVersion":"1.08","eventName":"{name}","eventTime":"2023-07-10T12:00:00Z"}}"#)
}

fn gzip(data: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(data.as_ref()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn envelopes() {
    let (a, b) = (event("A"), event("B"));
    check(&a, "A", "decoded");
    check(format!("\u{feff}  {a}\n"), "A", "decoded");
    check(format!("{a}\n{b}\n"), "A B", "decoded");
    check(format!("{a}{b}"), "A B", "decoded");
    check(format!("[{a},\n{b}]"), "A B", "decoded");
    check(format!(r#"{{"Records":[{a},{b}]}}"#), "A B", "decoded");
    check(r#"{"Records":[]}"#, "", "decoded");
    check(
        format!(r#"{{"version":"0","detail-type":"AWS API Call via CloudTrail","detail":{a}}}"#),
        "A",
        "decoded",
    );
    check(r#"{"detail-type":"EC2 Instance State-change Notification","detail":{}}"#, "", "unknown_envelope");
    check(r#"{"detail-type":"AWS API Call via CloudTrail","detail":7}"#, "not_object", "decoded");
}

#[test]
fn log_subscriptions() {
    let log = |messages: &[&str]| {
        let log_events: Vec<_> =
            messages.iter().map(|m| serde_json::json!({"id": "1", "message": m})).collect();
        gzip(
            serde_json::json!({"messageType": "DATA_MESSAGE", "owner": "1", "logEvents": log_events})
                .to_string(),
        )
    };
    check(log(&[&event("A"), &event("B")]), "A B", "decoded");
    check(log(&[&event("A"), "text", "7", &event("B")]), "A B not_json not_object", "decoded");
    check(r#"{"messageType":"CONTROL_MESSAGE","logEvents":[]}"#, "", "control");
    check(r#"{"messageType":"OTHER","logEvents":[]}"#, "", "unknown_envelope");
}

#[test]
fn compression() {
    let (a, b) = (event("A"), event("B"));
    check(gzip(&a), "A", "decoded");
    check(gzip(gzip(format!("[{a}]"))), "A", "decoded");
    check(zstd::encode_all(a.as_bytes(), 1).unwrap(), "A", "decoded");
    let noise: String = (0..400).map(|n| format!("{:x}", n * n * 2_654_435_761u64)).collect();
    let torn = gzip(format!(r#"{{"Records":[{a},{b},{{"eventName":"C","x":"{noise}"}}]}}"#));
    check(&torn[..torn.len() - 200], "A B", "bad_gzip");
    check(gzip(" ".repeat(100_001)), "", "too_large");
    check(gzip(""), "", "empty");
}

#[test]
fn broken_input_is_counted_once() {
    let (a, b) = (event("A"), event("B"));
    check("", "", "empty");
    check(" \n", "", "empty");
    check("time,name\n1,2\n", "", "unknown_envelope");
    check([0u8, 1, 2, 255], "", "bad_encoding");
    check(&a[..a.len() - 3], "not_json", "decoded");
    check(format!(r#"{{"Records":[{a},{b},{{"eventNa"#), "A B not_json", "decoded");
    check(format!(r#"{{"Records":[{a},{{"x":tru}},{b}]}}"#), "A not_json", "decoded");
    check(format!(r#"{{"Records":[{a},7,{b}]}}"#), "A B not_object", "decoded");
    check(format!("{a}\n{{\"eventName\":\n{b}\n"), "A B not_json", "decoded");
    check("7", "not_object", "unknown_envelope".replace("unknown_envelope", "decoded").as_str());
    check([b"{\"eventName\":\"\xff\"}\n", event("B").as_bytes()].concat(), "B not_json", "decoded");
}

#[test]
fn limits() {
    let (a, deep) = (event("A"), format!(r#"{{"x":{}{}}}"#, "[".repeat(40), "]".repeat(40)));
    check(&deep, "too_deep", "decoded");
    check(format!(r#"{{"Records":[{a},{deep},{a}]}}"#), "A A too_deep", "decoded");
    check("[".repeat(5000), "not_json", "decoded");
    let large = format!(r#"{{"eventName":"L","x":"{}"}}"#, "x".repeat(10_000));
    check(&large, "L", "decoded");
    check(format!("{a}\n{large}\n{a}"), "A A too_large", "decoded");
    check(format!("[{a},{large},{a}"), "A A too_large not_json", "decoded");
    check("x".repeat(100_001), "", "too_large");
}

#[test]
fn aggregates() {
    let aggregate =
        crate::generate::Envelope::Kpl.wrap(&[event("A").as_bytes(), event("B").as_bytes()]).concat();
    let seen = decode(&aggregate);
    assert_eq!((seen.names.join(" "), seen.rejected.len()), ("A B".to_owned(), 0));
    assert!(!seen.records.is_empty() && seen.records.iter().all(|record| record == "decoded"));
    let mut broken = aggregate;
    broken[10] ^= 1;
    check(broken, "", "bad_aggregate");
}

#[test]
fn a_piece_of_a_file_goes_on_after_a_restart_within_a_broken_document() {
    let span = |start: u32, end: u32| Span { start, end, document: 9 };
    let text = br#"{"eventName":"A"}{"x":tru}{"eventName":"B"}"#.to_vec();
    let piece = |spans: Vec<Span>| Payload::Units(Units { text: text.clone(), spans, broken: Vec::new() });
    let (mut decoder, mut seen) = (Decoder::new(LIMITS), Seen::default());
    decoder.decode(&piece(vec![span(0, 17), span(17, 26)]), &mut seen);
    assert_eq!(decoder.broken_document(), Some(9));
    let mut restarted = Decoder::new(LIMITS);
    restarted.set_broken_document(decoder.broken_document());
    restarted.decode(&piece(vec![span(26, 43)]), &mut seen);
    assert_eq!((seen.names.join(" "), seen.rejected.join(" ")), ("A".to_owned(), "not_json".to_owned()));
}

/// Every field of an event, and each with a value of the wrong type.
#[test]
fn fields() {
    let read = |text: &str| {
        struct Debugged(Vec<String>);
        impl Sink for Debugged {
            fn event(&mut self, event: &Event<'_>, _: json::Value<'_>, _: &[u8]) {
                // What is there and tells nothing differs from nothing in this alone.
                let event = Event { odd: crate::event::Odd::default(), ..*event };
                self.0.push(format!("{event:?}"));
            }
            fn rejected(&mut self, reason: EventRejection, _: &[u8]) {
                self.0.push(format!("{reason:?}"));
            }
            fn record(&mut self, _: RecordOutcome, _: &[u8]) {}
        }
        let mut seen = Debugged(Vec::new());
        Decoder::new(LIMITS).decode(&Payload::Bytes(Bytes::copy_from_slice(text.as_bytes())), &mut seen);
        seen.0.concat()
    };
    let whole = serde_json::json!({
        "eventID": "id", "eventTime": "t", "eventSource": "s", "eventName": "n", "awsRegion": "r",
        "sourceIPAddress": "ip", "userAgent": "ua", "errorCode": "e", "eventType": "et", "eventCategory": "ec",
        "recipientAccountId": "ra", "vpcEndpointId": "v", "resources": [{"type": "x"}, {"ARN": "arn:aws:s3:::b"}],
        "sessionCredentialFromConsole": "true", "addendum": {"originalEventID": "o"}, "insightDetails": {},
        "userIdentity": {"type": "T", "principalId": "p", "arn": "a", "accountId": "ai", "accessKeyId": "k",
            "userName": "u", "invokedBy": "i", "identityProvider": "ip", "onBehalfOf": {"userId": "b"},
            "sessionContext": {"sessionIssuer": {"arn": "ia", "type": "it"}}},
        "additionalEventData": {"SignatureVersion": "SigV2", "AuthenticationMethod": "QueryString"},
        "tlsDetails": {"tlsVersion": "TLSv1.1"}
    });
    insta::assert_snapshot!(read(&whole.to_string()));
    let missing = read("{}");
    for (key, value) in whole.as_object().unwrap() {
        for wrong in
            [serde_json::json!(7), serde_json::json!(null), serde_json::json!([[]]), serde_json::json!("")]
        {
            assert_eq!(read(&serde_json::json!({ key.as_str(): wrong }).to_string()), missing, "{key}");
        }
        for inner in value.as_object().into_iter().flatten().map(|(inner, _)| inner) {
            for wrong in [
                serde_json::json!(7),
                serde_json::json!("HIDDEN_DUE_TO_SECURITY_REASONS"),
                serde_json::json!(""),
            ] {
                let text = serde_json::json!({ key.as_str(): { inner.as_str(): wrong } }).to_string();
                let insight = missing.replace("has_insight: false", "has_insight: true");
                assert_eq!(
                    read(&text),
                    if key == "insightDetails" { insight } else { missing.clone() },
                    "{text}"
                );
            }
        }
    }
    let as_text = r#"{"additionalEventData":"{\"SignatureVersion\":\"4\"}"}"#;
    assert!(read(as_text).contains("Known(SigV4)"), "{}", read(as_text));
    assert!(read(r#"{"eventName":"a","eventName":"b"}"#).contains(r#"name: Some("b")"#));
    assert_eq!((E::COUNT, R::COUNT), (9, 7));
}

#[test]
fn half_an_emoji_costs_nothing() {
    let half = r#"{"eventName":"B\ud83d","userAgent":"x\udead"}"#;
    let (a, c) = (event("A"), event("C"));
    for text in [
        format!(r#"{{"Records":[{a},{half},{c}]}}"#),
        format!("[{a},{half},{c}]"),
        format!("{a}\n{half}\n{c}"),
    ] {
        check(&text, "A B\u{fffd} C", "decoded");
        check(gzip(&text), "A B\u{fffd} C", "decoded");
    }
    let message = serde_json::Value::from(half).to_string();
    let logged = format!(r#"{{"messageType":"DATA_MESSAGE","logEvents":[{{"message":{message}}}]}}"#);
    check(logged, "B\u{fffd}", "decoded");
}
