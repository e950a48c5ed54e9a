//! Any text in the place of what callers wrote in a line of an S3 access log: the event is sound JSON, one that every
//! reader reads alike, and says of the signature and of TLS what S3 wrote behind.
#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use trailmeter::decode::access_log::AccessLog;
use trailmeter::decode::json::{Found, JsonReader};

thread_local! {
    static READERS: RefCell<[JsonReader; 2]> = RefCell::new([JsonReader::parsing(24), JsonReader::new(24)]);
}

fn told(reader: &mut JsonReader, event: &[u8]) -> String {
    let mut told = String::new();
    let read = reader.read(event, |found| match found {
        Found::Event(event, _) => told += &format!("{event:?}\n"),
        _ => told += "no event\n",
    });
    format!("{read:?} {told}")
}

fn check(event: &[u8]) -> serde_json::Value {
    let value: serde_json::Value = serde_json::from_slice(event).expect("sound JSON");
    READERS.with_borrow_mut(|[parsing, knowing]| {
        let expected = told(parsing, event);
        for _ in 0..3 {
            assert_eq!(told(knowing, event), expected);
        }
    });
    value
}

fuzz_target!(|data: &[u8]| {
    let mut log = AccessLog::default();
    if let Some(event) = log.event(data) {
        check(event);
    }
    // A line has no line feeds, and what a caller sends has neither those nor other control characters.
    let Ok(text) = std::str::from_utf8(data) else { return };
    if text.contains(char::is_control) {
        return;
    }
    let (request, user_agent) = text.split_once('\u{a0}').unwrap_or((text, "-"));
    let line = format!(
        "owner logs [06/Feb/2019:00:00:38 +0000] 192.0.2.3 arn:aws:iam::990000000001:user/a ID REST.GET.OBJECT key \
         \"{request}\" 200 - 1 1 1 1 \"-\" \"{user_agent}\" - host= SigV2 cipher AuthHeader logs.s3 TLSv1.1 - -\n"
    );
    let Some(event) = log.event(line.trim_end().as_bytes()) else { return };
    let value = check(event);
    assert_eq!(value["additionalEventData"]["SignatureVersion"], "SigV2");
    assert_eq!(value["tlsDetails"]["tlsVersion"], "TLSv1.1");
});
