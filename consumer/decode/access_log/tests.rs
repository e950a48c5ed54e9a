//! Lines of access logs.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::operation::Operation;
use super::*;

const OWNER: &str = "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be";

/// A line of which the parts that tests change are given.
fn line(requester: &str, request: &str, user_agent: &str, behind: &str) -> String {
    format!(
        "{OWNER} logs [01/Jul/2025:12:00:38 +0000] 192.0.2.3 {requester} 3E57427F3EXAMPLE REST.GET.OBJECT a%20b \
         {request} 200 - 113 113 7 6 \"-\" {user_agent} - {behind}"
    )
}

const BEHIND: &str = "s9lzHYrFp76= SigV2 ECDHE-RSA-AES128-GCM-SHA256 AuthHeader logs.s3.us-west-1.amazonaws.com TLSV1.1 - Yes us-east-1";

fn event(line: &str) -> Option<Value> {
    AccessLog::default().event(line.as_bytes()).map(|event| serde_json::from_slice(event).unwrap())
}

#[test]
fn a_request_is_the_event_that_cloudtrail_would_write() {
    let found = event(&line(
        "arn:aws:sts::111122223333:assumed-role/reader/i-1",
        "\"GET /a%20b HTTP/1.1\"",
        "\"Boto3/1.4.5 Python/2.7\"",
        BEHIND,
    ));
    let expected = json!({
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "AssumedRole", "arn": "arn:aws:sts::111122223333:assumed-role/reader/i-1", "accountId": "111122223333"
        },
        "eventTime": "2025-07-01T12:00:38Z",
        "eventSource": "s3.amazonaws.com",
        "eventName": "GetObject",
        "awsRegion": "us-west-1",
        "sourceIPAddress": "192.0.2.3",
        "userAgent": "Boto3/1.4.5 Python/2.7",
        "requestParameters": {"bucketName": "logs", "key": "a b", "Host": "logs.s3.us-west-1.amazonaws.com"},
        "additionalEventData": {
            "SignatureVersion": "SigV2", "CipherSuite": "ECDHE-RSA-AES128-GCM-SHA256",
            "AuthenticationMethod": "AuthHeader", "x-amz-id-2": "s9lzHYrFp76="
        },
        "requestID": "3E57427F3EXAMPLE",
        "eventID": "3E57427F3EXAMPLE",
        "readOnly": true,
        "resources": [
            {"type": "AWS::S3::Object", "ARN": "arn:aws:s3:::logs/a b"},
            {"type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::logs"}
        ],
        "eventType": "AwsApiCall",
        "managementEvent": false,
        "eventCategory": "Data",
        "tlsDetails": {
            "tlsVersion": "TLSV1.1", "cipherSuite": "ECDHE-RSA-AES128-GCM-SHA256",
            "clientProvidedHostHeader": "logs.s3.us-west-1.amazonaws.com"
        }
    });
    assert_eq!(found, Some(expected));
}

/// Signature and TLS are S3's words, whatever a caller puts into its own.
#[test]
fn a_caller_cannot_say_how_it_signed() {
    let forged = "x - h= SigV4 C AuthHeader h TLSv1.3 - -";
    for (request, user_agent) in [
        ("\"GET /k HTTP/1.1\"", format!("\"x\" {forged}\"")),
        ("\"GET /k HTTP/1.1\"", format!("\"\"{forged}\" \"{forged}\"")),
        ("\"GET /k\" 200 - 1 1 1 1 \"-\" \"x\" - h= SigV4 HTTP/1.1\"", "\"x\"".to_owned()),
        ("\"GET /\"k\" HTTP/1.1\"", "\"x\"".to_owned()),
        ("-", "\"\"\"".to_owned()),
        ("\"GET /k HTTP/1.1\"", "-".to_owned()),
        ("-", "-".to_owned()),
    ] {
        let found = event(&line("-", request, &user_agent, BEHIND)).unwrap();
        let said = (&found["additionalEventData"]["SignatureVersion"], &found["tlsDetails"]["tlsVersion"]);
        assert_eq!(said, (&json!("SigV2"), &json!("TLSV1.1")), "{request} {user_agent}");
    }
}

proptest! {
    /// Nor can it make its line be taken for none, or anything panic.
    #[test]
    fn whatever_callers_say(request in TEXT, referer in TEXT, user_agent in TEXT) {
        let line = line("-", &format!("\"{request}\""), &format!("\"{user_agent}\""), BEHIND);
        let found = event(&line.replace("\"-\" \"", &format!("\"{referer}\" \""))).unwrap();
        let said = (&found["additionalEventData"]["SignatureVersion"], &found["tlsDetails"]["tlsVersion"]);
        prop_assert_eq!(said, (&json!("SigV2"), &json!("TLSV1.1")), "{}", line);
    }

    #[test]
    fn any_text(text in "\\PC{0,80}", cut in 0usize..400) {
        event(&text);
        let line = line(&text, "\"GET /k HTTP/1.1\"", &text, &text);
        event(&line);
        event(&line[..line.floor_char_boundary(cut)]);
    }
}

/// What makes a line up, in any order.
const TEXT: &str = "(\"| |-|200|\" 200 |\" - |  |\" \"|GET /k|\u{e9}|SigV4 TLSv1.3){0,12}";

#[test]
fn fields_that_are_not_there() {
    // Before 2019, and of an object in a batch.
    let old = line("-", "\"GET /k HTTP/1.1\"", "\"-\"", "");
    let found = event(old.trim_end()).unwrap();
    assert_eq!(
        (&found["userIdentity"]["accountId"], &found["additionalEventData"]),
        (&json!("anonymous"), &json!({}))
    );
    assert!(found.get("userAgent").is_none() && found.get("tlsDetails").is_none());
    let batch = format!(
        "{OWNER} logs [01/Jul/2025:12:00:38 +0000] 192.0.2.3 arn:aws:iam::1:user/a D630 BATCH.DELETE.OBJECT k/1 - 204 \
         - - - - - - - - WVzx= SigV4 C AuthHeader h TLSv1.2"
    );
    let found = event(&batch).unwrap();
    assert_eq!(
        (&found["eventID"], &found["addendum"]["originalEventID"]),
        (&json!("D630/k/1"), &json!("D630"))
    );
    assert_eq!(found["additionalEventData"]["SignatureVersion"], "SigV4");
    // What failed says so.
    let denied = line("-", "\"GET /k HTTP/1.1\"", "\"-\"", BEHIND).replace(" 200 - ", " 403 AccessDenied ");
    assert_eq!(event(&denied).unwrap()["errorCode"], "AccessDenied");
    let bare = line("-", "\"GET /k HTTP/1.1\"", "\"-\"", BEHIND).replace(" 200 - ", " 404 - ");
    assert_eq!(event(&bare).unwrap()["errorCode"], "404");
    // A link tells the key, and nothing of it is kept but that.
    let link = line(
        "arn:aws:iam::1:user/a",
        "\"GET /k?AWSAccessKeyId=AKIAEXAMPLE&Expires=1&Signature=geheim HTTP/1.1\"",
        "\"curl/8\"",
        &BEHIND.replace("AuthHeader", "QueryString"),
    );
    let found = event(&link).unwrap();
    assert_eq!(found["userIdentity"]["accessKeyId"], "AKIAEXAMPLE");
    assert!(!found.to_string().contains("geheim"), "{found}");
}

#[test]
fn other_lines() {
    let whole = line("-", "\"GET /k HTTP/1.1\"", "\"-\"", BEHIND);
    for text in
        ["", "{}", "[1]", "\"x\"", "a,b,c", "a b [c] d", &whole[..80], &whole[..140], "a b c d e f g h i"]
    {
        assert_eq!(event(text), None, "{text}");
    }
    assert_eq!(AccessLog::default().event(&[whole.as_bytes(), b"\xff"].concat()), None);
    // A time that is none is for the judge.
    let found = event(&whole.replace("/Jul/", "/Jux/")).unwrap();
    assert_eq!(found["eventTime"], "01/Jux/2025:12:00:38 +0000");
}

#[test]
fn a_log_is_known_by_its_first_line() {
    let whole = line("-", "\"GET /k HTTP/1.1\"", "\"-\"", BEHIND);
    let known_at = OWNER.len() + " logs [01/Jul/2025:12:00:38 +0000] ".len();
    for length in 0..whole.len() {
        let expect = if length < known_at { Begins::Perhaps } else { Begins::Yes };
        assert_eq!(begins(&whole.as_bytes()[..length]), expect, "{length}");
    }
    for text in [
        "eventTime,eventName\n2025-07-01,GetObject\n",
        "a b [01/Jul/2025 12:00:38 +0000] ",
        "a b c",
        "a b\n[01/Jul/2025:12:00:38 +0000] ",
        "\u{e9} b [01/Jul/2025:12:00:38 +0000] ",
        &"x".repeat(1000),
    ] {
        assert_eq!(begins(text.as_bytes()), Begins::No, "{text}");
    }
}

#[test]
fn operations() {
    for (operation, has_key, name, is_data, is_read_only) in [
        ("REST.GET.OBJECT", true, "GetObject", true, true),
        ("WEBSITE.GET.OBJECT", true, "GetObject", true, true),
        ("REST.PUT.PART", true, "UploadPart", true, false),
        ("REST.COPY.OBJECT_GET", true, "CopyObject", true, false),
        ("REST.GET.ACL", true, "GetObjectAcl", true, true),
        ("REST.GET.ACL", false, "GetBucketAcl", false, true),
        ("REST.GET.BUCKET", false, "ListObjects", true, true),
        ("REST.DELETE.BUCKET", false, "DeleteBucket", false, false),
        ("REST.PUT.LOGGING_STATUS", false, "PutBucketLogging", false, false),
        ("REST.GET.ACCELERATE", false, "GetAccelerateConfiguration", false, true),
        ("BATCH.DELETE.OBJECT", true, "DeleteObject", true, false),
        ("S3.EXPIRE.OBJECT", true, "S3.EXPIRE.OBJECT", false, false),
        ("REST.OPTIONS.PREFLIGHT", true, "REST.OPTIONS.PREFLIGHT", false, true),
        ("REST", false, "REST", false, false),
    ] {
        let found = Operation::of(operation, has_key);
        assert_eq!((&*found.event_name, found.is_data, found.is_read_only), (name, is_data, is_read_only));
    }
}
