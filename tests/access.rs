//! Who may ask the real binary, and what becomes of those who ask too much: TLS, passwords, certificates, floods.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Instant;

use common::alertmanager::Place;
use common::{PATIENCE, Trailmeter};
use rcgen::{CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType};
use reqwest::{Certificate, Client, ClientBuilder, Identity};
use serde_json::Value;
use tokio::runtime::Runtime;

/// The password `pager`, as bcrypt keeps it.
const HASH: &str = "$2b$04$/cZZXykckacXj.8FeIRtNuYFe5qQ7lIt/wOPNdNPkttscCPfj8nUy";

/// A config over no events, with what a test adds.
fn config(place: &Place, more: &str) -> String {
    let events = place.write("events.ndjson", "");
    let state = place.path("state");
    place.write(
        "trailmeter.yaml",
        format!(
            "sources: [{{files: {{paths: [{events:?}]}}}}]\nstate: {{embedded: {{path: {state:?}}}}}\n{more}"
        ),
    )
}

fn run_behind(place: &Place, web: &str) -> Trailmeter {
    let web = place.write("web.yml", web);
    let config = config(place, &format!("web: {{web_config_file: {web:?}, enable_reload: true}}\n"));
    Trailmeter::run(&["--config", &config])
}

/// Asks with reqwest, which trusts nobody that it is not told of.
struct Asking {
    runtime: Runtime,
    builder: Box<dyn Fn() -> ClientBuilder>,
}

impl Asking {
    fn with(builder: impl Fn(ClientBuilder) -> ClientBuilder + 'static) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        Self { runtime, builder: Box::new(move || builder(Client::builder().no_proxy())) }
    }

    fn get(&self, url: &str, login: Option<(&str, &str)>) -> Result<(u16, String, String), String> {
        let client = (self.builder)().build().map_err(|error| format!("{error:?}"))?;
        let mut request = client.get(url);
        if let Some((name, password)) = login {
            request = request.basic_auth(name, Some(password));
        }
        self.runtime.block_on(async {
            let answer = request.send().await.map_err(|error| format!("{error:?}"))?;
            let challenge =
                answer.headers().get("www-authenticate").map(|value| value.to_str().unwrap().to_owned());
            let status = answer.status().as_u16();
            let body = answer.text().await.map_err(|error| format!("{error:?}"))?;
            Ok((status, body, challenge.unwrap_or_default()))
        })
    }
}

#[test]
fn names_and_passwords() {
    let place = Place::new();
    let mut run = run_behind(&place, &format!("basic_auth_users: {{ops: '{HASH}'}}\n"));
    let asking = Asking::with(|builder| builder);
    let address = run.address().to_owned();
    let url = |path: &str| format!("http://{address}{path}");
    for path in ["/", "/callers", "/metrics", "/api/v1/callers", "/page.css", "/nowhere"] {
        let (status, body, challenge) = asking.get(&url(path), None).unwrap();
        assert_eq!(
            (status, challenge.as_str()),
            (401, "Basic realm=\"trailmeter\", charset=\"UTF-8\""),
            "{path}"
        );
        assert!(body.contains("needs a name and a password"), "{path}: {body}");
        for wrong in [("ops", "wrong-and-secret"), ("nobody", "pager"), ("", ""), ("ops", "")] {
            assert_eq!(asking.get(&url(path), Some(wrong)).unwrap().0, 401, "{path}");
        }
    }
    assert_eq!(asking.get(&url("/"), Some(("ops", "pager"))).unwrap().0, 200);
    assert_eq!(asking.get(&url("/nowhere"), Some(("ops", "pager"))).unwrap().0, 404);
    // Probes need no password, and reloading does.
    assert_eq!(asking.get(&url("/-/healthy"), None).unwrap().0, 200);
    assert_eq!(asking.get(&url("/-/ready"), None).unwrap().0, 200);
    assert_eq!(run.post("/-/reload").0, 401);
    run.wait_for("a wrong name or password was refused");
    let status = asking.get(&url("/api/v1/status"), Some(("ops", "pager"))).unwrap().1;
    for secret in ["wrong-and-secret", HASH] {
        let log = format!("{:?}", run.lines);
        assert!(!log.contains(secret) && !status.contains(secret));
    }
}

/// An authority, and a certificate by it for a name.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Certificate and key.
    fn issue(&self, names: &[SanType]) -> (String, String) {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names = names.to_vec();
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }
}

fn ip(address: &str) -> SanType {
    SanType::IpAddress(address.parse().unwrap())
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

fn trusting(authority: &Authority) -> Asking {
    let pem = authority.pem();
    Asking::with(move |builder| builder.tls_certs_only([Certificate::from_pem(pem.as_bytes()).unwrap()]))
}

#[test]
fn tls_with_a_right_and_a_wrong_name() {
    let (place, authority) = (Place::new(), Authority::new());
    let (certificate, key) = authority.issue(&[ip("127.0.0.1")]);
    place.write("server.pem", &certificate);
    place.write("server.key", &key);
    // Paths begin beside the file.
    let run = run_behind(&place, "tls_server_config: {cert_file: server.pem, key_file: server.key}\n");
    let asking = trusting(&authority);
    let url = format!("https://{}/", run.address());
    assert_eq!(asking.get(&url, None).unwrap().0, 200);
    let error = Asking::with(|builder| builder.tls_certs_only([])).get(&url, None).unwrap_err();
    assert!(error.contains("UnknownIssuer"), "{error}");
    let wrong = url.replace("127.0.0.1", "localhost");
    let error = asking.get(&wrong, None).unwrap_err();
    assert!(error.contains("NotValidForName"), "{error}");
    // Whoever forgets the `s` is told so; the health check finds out by itself.
    let (status, body, _) = asking.get(&url.replace("https", "http"), None).unwrap();
    assert!(status == 400 && body.contains("this port speaks TLS: write https://"), "{status} {body}");
    let checked = Command::new(env!("CARGO_BIN_EXE_trailmeter"))
        .args(["healthcheck", "--ready", "--address", run.address()])
        .output();
    let checked = checked.unwrap();
    assert!(checked.status.success() && checked.stdout == b"ok\n", "{checked:?}");

    // Another certificate is taken up without a restart; one that can't be used is not.
    let is_successful = |value: &str| {
        let metrics = asking.get(&format!("{url}metrics"), None).unwrap().1;
        metrics.contains(&format!("trailmeter_web_config_last_reload_successful {value}\n"))
    };
    let wait_for = |is_so: &dyn Fn() -> bool| {
        let end = Instant::now() + PATIENCE;
        while !is_so() {
            assert!(Instant::now() < end);
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    };
    assert!(is_successful("1"));
    // Emptied, or cut short: what is protected stays so.
    let web = std::fs::read_to_string(place.path("web.yml")).unwrap();
    place.write("web.yml", "");
    wait_for(&|| is_successful("0"));
    place.write("web.yml", web);
    wait_for(&|| is_successful("1"));
    place.write("server.key", "garbage");
    wait_for(&|| is_successful("0"));
    let (certificate, key) = authority.issue(&[ip("127.0.0.1"), dns("localhost")]);
    place.write("server.pem", &certificate);
    place.write("server.key", &key);
    wait_for(&|| asking.get(&wrong, None).is_ok_and(|answer| answer.0 == 200));
    wait_for(&|| is_successful("1"));
    assert!(run.stop().success());
}

#[test]
fn clients_with_certificates() {
    let (place, authority, stranger) = (Place::new(), Authority::new(), Authority::new());
    let (certificate, key) = authority.issue(&[ip("127.0.0.1")]);
    place.write("server.pem", &certificate);
    place.write("server.key", &key);
    place.write("ca.pem", authority.pem());
    let run = run_behind(
        &place,
        "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n  client_ca_file: ca.pem\n  \
         client_auth_type: RequireAndVerifyClientCert\n  client_allowed_sans: [prometheus.internal, 192.0.2.7]\n",
    );
    let url = format!("https://{}/-/healthy", run.address());
    let ask = |identity: Option<(String, String)>| {
        let pem = authority.pem();
        let asking = Asking::with(move |builder| {
            let builder = builder.tls_certs_only([Certificate::from_pem(pem.as_bytes()).unwrap()]);
            match &identity {
                Some((certificate, key)) => {
                    builder.identity(Identity::from_pem(format!("{key}{certificate}").as_bytes()).unwrap())
                }
                None => builder,
            }
        });
        asking.get(&url, None).map(|answer| answer.0)
    };
    assert_eq!(ask(Some(authority.issue(&[dns("prometheus.internal")]))), Ok(200));
    assert_eq!(ask(Some(authority.issue(&[dns("x"), ip("192.0.2.7")]))), Ok(200));
    assert!(ask(None).is_err());
    assert!(ask(Some(authority.issue(&[dns("grafana.internal")]))).is_err());
    assert!(ask(Some(stranger.issue(&[dns("prometheus.internal")]))).is_err());
    assert!(run.stop().success());
}

#[test]
fn mistakes_name_the_key_and_the_fix() {
    let place = Place::new();
    let (certificate, key) = Authority::new().issue(&[ip("127.0.0.1")]);
    place.write("server.pem", &certificate);
    place.write("server.key", &key);
    for (text, expected) in [
        (
            "tls_server_config: {cert_file: none.pem}",
            &["tls_server_config.cert_file", "key_file: is missing"][..],
        ),
        (
            "tls_server_config: {cert_file: server.key, key_file: server.pem}",
            &["holds no certificate", "holds no private key"],
        ),
        (
            "tls_server_config: {cert_file: server.pem, key_file: server.key, min_version: TLS10}",
            &["TLS 1.0 and 1.1 are not served"],
        ),
        (
            "tls_server_config: {cert_file: server.pem, key_file: server.key, min_version: TLS13, max_version: TLS12}",
            &["is above max_version"],
        ),
        (
            "tls_server_config: {cert_file: server.pem, key_file: server.key, client_auth_type: RequireAnyClientCert}",
            &["checks nothing of the certificate"],
        ),
        (
            "tls_server_config: {cert_file: server.pem, key_file: server.key, client_auth_type: RequireAndVerifyClientCert}",
            &["client_ca_file: is missing"],
        ),
        (
            "tls_server_config: {cert_file: server.pem, key_file: server.key, cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]}",
            &["there are TLS_ECDHE_"],
        ),
        (
            "tls_server_config: {cert_file: server.pem, key_file: server.key, curve_preferences: [CurveP521]}",
            &["there are X25519"],
        ),
        ("basic_auth_users: {ops: secret-in-the-clear}", &["basic_auth_users.ops", "htpasswd"]),
        ("basic_auth_users: secret-in-the-clear", &["basic_auth_users"]),
        ("http_server_config: {headers: {Server: x}}", &["headers.Server", "can't be set"]),
        ("rate_limit: {interval: 1s, burst: 0}", &["rate_limit.burst"]),
        ("basic_auth: {}", &["unknown field"]),
        ("# nothing", &["web.yml: is empty"]),
        ("basic_auth_users:", &["basic_auth_users: has no value"]),
        ("{", &["web.yml"]),
    ] {
        let web = place.write("web.yml", text);
        let config = config(&place, &format!("web: {{web_config_file: {web:?}}}\n"));
        for command in ["check", "run"] {
            let arguments = if command == "check" {
                ["config", "check", "--config"]
            } else {
                ["run", "--listen=127.0.0.1:0", "--config"]
            };
            let output =
                Command::new(env!("CARGO_BIN_EXE_trailmeter")).args(arguments).arg(&config).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(2), "{text}: {said}");
            assert!(expected.iter().all(|part| said.contains(part)), "{text}: {said}");
            assert!(!said.contains("secret-in-the-clear") && !said.contains("PRIVATE"), "{said}");
        }
    }
}

#[test]
fn a_body_of_100_mb_is_refused_and_harms_nobody() {
    let place = Place::new();
    let run = Trailmeter::run(&["--config", &config(&place, "web: {enable_reload: true}\n")]);
    // Said before: refused at once, whatever follows.
    let mut stream = TcpStream::connect(run.address()).unwrap();
    write!(stream, "POST /-/reload HTTP/1.1\r\nhost: x\r\ncontent-length: 104857600\r\n\r\n").unwrap();
    assert!(first_line(&mut stream).contains(" 413 "));
    // In pieces of which nobody knows the sum: refused when it is too much.
    let mut stream = TcpStream::connect(run.address()).unwrap();
    write!(stream, "POST /-/reload HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n").unwrap();
    let piece = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    // The connection is closed long before all are sent.
    let sent = (0..1600).take_while(|_| stream.write_all(piece.as_bytes()).is_ok()).count();
    assert!(sent < 1600, "all of it was taken");
    assert!(resident_kib(&run) < 90 << 10, "{} KiB", resident_kib(&run));
    // A head without an end.
    let mut stream = TcpStream::connect(run.address()).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    let line = format!("x: {}\r\n", "y".repeat(1 << 20));
    let sent = (0..100).take_while(|_| stream.write_all(line.as_bytes()).is_ok()).count();
    assert!(sent < 100, "all of it was taken");
    assert_eq!(run.get("/-/healthy"), (200, "ok".to_owned()));
    let hits = &run.json("/api/v1/status")["limits_hit"]["max_body"];
    assert!(hits.as_u64() >= Some(1), "{hits}");
    assert!(run.stop().success());
}

fn first_line(stream: &mut TcpStream) -> String {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut bytes = [0; 64];
    let read = stream.read(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes[..read]).into_owned()
}

fn resident_kib(run: &Trailmeter) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", run.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn a_thousand_requests_at_once_are_served_or_refused() {
    let place = Place::new();
    let run = Trailmeter::run(&["--config", &config(&place, "")]);
    let asking = Asking::with(|builder| builder);
    let client = (asking.builder)().build().unwrap();
    let answers: Vec<u16> = asking.runtime.block_on(async {
        let paths = ["/", "/callers", "/metrics", "/api/v1/callers", "/api/v1/windows?window=24h"];
        let asked = (0..1000).map(|number| {
            let request = client.get(format!("http://{}{}", run.address(), paths[number % paths.len()]));
            async move {
                let answer = request.send().await.unwrap();
                let status = answer.status().as_u16();
                answer.bytes().await.unwrap();
                status
            }
        });
        futures_util::future::join_all(asked).await
    });
    let mut counts: BTreeMap<u16, usize> = BTreeMap::new();
    answers.iter().for_each(|status| *counts.entry(*status).or_default() += 1);
    // One address may ask 500 times at once; those who ask more are told to wait.
    assert!(counts.keys().all(|status| matches!(status, 200 | 429)), "{counts:?}");
    assert!(counts[&200] >= 500 && counts[&429] >= 1, "{counts:?}");
    assert_eq!(run.get("/-/ready"), (200, "ok".to_owned()));
    run.wait_until_answered("/api/v1/status", |status: &Value| {
        status["limits_hit"]["request_rate"].as_u64() > Some(0)
    });
    assert!(run.stop().success());
}

#[test]
fn a_rate_of_the_web_config_holds_over_all() {
    let place = Place::new();
    let run = run_behind(&place, "rate_limit: {interval: 1h, burst: 3}\n");
    let statuses: Vec<u16> = (0..5).map(|_| run.get("/api/v1/totals").0).collect();
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
    assert_eq!(run.get("/-/healthy").0, 200);
    assert!(run.stop().success());
}
