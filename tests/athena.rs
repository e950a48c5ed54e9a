//! `trailmeter scan --engine athena` held against the local engine: its SQL, translated by sqlglot, is run by DuckDB over the
//! same files, behind a server that speaks Athena and S3 (moto).
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use common::alertmanager::Place;
use common::athena::Athena;
use common::{PATIENCE, PYTHON, corpus, repository, trailmeter};
use serde_json::{Value, json};

const GROUPINGS: [&str; 8] = [
    "account_id,principal,signature_version,tls_version",
    "event_source,event_name,error_code",
    "client,client_version,likely_sigv2",
    "user_agent,event_name,aws_region",
    "presigned,key_kind,identity_type",
    "bucket,vpc_endpoint_id,aws_region",
    "key_id,session,source_ip",
    "principal",
];

/// Generated delivery files, with duplicates, corrections, copies and events that are no calls among them.
fn generated(place: &Place, more: &[&str]) -> std::path::PathBuf {
    let folder = place.path("events");
    let arguments = ["generate", "--events", "6000", "--seed", "11", "--preset", "organisation", "--output"];
    let shares = [
        "--corrections",
        "0.01",
        "--shared-copies",
        "0.01",
        "--insights",
        "0.01",
        "--network-activity",
        "0.01",
    ];
    let output = trailmeter(&[&arguments[..], &[folder.to_str().unwrap()], &shares, more].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    folder
}

fn with_generated(place: &Place) -> Athena {
    let athena = Athena::start();
    athena.deliver_all(&generated(place, &[]));
    athena
}

#[test]
fn groupings_and_time_ranges_of_generated_events() {
    let place = Place::new();
    let athena = with_generated(&place);
    for grouping in GROUPINGS {
        let found = athena.check(&["--group-by", grouping]);
        assert!(found["dropped"]["duplicate"].as_u64() > Some(0), "{}", found["dropped"]);
        assert!(found["dropped"]["correction"].as_u64() > Some(0), "{}", found["dropped"]);
        assert!(found["not_calls"]["network_activity"].as_u64() > Some(0), "{}", found["not_calls"]);
    }
    // An answer has 1,000 rows at most: this one comes in several.
    let rows =
        athena.check(&["--group-by", "user_agent,event_name,session"])["rows"].as_array().unwrap().len();
    assert!(rows > 2000, "{rows}");
    for range in [
        &["--since", "2025-07-01T12:00:00Z"][..],
        &["--until", "2025-07-01T12:00:00Z"],
        &["--since", "2025-07-01T09:30:00Z", "--until", "2025-07-01T09:40:00Z", "--top", "3"],
        &["--since", "2025-07-01", "--until", "2025-07-02"],
    ] {
        let found = athena.check(range);
        assert!(!found["rows"].as_array().unwrap().is_empty(), "{range:?}");
    }
    let ours = "organization: {accounts: ['990000000001', '990000000002', '990000000003']}\n";
    let config = place.write("trailmeter.yaml", format!("{ours}sources: [{{files: {{paths: [x]}}}}]\n"));
    let found = athena.check(&["--config", &config]);
    assert!(found["dropped"]["shared_copy"].as_u64() > Some(0), "{}", found["dropped"]);
}

#[test]
fn reports_are_the_same_in_every_form() {
    let place = Place::new();
    let athena = with_generated(&place);
    for arguments in [
        &["--format", "csv"][..],
        &["--format", "ndjson", "--group-by", "client,principal"],
        &["--format", "table", "--group-by", "event_source", "--top", "5"],
        &["--format", "table", "--top", "200"],
        &["--format", "html"],
        &["--format", "html", "--since", "2025-07-01T12:00:00Z", "--where", "ct.weakness exists"],
    ] {
        let unseen = "What Athena does not read as events was not seen.";
        let locally = athena.printed_locally(arguments);
        let locally = locally.replace(athena.folder().to_str().unwrap(), "s3://trail");
        let locally = locally
            .replace("105 files were read. Each to its end.", unseen)
            .replace(" rejected.\n", &format!(" rejected. {unseen}\n"));
        let found = athena.printed(arguments);
        assert!(found.len() > 200, "{arguments:?}: {found}");
        assert_eq!(without_minute(&found), without_minute(&locally), "{arguments:?}");
    }
    // Weak callers are told with what they called with, from where …
    let table = athena.printed(&[]);
    assert!(table.contains("Boto3/") && table.contains("What to do:"), "{table}");
    let output = athena.run(&["--yes", "--fail-on", "weak", "--format", "csv"]);
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A page says when it was made.
fn without_minute(text: &str) -> String {
    let today = trailmeter::event::time::format(
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs().cast_signed(),
    );
    text.lines().filter(|line| !line.contains(&today[..10])).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_corpus() {
    let Some(corpus) = corpus("invictus/CloudTrail") else { return };
    let athena = Athena::start();
    for entry in std::fs::read_dir(corpus).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        // 218007301253_CloudTrail_us-east-1_20230710T1220Z_….json
        let parts: Vec<&str> = name.split('_').collect();
        let [account, kind, region, time] = parts[..4] else { panic!("{name}") };
        let day = format!("{}/{}/{}", &time[..4], &time[4..6], &time[6..8]);
        athena.deliver(
            &format!("AWSLogs/{account}/{kind}/{region}/{day}/{name}"),
            &std::fs::read(&path).unwrap(),
        );
    }
    for grouping in GROUPINGS {
        let found = athena.check(&["--group-by", grouping]);
        assert!(found["calls"].as_u64() > Some(1000), "{}", found["calls"]);
    }
    athena.check(&["--since", "2023-07-10T12:00:00Z", "--until", "2023-07-10T12:20:00Z"]);
    for condition in CONDITIONS {
        athena.check(&["--where", condition, "--group-by", "event_name"]);
    }
}

/// Conditions that SQL can say.
const CONDITIONS: [&str; 50] = [
    "ct.signature.version = SigV2",
    "not ct.error exists",
    "ct.error exists",
    "ct.error != AccessDenied",
    "not ct.error = AccessDenied",
    "ct.error = \"\"",
    "ct.name in (GetObject, PutObject, ConsoleLogin)",
    "ct.name != allof (GetObject, PutObject)",
    "ct.name startswith anyof (Get, List)",
    "ct.name contains allof (Get, Object)",
    "ct.name contains oneof (Get, Object)",
    "ct.name glob Get*",
    "ct.name glob ?et*ect",
    "ct.name endswith Object",
    "ct.name < M and ct.name >= G",
    "tolower(ct.name) startswith get",
    "toupper(ct.name) = GETOBJECT",
    "ct.useragent icontains BOTO",
    "ct.useragent contains Boto3",
    "ct.useragent contains \"\" and ct.error exists",
    "ct.useragent glob \"*100%_\\\\*\"",
    "ct.srcip.net in (10.0.0.0/8, 203.0.113.0/26)",
    "not ct.srcip.net = 203.0.113.0/24",
    "ct.weakness intersects (sigv2, tls10)",
    "ct.weakness in (long_term_key)",
    "ct.weakness = tls11",
    "ct.weakness != sigv2",
    "not ct.weakness exists",
    "ct.principal startswith \"arn:aws:iam\" and ct.session exists",
    "ct.principal endswith \":root\" or ct.principal = anonymous",
    "ct.account = 990000000001 or ct.user.accountid = 990000000002",
    "ct.user exists and ct.user != AssumedRole",
    "ct.user.arn pmatch (\"arn:aws:sts::111122223333:assumed-role\", \"arn:aws:iam::111122223333:user/\")",
    "ct.bucket exists and not s3.bucket exists",
    "s3.uri startswith s3://",
    "ct.request.name exists",
    "json.value[/userIdentity/sessionContext/attributes/mfaAuthenticated] = true",
    "json.value[/requestParameters/bucketName] exists",
    "json.value[/requestParameters/maxItems] = 7",
    "json.value[/requestParameters/a/b] = true",
    "json.value[/requestParameters/tagging] contains plain",
    "json.value[/requestParameters/tagging] exists and json.value[/requestParameters/tagging] != plain",
    "json.value[/additionalEventData/MFAUsed] = Yes",
    "json.value[/responseElements/ConsoleLogin] in (Success, Failure)",
    "ct.readonly = true",
    "ct.shortsrc = s3 and ct.tls.version in (TLSv1, TLSv1.1, unknown)",
    "ct.accesskey.kind = long_term and ct.signature.presigned = true",
    "ct.accesskey.id startswith AKIA or ct.invokedby exists",
    "ct.region < us and (ct.vpcendpointid exists or ct.tlsdetails.tlsversion exists)",
    "ct.managementevent = true or ct.sessioncredentialfromconsole = true or ct.addendum.reason exists",
];

#[test]
fn conditions_of_generated_and_of_odd_events() {
    let place = Place::new();
    let athena = with_generated(&place);
    deliver_odd(&athena);
    for condition in CONDITIONS {
        let found = athena.check(&["--where", condition, "--group-by", "principal,event_name,tls_version"]);
        let calls = found["rows"].as_array().unwrap().iter().map(|row| row["calls"].as_u64().unwrap());
        let calls: u64 = calls.sum();
        assert!(calls > 0 && calls < found["calls"].as_u64().unwrap(), "{condition}: {calls}");
    }
}

#[test]
fn odd_events_are_judged_alike() {
    let athena = Athena::start();
    deliver_odd(&athena);
    for grouping in GROUPINGS {
        athena.check(&["--group-by", grouping]);
    }
    let found = athena.check(&["--group-by", "principal,signature_version,tls_version"]);
    for reason in ["no_time", "bad_time", "future_time", "no_source", "no_name"] {
        assert!(found["rejected"][reason].as_u64() > Some(0), "{reason}: {}", found["rejected"]);
    }
    for reason in ["insight", "aggregated", "network_activity"] {
        assert!(found["not_calls"][reason].as_u64() > Some(0), "{reason}: {}", found["not_calls"]);
    }
    for reason in ["service", "console", "other", "not_reported"] {
        assert!(
            found["coverage"]["tls"]["unknown"][reason].as_u64() > Some(0),
            "{reason}: {}",
            found["coverage"]
        );
    }
    assert!(found["coverage"]["likely_sigv2"].as_u64() > Some(0), "{}", found["coverage"]);
    let place = Place::new();
    let ours =
        "organization: {accounts: ['111122223333', '444455556666']}\nsources: [{files: {paths: [x]}}]\n";
    let config = place.write("trailmeter.yaml", ours);
    let found = athena.check(&["--config", &config]);
    assert_eq!(found["dropped"]["shared_copy"], 2);
    // Two callers are outside: a foreign account, and nobody in particular.
    let weak = |text: &str| text.split("Coverage:").next().unwrap().to_owned();
    let (found, locally) =
        (athena.printed(&["--config", &config]), athena.printed_locally(&["--config", &config]));
    assert_eq!(weak(&found), weak(&locally));
    assert_eq!(found.matches("(outside)").count(), 2, "{found}");
}

/// Broken events as the generator makes them, as far as Athena's reader gives them to a table.
#[test]
fn broken_events_are_rejected_alike() {
    let output = trailmeter(&[
        "generate",
        "--events",
        "3000",
        "--seed",
        "5",
        "--broken",
        "0.1",
        "--envelope",
        "ndjson",
    ]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let events = output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    // A name that is a number is a name there, see below.
    let events: Vec<Value> =
        events.filter(|event| event.is_object() && !event["eventName"].is_number()).collect();
    let athena = Athena::start();
    athena.deliver(ODD, json!({"Records": events}).to_string().as_bytes());
    let found = athena.check(&["--group-by", "principal,event_name,signature_version,tls_version"]);
    for reason in ["no_time", "bad_time", "no_source"] {
        assert!(found["rejected"][reason].as_u64() > Some(5), "{reason}: {}", found["rejected"]);
    }
}

/// What a table of texts can't tell, as docs/athena.md says.
#[test]
fn a_value_of_another_type_is_its_text() {
    let athena = Athena::start();
    athena.deliver(ODD, json!({"Records": [call(json!({"eventName": 17}))]}).to_string().as_bytes());
    let arguments = ["--format", "csv", "--group-by", "event_name"];
    let head = "event_name,calls,first_seen,last_seen\r\n";
    assert_eq!(athena.printed_locally(&arguments), head);
    let row = "17,1,2025-07-01T10:00:00Z,2025-07-01T10:00:00Z\r\n";
    assert_eq!(athena.printed(&arguments), format!("{head}{row}"));
}

const ODD: &str = "AWSLogs/111122223333/CloudTrail/us-east-1/2025/07/01/odd.json";

fn deliver_odd(athena: &Athena) {
    athena.deliver(ODD, json!({"Records": odd_events()}).to_string().as_bytes());
}

/// A call with changes: of objects each member, `null` takes one away.
fn call(changes: Value) -> Value {
    let mut event = json!({
        "eventVersion": "1.08",
        "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/u", "accountId": "111122223333",
            "accessKeyId": "AKIAEXAMPLE", "userName": "u"},
        "eventTime": "2025-07-01T10:00:00Z", "eventSource": "s3.amazonaws.com", "eventName": "GetObject",
        "awsRegion": "us-east-1", "sourceIPAddress": "203.0.113.7", "userAgent": "[Boto3/1.26.165 Python/3.10.6]",
        "requestParameters": {"bucketName": "b", "key": "k"}, "eventType": "AwsApiCall",
        "eventCategory": "Data", "recipientAccountId": "111122223333", "readOnly": true,
        "additionalEventData": {"SignatureVersion": "SigV4", "AuthenticationMethod": "AuthHeader"},
        "tlsDetails": {"tlsVersion": "TLSv1.2"},
    });
    for (key, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(event.as_object_mut().unwrap().remove(key)),
            value => event[key] = value.clone(),
        }
    }
    event
}

/// What a naive query gets wrong.
fn odd_events() -> Vec<Value> {
    let who = |identity: Value| call(json!({"userIdentity": identity}));
    let issuer = |arn: &str| json!({"sessionIssuer": {"arn": arn}});
    let signed = |version: Value, method: &str| {
        call(json!({"additionalEventData": {"SignatureVersion": version, "AuthenticationMethod": method}}))
    };
    let carried = |version: Value| call(json!({"tlsDetails": {"tlsVersion": version}}));
    let at = |time: &str| call(json!({"eventTime": time}));
    let assumed = "arn:aws-cn:sts::111122223333:assumed-role/r/i-0abc/x";
    let hidden = "HIDDEN_DUE_TO_SECURITY_REASONS";
    let mut events = vec![
        // Principals.
        who(json!({"type": "IAMUser", "userName": "only-a-name", "principalId": "AIDA"})),
        who(json!({"type": "IAMUser", "arn": "", "userName": hidden, "principalId": "AIDAX"})),
        who(
            json!({"type": "AssumedRole", "arn": assumed, "sessionContext": issuer("arn:aws-cn:iam::1:role/path/r")}),
        ),
        who(
            json!({"type": "AssumedRole", "arn": assumed, "accessKeyId": "ASIAX", "accountId": "111122223333"}),
        ),
        who(json!({"type": "AssumedRole", "arn": "arn:aws:sts::1:assumed-role/r"})),
        who(json!({"type": "AssumedRole", "arn": "arn:aws:sts:eu-west-1::assumed-role/r/s"})),
        who(json!({"type": "AssumedRole", "principalId": "AROA:s"})),
        who(json!({"type": "Root", "accountId": "111122223333", "arn": "arn:aws-us-gov:iam::1:root"})),
        call(
            json!({"userIdentity": {"type": "Root"}, "resources": [{"type": "x"}, {"ARN": "arn:aws-cn:s3:::rb/key"}]}),
        ),
        who(json!({"type": "FederatedUser", "arn": "arn:f", "sessionContext": issuer("arn:i")})),
        who(json!({"type": "FederatedUser", "arn": "arn:f", "sessionContext": {"sessionIssuer": {}}})),
        who(json!({"type": "AWSService", "invokedBy": "ec2.amazonaws.com"})),
        who(json!({"type": "AWSService", "principalId": "p"})),
        who(json!({"type": "AWSService", "arn": "arn:x", "invokedBy": "config.amazonaws.com"})),
        who(
            json!({"type": "IAMUser", "arn": "arn:aws:iam::1:user/by-service", "accessKeyId": "AKIAX", "invokedBy": "x"}),
        ),
        who(json!({"type": "AWSAccount", "principalId": "AROAX:s:t", "accountId": "444455556666"})),
        who(json!({"type": "AWSAccount", "principalId": ":s", "accountId": "777788889999"})),
        who(json!({"type": "AWSAccount", "accountId": "anonymous", "principalId": "x"})),
        who(json!({"type": "AWSAccount", "accountId": "ANONYMOUS_PRINCIPAL"})),
        who(
            json!({"type": "WebIdentityUser", "identityProvider": "p.example", "userName": "jo", "principalId": "x"}),
        ),
        who(json!({"type": "SAMLUser", "identityProvider": "p.example", "principalId": "x"})),
        who(json!({"type": "IdentityCenterUser", "onBehalfOf": {"userId": "9-8"}, "principalId": "x"})),
        who(json!({"type": "IdentityCenterUser", "onBehalfOf": {"userId": ""}, "principalId": "x"})),
        who(json!({"type": "Directory", "userName": "d", "principalId": "p"})),
        who(json!({"type": "New", "invokedBy": "i"})),
        who(json!({})),
        call(json!({"userIdentity": null, "recipientAccountId": null})),
        call(
            json!({"userIdentity": {"type": "AWSAccount", "accountId": "anonymous"}, "tlsDetails": {"tlsVersion": "TLSv1.1"}}),
        ),
        call(
            json!({"userIdentity": {"type": "AWSAccount", "principalId": "AIDAOUT", "accountId": "777788889999"},
            "recipientAccountId": "777788889999", "tlsDetails": {"tlsVersion": "TLSv1"}}),
        ),
        // Signatures.
        signed(json!("sigv2"), "AuthHeader"),
        signed(json!("2"), "QueryString"),
        signed(json!("4"), "AuthHeader"),
        signed(json!("SIGV4A"), "AuthHeader"),
        signed(json!("SigV3"), "AuthHeader"),
        signed(json!("SigV2\n"), "AuthHeader"),
        signed(json!("04"), "AuthHeader"),
        signed(json!(2), "queryString"),
        signed(json!(hidden), "AuthHeader"),
        call(
            json!({"additionalEventData": "{\"SignatureVersion\":\"SigV2\",\"AuthenticationMethod\":\"QueryString\"}"}),
        ),
        call(json!({"additionalEventData": "no JSON at all"})),
        call(json!({"additionalEventData": null, "userAgent": "[aws-sdk-java/1.11.200 Linux/3]"})),
        call(
            json!({"additionalEventData": {"MFAUsed": "Yes"}, "responseElements": {"ConsoleLogin": "Success"}}),
        ),
        // TLS.
        carried(json!("TLSV1.2")),
        carried(json!("tlsv1")),
        carried(json!("TLSv1.0")),
        carried(json!("TLSv1.1")),
        carried(json!("TLSv1.4")),
        carried(json!("TLSv1.2 ")),
        carried(json!("")),
        call(json!({"tlsDetails": null, "sessionCredentialFromConsole": "true"})),
        call(json!({"tlsDetails": null, "sessionCredentialFromConsole": true})),
        call(json!({"tlsDetails": null, "sessionCredentialFromConsole": "false"})),
        call(json!({"tlsDetails": null, "eventType": "AwsServiceEvent"})),
        call(
            json!({"tlsDetails": {"tlsVersion": "TLSv1"}, "additionalEventData": {"SignatureVersion": "SigV2",
            "AuthenticationMethod": "QueryString"}, "userAgent": "curl/8.0"}),
        ),
        // Times.
        at("2025-07-01T10:00:00.999Z"),
        at("2016-12-31T23:59:60Z"),
        at("2025-07-01T10:00:60Z"),
        at("2025-02-29T10:00:00Z"),
        at("2025-07-01T24:00:00Z"),
        at("2025-07-01T10:00:00+00:00"),
        at("2025-07-01t10:00:00Z"),
        at("2025-07-01T10:00:00Z\n"),
        at("2999-01-01T00:00:00Z"),
        call(json!({"eventTime": null})),
        call(json!({"eventTime": ""})),
        call(json!({"eventSource": null, "eventName": null})),
        call(json!({"eventName": hidden})),
        // What is no call, and what is.
        call(json!({"eventCategory": "Insight", "eventTime": null})),
        call(json!({"eventType": "AwsCloudTrailInsight"})),
        call(json!({"insightDetails": {"state": "Start"}})),
        call(json!({"insightDetails": "a text"})),
        call(json!({"eventCategory": "Aggregated", "eventTime": null})),
        call(json!({"eventType": "AwsAggregatedEvent"})),
        call(json!({"eventCategory": "NetworkActivity", "vpcEndpointId": "vpce-1"})),
        call(
            json!({"eventCategory": "NetworkActivity", "errorCode": "VpceAccessDenied", "vpcEndpointId": "vpce-1"}),
        ),
        call(json!({"addendum": {"reason": "UPDATED_DATA", "originalEventID": "x"}})),
        call(json!({"addendum": {"reason": "DELIVERY_DELAY"}})),
        call(json!({"userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::444455556666:user/v",
            "accountId": "444455556666"}})),
        // Details.
        call(
            json!({"requestParameters": {"name": "n"}, "resources": [{"ARN": "arn:aws:s3:::from-resource/k/l"}]}),
        ),
        call(json!({"requestParameters": {"name": 5, "bucketName": 7, "maxItems": 7, "a": {"b": true}}})),
        call(
            json!({"requestParameters": {"tagging": {"x": "plain", "n": null}, "key": ""}, "resources": []}),
        ),
        call(
            json!({"requestParameters": {"tagging": "plain"}, "resources": [{"ARN": hidden}, {"ARN": "arn:aws:s3:::"}]}),
        ),
        call(json!({"requestParameters": {"tagging": null, "bucketName": hidden}})),
        call(json!({"errorCode": "AccessDenied"})),
        call(json!({"errorCode": ""})),
        call(json!({"errorCode": hidden})),
        call(json!({"responseElements": {"errorCode": "Failed", "ConsoleLogin": "Failure"}})),
        call(json!({"responseElements": {"errorCode": 5}})),
        call(json!({"sourceIPAddress": "10.1.2.3", "userAgent": "a 100%_* b"})),
        call(json!({"sourceIPAddress": "10.1.2.300", "userAgent": "a 100x_y b 100%_*"})),
        call(json!({"sourceIPAddress": "010.1.2.3", "userAgent": "üser-ÄGENT/1 BOTO"})),
        call(json!({"sourceIPAddress": "999999999999999999.99.1.1", "userAgent": "x"})),
        call(json!({"sourceIPAddress": "ec2.amazonaws.com", "userAgent": "it's -- /* a 'quote' \" \\ */"})),
        call(json!({"sourceIPAddress": "2001:db8::1", "userAgent": ""})),
        call(json!({"readOnly": null, "eventName": "PutObject", "managementEvent": true})),
        call(json!({"readOnly": "false", "eventName": "ListBuckets", "managementEvent": false})),
        call(json!({"readOnly": null, "eventName": "DescribeX", "awsRegion": ""})),
        call(json!({"eventSource": ".amazonaws.com"})),
    ];
    for (number, event) in events.iter_mut().enumerate() {
        event["eventID"] = json!(format!("id-{number}"));
    }
    // Ids: twice, of rejected and of sound ones, and none.
    let again = |number: usize| events[number].clone();
    let repeated = [again(0), again(26), again(60)];
    events.extend(repeated);
    events.extend([call(json!({})), call(json!({})), call(json!({"eventID": ""}))]);
    let rejected = call(json!({"eventID": "once-rejected", "eventTime": null}));
    let long_ago = call(json!({"eventID": "once-rejected", "eventTime": "0"}));
    events.extend([rejected, long_ago, call(json!({"eventID": "once-rejected"}))]);
    events
}

#[test]
fn the_printed_sql_is_what_is_run() {
    let place = Place::new();
    let folder = generated(&place, &[]);
    let grouping = "principal,event_name,bucket";
    // Accounts are those of the config; which regions there are, it can't know.
    let accounts: Vec<String> = (0..24).map(|number| format!("'99{number:010}'")).collect();
    let config = format!(
        "organization: {{accounts: [{}]}}\nsources: [{{files: {{paths: [x]}}}}]\n",
        accounts.join(", ")
    );
    let config = place.write("trailmeter.yaml", config);
    let arguments = ["--config", &config, "--group-by", grouping, "--where", "ct.region != us-east-1"];
    let printing = ["scan", "--print-sql", "--create-table", "s3://trail/"];
    let output = trailmeter(&[&printing[..], &arguments].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let regions = "us-east-1,us-west-2,eu-west-1,eu-central-1,ap-southeast-2";
    let sql = String::from_utf8(output.stdout).unwrap().replace("REGION,…", regions);
    let rows: Value = serde_json::from_str(&counted_by_duckdb(&folder, &sql)).unwrap();
    let rows =
        rows.as_array().unwrap().iter().filter(|row| row["part"] == "rows" && row["is_asked"] == "true");
    let of = |row: &Value| {
        let names = grouping.split(',').chain(["first_seen", "last_seen"]);
        let calls = row["calls"].as_u64().or_else(|| row["calls"].as_str()?.parse().ok()).unwrap();
        (names.map(|name| row[name].as_str().unwrap().to_owned()).collect::<Vec<_>>(), calls)
    };
    let mut found: Vec<_> = rows.map(of).collect();
    found.sort();
    let locally =
        trailmeter(&[&["scan", folder.to_str().unwrap(), "--format", "json"], &arguments[..]].concat());
    let locally: Value = serde_json::from_slice(&locally.stdout).unwrap();
    let mut expected: Vec<_> = locally["rows"].as_array().unwrap().iter().map(of).collect();
    expected.sort();
    assert!(expected.len() > 500, "{}", expected.len());
    assert_eq!(found, expected);
}

fn counted_by_duckdb(folder: &Path, sql: &str) -> String {
    let mut command = Command::new("python3");
    command.arg(repository("tests/oracle/athena.py")).arg(folder).env("PYTHONPATH", repository(PYTHON));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(sql.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn printing_touches_no_network() {
    // Nothing says how to reach AWS, and the bucket is nobody's.
    let print = |arguments: &[&str]| {
        let output = trailmeter(&[&["scan", "--engine", "athena", "--print-sql"], arguments].concat());
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, sql) =
        print(&["s3://nobodys-bucket/x/AWSLogs/o-abc/111122223333/CloudTrail/us-east-1/2025/07"]);
    assert_eq!(code, Some(0));
    assert!(!sql.contains("CREATE"), "{sql}");
    for part in [
        "\"account\" IN ('111122223333') AND \"region\" IN ('us-east-1') AND \"day\" >= '2025/07/01' AND \"day\" <= '2025/07/31'",
        "FROM \"default\".\"trailmeter_cloudtrail\"",
    ] {
        assert!(sql.contains(part), "{part} is not in {sql}");
    }
    let (_, sql) = print(&["s3://nobodys-bucket/x", "--create-table", "--athena-table", "logs.trail"]);
    assert!(
        sql.contains("LOCATION 's3://nobodys-bucket/x/AWSLogs/'") && sql.contains("`logs`.`trail`"),
        "{sql}"
    );
}

#[test]
fn what_sql_can_not_say_is_refused_by_name() {
    let refused = |arguments: &[&str]| {
        let output = trailmeter(&[&["scan", "--engine", "athena", "s3://trail"], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    for (condition, fix) in [
        ("ct.client.name = Boto3", "ct.useragent"),
        ("ct.name regex \"Get.*\"", "glob"),
        ("ct.name iglob get*", "tolower"),
        ("ct.srcip.net = \"2001:db8::/32\"", "IPv4"),
        ("ct.srcip.net != 10.0.0.0/8", "not ct.srcip.net"),
        ("ct.request contains x", "json.value[/requestParameters/key]"),
        ("s3.bytes > 5", "without --engine athena"),
        ("evt.num > 5", "without --engine athena"),
        ("s3.cnt.get = 1", "ct.name = GetObject"),
        ("ct.name = val(ct.src)", "compare each with a text"),
        ("json.value[/requestParameters/a] icontains x", "name a text below it"),
        ("json.value[/requestParameters/a/0] = x", "without a list's index"),
        ("json.value[/unknownKey] = x", "requestParameters"),
        ("len(ct.name) > 5", "tolower, toupper and val"),
        ("ct.name glob [GP]et*", "write its classes out"),
    ] {
        let said = refused(&["--where", condition]);
        assert!(said.contains("Athena can't be asked for `") && said.contains(fix), "{condition}: {said}");
    }
    // All of them at once.
    let said = refused(&["--where", "ct.client.name = a or not (s3.bytes > 5 and ct.name = GetObject)"]);
    assert_eq!(said.matches("Athena can't be asked for").count(), 2, "{said}");
    assert!(refused(&["--pack", "signatures"]).contains("--rules and --pack"));
    for place in ["./here", "s3://", "s3://b/AWSLogs/1", "s3://b/AWSLogs/111122223333/CloudTrail-Digest"] {
        let output = trailmeter(&["scan", "--engine", "athena", place]);
        assert_eq!(output.status.code(), Some(2), "{place}");
    }
    assert!(refused(&["s3://b"]).contains("one place"));
    assert!(refused(&["--athena-table", "Not a name"]).contains("DATABASE.TABLE"));
}

#[test]
fn nothing_is_run_before_the_price_is_agreed_to() {
    let athena = Athena::start();
    deliver_odd(&athena);
    let failed = |arguments: &[&str], code: i32| {
        let output = athena.run(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        said
    };
    let said = failed(&["--create-table"], 2);
    assert!(said.contains("in 1 files (1 accounts, 1 regions)") && said.contains("give --yes"), "{said}");
    let said = failed(&["--create-table", "--yes", "--max-usd", "0.00001"], 2);
    assert!(said.contains("--max-usd 0.00001"), "{said}");
    let queries =
        || athena.ask("ListQueryExecutions", &json!({}))["QueryExecutionIds"].as_array().unwrap().len();
    assert_eq!(queries(), 0);
    // Without a table, what makes it is told.
    let said = failed(&["--yes"], 1);
    assert!(
        said.contains("give --create-table") && said.contains("'projection.account.values' = '111122223333'"),
        "{said}"
    );
    assert!(failed(&["--yes", "--since", "2025-08-01"], 1).contains("has no files of that time"));
    assert_eq!(queries(), 0);
    // The table, and the query.
    athena.check(&[]);
    assert_eq!(queries(), 2);
    // Of new accounts and regions it does not know.
    let region = "AWSLogs/444455556666/CloudTrail/eu-west-1/2025/07/02/more.json";
    athena.deliver(region, json!({"Records": [call(json!({"eventID": "more"}))]}).to_string().as_bytes());
    let said = failed(&["--yes"], 1);
    assert!(said.contains("ALTER TABLE") && said.contains("'111122223333,444455556666'"), "{said}");
    athena.check(&[]);
    // A prefix has its own part of the table, and another place has none.
    let output =
        athena.run(&["--yes", "--athena-table", "default.other", "--create-table", "--format", "csv"]);
    assert!(output.status.success());
    athena.put("elsewhere", b"");
    athena.put("elsewhere/AWSLogs/111122223333/CloudTrail/us-east-1/2025/07/01/a.json", b"{\"Records\":[]}");
    let mut command = athena.elsewhere();
    let said = String::from_utf8(command.output().unwrap().stderr).unwrap();
    assert!(said.contains("is not over s3://elsewhere/AWSLogs/"), "{said}");
}

#[test]
fn what_fails_is_told() {
    let athena = Athena::start();
    deliver_odd(&athena);
    // Tables of someone else's: one lacks a column, one a part of it.
    for (table, lacks, why) in [
        (
            "poor",
            "  insightdetails STRING,\n",
            "the table default.poor has no column insightdetails: name another",
        ),
        ("poorer", "    identityprovider: STRING,\n", "failed: "),
    ] {
        let name = format!("default.{table}");
        let printed =
            trailmeter(&["scan", "--print-sql", "--create-table", "s3://trail", "--athena-table", &name]);
        let ddl = String::from_utf8(printed.stdout).unwrap();
        let ddl = ddl.split(";\n").next().unwrap().replace(lacks, "");
        let ddl = ddl.replace("ACCOUNT,…", "111122223333").replace("REGION,…", "us-east-1");
        athena.ask("StartQueryExecution", &json!({"QueryString": ddl, "WorkGroup": "primary"}));
        let output = athena.run(&["--yes", "--athena-table", &name]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(why), "{said}");
    }
    // A workgroup that is not there.
    let output = athena.run(&["--yes", "--create-table", "--athena-workgroup", "nobodys"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("athena:StartQueryExecution failed: InvalidRequestException: WorkGroup does not exist"),
        "{said}"
    );
}

#[test]
fn an_interrupted_query_is_stopped() {
    let athena = Athena::start();
    deliver_odd(&athena);
    let child = athena.begin(&["--yes", "--create-table", "--where", "ct.name = sleep_for_ever"]);
    let queries = || athena.ask("ListQueryExecutions", &json!({}))["QueryExecutionIds"].clone();
    let end = Instant::now() + PATIENCE;
    // The table's, and the one that does not end.
    while queries().as_array().unwrap().len() < 2 {
        assert!(Instant::now() < end, "it does not begin");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let id = queries()[1].clone();
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("interrupted: the query"), "{said}");
    let query = athena.ask("GetQueryExecution", &json!({"QueryExecutionId": id}));
    assert_eq!(query["QueryExecution"]["Status"]["State"], "CANCELLED");
}
