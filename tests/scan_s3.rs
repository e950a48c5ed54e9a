//! `trailmeter scan s3://…` held against a scan of the same files on this machine, and against what S3 was asked.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use common::alertmanager::{Place, WeakCall};
use common::proxy::{Fate, Proxy};
use common::s3::S3;
use serde_json::{Value, json};

const ACCOUNTS: [&str; 3] = ["111122223333", "444455556666", "777788889999"];
const REGIONS: [&str; 2] = ["eu-central-1", "us-east-1"];
const DAYS: u64 = 10;
/// With the digests below: 5,000 objects.
const FILES_A_DAY: u64 = 83;
const DIGESTS: u64 = 20;
const DIGEST: &[u8] = br#"{"awsAccountId": "111122223333", "digestStartTime": "2025-07-01T00:00:00Z",
    "digestEndTime": "2025-07-01T01:00:00Z", "logFiles": []}"#;

const DENIED: Fate = Fate::Refused(
    "403 Forbidden",
    "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>",
);

fn gzipped(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// The key of a delivery file.
fn key(account: &str, region: &str, day: u64, number: u64) -> String {
    let name = format!("{account}_CloudTrail_{region}_202507{day:02}T0000Z_{number:016}.json.gz");
    format!("AWSLogs/{account}/CloudTrail/{region}/2025/07/{day:02}/{name}")
}

/// Three accounts, two regions and ten days, with digests beside.
fn trail() -> Vec<(String, Vec<u8>)> {
    let mut objects = Vec::new();
    for (number, account) in ACCOUNTS.iter().enumerate() {
        for region in REGIONS {
            for (day, file) in (1..=DAYS).flat_map(|day| (0..FILES_A_DAY).map(move |file| (day, file))) {
                let time = format!("2025-07-{day:02}T{:02}:00:00Z", file % 24);
                let id = format!("{account} {region} {day} {file}");
                let role = format!("role-{}", file % (7 + number as u64));
                let call = WeakCall { account: (*account).to_owned(), ..WeakCall::sigv2(&role, &id, &time) };
                let text = [b"{\"Records\":[", &call.json()[..], b"]}"].concat();
                objects.push((key(account, region, day, file), gzipped(&text)));
            }
        }
    }
    for digest in 0..DIGESTS {
        let key = key(ACCOUNTS[0], REGIONS[0], 1 + digest % DAYS, digest)
            .replace("CloudTrail/", "CloudTrail-Digest/");
        objects.push((key, gzipped(DIGEST)));
    }
    assert_eq!(objects.len(), 5000);
    objects
}

/// Writes the objects as files and gives their folder.
fn as_files(place: &Place, objects: &[(String, Vec<u8>)]) -> PathBuf {
    let folder = place.path("copy");
    for (key, bytes) in objects {
        let path = folder.join(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    folder
}

fn command(environment: &[(&'static str, String)], endpoint: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trailmeter"));
    command.arg("scan").args(arguments).env_clear().envs(environment.iter().cloned());
    command.env("AWS_ENDPOINT_URL", endpoint).stdin(Stdio::null());
    command
}

fn run(s3: &S3, endpoint: &str, arguments: &[&str]) -> Output {
    command(&s3.environment(), endpoint, arguments).output().unwrap()
}

/// What is counted, as JSON.
fn scan(s3: &S3, endpoint: &str, arguments: &[&str]) -> Value {
    let output = run(s3, endpoint, &[arguments, &["--format", "json"]].concat());
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What both have said of the same files: folders that are not listed in S3 are files of which the place tells it here.
fn without_places(mut found: Value) -> Value {
    found.as_object_mut().unwrap().remove("passed_over").unwrap();
    found
}

const RULES: &str = "
- {rule: Busy, desc: d, condition: ct.name exists, output: x, priority: INFO, source: aws_cloudtrail,
   threshold: {count: 3, within: 6h, by: [ct.principal]}, repeat: 1h}
- {rule: First, desc: d, condition: ct.name exists, output: x, priority: INFO, source: aws_cloudtrail,
   first_seen: {by: [ct.principal], forget_after: 1d}}
";

#[test]
fn only_what_is_needed_of_a_trail_is_read() {
    let (place, s3) = (Place::new(), S3::start());
    let objects = trail();
    let folder = as_files(&place, &objects);
    let folder = folder.to_str().unwrap();
    s3.put("trail", "");
    std::thread::scope(|scope| {
        for part in objects.chunks(objects.len().div_ceil(4)) {
            scope.spawn(|| {
                s3.put_all(part.iter().map(|(key, bytes)| (format!("trail/{key}"), bytes.clone())))
            });
        }
    });
    let proxy = Proxy::start(s3.port(), |_| Fate::Passed);
    let endpoint = &proxy.url();
    let rules = place.write("rules.yaml", RULES);

    // All of it, which is all but the digests.
    let all = scan(&s3, endpoint, &["s3://trail", "--rules", &rules, "--threads", "4"]);
    let gets = gets(&proxy);
    assert_eq!((gets.len(), &all["calls"], &all["files"]), (4980, &json!(4980), &json!(4980)));
    assert_eq!(all["passed_over"], json!({"files": {}, "folders": {"digest": 1}}));
    let here = scan(&s3, endpoint, &[folder, "--rules", &rules, "--threads", "1"]);
    assert_eq!(here["passed_over"], json!({"files": {"digest": 20}, "folders": {}}));
    assert_eq!(without_places(all), without_places(here.clone()));
    assert!(
        here["rules"].as_array().unwrap().iter().all(|rule| rule["matches"].as_u64() > Some(20)),
        "{here}"
    );
    // Nothing was asked of S3 for the files.
    assert!(proxy.take_requests().is_empty());

    // Two days of an account in a region, and the two days after for what came late.
    let some =
        ["--account", ACCOUNTS[1], "--region", REGIONS[1], "--since", "2025-07-04", "--until", "2025-07-05"];
    for (more, days) in [(&[][..], 3..=7), (&["--delivered-within", "0d"], 3..=5)] {
        let found = scan(&s3, endpoint, &[&["s3://trail/"], &some[..], more].concat());
        let requests = proxy.take_requests();
        let expected: Vec<String> = days
            .flat_map(|day| (0..FILES_A_DAY).map(move |file| (day, file)))
            .map(|(day, file)| format!("GET /trail/{}", key(ACCOUNTS[1], REGIONS[1], day, file)))
            .collect();
        let (listings, gets): (Vec<&String>, Vec<&String>) =
            requests.iter().partition(|asked| asked.contains("list-type"));
        assert_eq!(gets, expected.iter().collect::<Vec<_>>());
        assert_eq!(found["files"], expected.len());
        assert_eq!(
            found["rows"].as_array().unwrap().iter().map(|row| row["calls"].as_u64().unwrap()).sum::<u64>(),
            FILES_A_DAY
        );
        // From the bucket down to the days, and each day.
        assert!(listings.len() <= 8 + 5, "{listings:#?}");
        let here = scan(&s3, endpoint, &[&[folder], &some[..], more].concat());
        assert_eq!(without_places(found), without_places(here));
    }

    // A folder that is named, the same with files beside it, and a single object.
    let day = "s3://trail/AWSLogs/111122223333/CloudTrail/us-east-1/2025/07/02";
    let of_a_day = scan(&s3, endpoint, &[day]);
    assert_eq!(of_a_day["calls"], FILES_A_DAY);
    let both = scan(&s3, endpoint, &[day, folder]);
    assert_eq!((&both["calls"], &both["dropped"]["duplicate"]), (&json!(4980), &json!(FILES_A_DAY)));
    let one = format!("s3://trail/{}", key(ACCOUNTS[2], REGIONS[0], 9, 1));
    assert_eq!(scan(&s3, endpoint, &[&one])["calls"], 1);
    // Digests that are named are read, as what they are.
    let digests = scan(&s3, endpoint, &["s3://trail/AWSLogs/111122223333/CloudTrail-Digest"]);
    assert_eq!(digests["not_calls"]["digest"], DIGESTS);
}

/// Objects that were asked for.
fn gets(proxy: &Proxy) -> Vec<String> {
    let mut requests = proxy.take_requests();
    requests.retain(|asked| !asked.contains("list-type"));
    requests
}

#[test]
fn other_objects_large_ones_and_what_cannot_be_read() {
    let (place, s3) = (Place::new(), S3::start());
    let lines = |name: &str, count: u64| -> Vec<u8> {
        let line = |id: u64| {
            [WeakCall::sigv2("r", &format!("{name} {id}"), "2025-07-01T00:00:00Z").json(), b"\n".to_vec()]
                .concat()
        };
        (0..count).flat_map(line).collect()
    };
    let large = lines("large", 20_000);
    let parts = large.len().div_ceil(8 << 20);
    assert!(parts > 1);
    let objects = [
        ("exports/1.ndjson", lines("1", 3)),
        // A folder made in the console, and an empty file.
        ("exports/deep/", Vec::new()),
        ("exports/deep/2.json.gz", gzipped(&lines("2", 5))),
        ("exports/empty", Vec::new()),
        ("exports/large.ndjson", large.clone()),
        ("exports/odd name+=&.ndjson.gz", gzipped(&gzipped(&lines("3", 7)))),
        ("exports/refused", lines("4", 9)),
        ("exports/torn.json.gz", gzipped(&lines("5", 400))[..1000].to_vec()),
    ];
    s3.put("lake", "");
    s3.put_all(
        objects.iter().map(|(key, bytes)| (format!("lake/{}", key.replace(' ', "%20")), bytes.clone())),
    );
    let is_refused = |asked: &str| {
        asked == "GET /lake/exports/refused" || asked.starts_with("GET /lake/cut/off.json.gz bytes=8388608-")
    };
    let proxy = Proxy::start(s3.port(), move |asked| if is_refused(asked) { DENIED } else { Fate::Passed });
    let (endpoint, arguments) = (proxy.url(), ["s3://lake/exports/", "--format", "json"]);
    let output = run(&s3, &endpoint, &arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("1 files could not be read: the rest is counted"), "{said}");
    let asked = gets(&proxy);
    assert_eq!(
        asked.iter().filter(|asked| asked.contains("large.ndjson bytes=")).count(),
        parts,
        "{asked:#?}"
    );
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let notes: Vec<(&str, &Value)> = found["files_with_problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|note| (note["path"].as_str().unwrap(), &note["rejected"]))
        .collect();
    assert_eq!(
        notes,
        [
            ("s3://lake/exports/empty", &json!({"empty": 1})),
            ("s3://lake/exports/refused", &json!({})),
            ("s3://lake/exports/torn.json.gz", &json!({"bad_gzip": 1})),
        ]
    );
    let why = found["files_with_problems"][1]["error"].as_str().unwrap();
    assert!(
        why.contains("AccessDenied: Access Denied: allow s3:ListBucket") && why.contains("kms:Decrypt"),
        "{why}"
    );
    // All else is what is counted of files.
    let folder = place.folder("copy");
    for (key, bytes) in &objects {
        let path = folder.join(key);
        if !key.ends_with('/') && !key.ends_with("refused") {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    }
    let here = scan(&s3, &endpoint, &[folder.to_str().unwrap()]);
    for name in ["rows", "calls", "records", "rejected", "events"] {
        assert_eq!(found[name], here[name], "{name}");
    }

    // Of a compressed object whose second part is refused, what came before counts, and it is not taken for a torn one.
    let mut stored = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    stored.write_all(&large).unwrap();
    s3.put_all([("lake/cut/off.json.gz".to_owned(), stored.finish().unwrap())]);
    let output = run(&s3, &endpoint, &["s3://lake/cut", "--format", "json"]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let (note, calls) = (&found["files_with_problems"][0], found["calls"].as_u64().unwrap());
    assert!(output.status.code() == Some(1) && (1000..20_000).contains(&calls), "{calls}");
    assert!(
        note["error"].as_str().unwrap().contains("AccessDenied") && note["rejected"] == json!({}),
        "{note}"
    );

    let failed = |environment: &[(&'static str, String)], endpoint: &str, place: &str| {
        let output = command(environment, endpoint, &[place]).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.stdout.is_empty(), "{place}");
        (output.status.code(), said)
    };
    let environment = s3.environment();
    let (code, said) = failed(&environment, &endpoint, "s3://nowhere/x");
    assert!(code == Some(1) && said.contains("s3://nowhere/x: NoSuchBucket"), "{code:?} {said}");
    let (code, said) = failed(&environment, &endpoint, "s3://lake/nothing");
    assert!(code == Some(2) && said.contains("s3://lake/nothing names no file"), "{code:?} {said}");
    let (code, said) = failed(&environment, &endpoint, "s3://");
    assert!(code == Some(2) && said.contains("names no bucket"), "{code:?} {said}");
    let (code, said) =
        failed(&[("AWS_EC2_METADATA_DISABLED", "true".to_owned())], &endpoint, "s3://lake/exports");
    assert!(code == Some(1) && said.contains("set AWS_PROFILE"), "{code:?} {said}");
    let denied = Proxy::start(s3.port(), |_| DENIED);
    let (code, said) = failed(&environment, &denied.url(), "s3://lake/exports");
    assert!(
        code == Some(1)
            && said.contains("s3://lake/exports: AccessDenied: Access Denied: allow s3:ListBucket"),
        "{said}"
    );
    // An account that no folder is named after.
    let (code, said) = {
        let output = run(&s3, &endpoint, &["s3://lake/exports", "--account", "111122223333"]);
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert!(code == Some(2) && said.contains("passed over: 7 files (no_layout 7)"), "{code:?} {said}");
}

/// Where an object does not come, Ctrl-C ends it with what was counted.
#[test]
fn a_scan_that_waits_for_s3_can_be_interrupted() {
    let s3 = S3::start();
    s3.put("lake", "");
    for name in ["a", "b"] {
        let call = WeakCall::sigv2("r", name, "2025-07-01T00:00:00Z").json();
        s3.put(&format!("lake/{name}.json"), std::str::from_utf8(&call).unwrap());
    }
    let proxy = Proxy::start(s3.port(), |asked| match asked {
        "GET /lake/b.json" => Fate::Held,
        _ => Fate::Passed,
    });
    let mut command =
        command(&s3.environment(), &proxy.url(), &["s3://lake", "--format", "json", "--threads", "1"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    proxy.wait_until_held();
    let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(status.success());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("interrupted"), "{said}");
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&found["interrupted"], &found["files_with_problems"]), (&json!(true), &json!([])));
}
