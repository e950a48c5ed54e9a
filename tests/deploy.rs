//! What deploy/ starts: checked as far as one can without starting it.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use common::alertmanager::Place;
use common::repository;
use common::rules::yaml;
use serde_json::Value;

const FOLDER: &str = "deploy/local";

fn compose() -> Value {
    yaml("deploy/local/compose.yaml")
}

fn services(compose: &Value) -> impl Iterator<Item = (&String, &Value)> {
    compose["services"].as_object().unwrap().iter()
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

/// A path in the repository, without the dots that lead to it.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => assert!(plain.pop()),
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}

/// The files and folders that are mounted: from where, to where.
fn mounts(compose: &Value) -> Vec<(String, PathBuf, String)> {
    let mut mounts = Vec::new();
    for (name, service) in services(compose) {
        for mount in texts(&service["volumes"]) {
            let parts: Vec<&str> = mount.split(':').collect();
            if parts[0].starts_with('.') {
                assert_eq!(parts.get(2), Some(&"ro"), "{name} may write to {mount}");
                mounts.push((name.clone(), plain(&repository(FOLDER).join(parts[0])), parts[1].to_owned()));
            } else {
                assert!(compose["volumes"].as_object().unwrap().contains_key(parts[0]), "{name}: {mount}");
            }
        }
    }
    mounts
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}: run `make tools`"));
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    said
}

#[test]
fn what_is_mounted_is_there() {
    let compose = compose();
    let mounts = mounts(&compose);
    assert!(mounts.len() >= 6, "{mounts:?}");
    for (name, from, _) in &mounts {
        assert!(from.exists(), "{name}: {} does not exist", from.display());
    }
    // What a command or a variable names within a container is mounted there, or in a volume.
    for (name, service) in services(&compose) {
        let volumes = texts(&service["volumes"]);
        let inside: Vec<&str> = volumes.iter().map(|mount| mount.split(':').nth(1).unwrap()).collect();
        let commands = service["command"].as_array().into_iter().flatten();
        let variables = service["environment"].as_object().into_iter().flatten().map(|(_, value)| value);
        let words = commands.chain(variables).filter_map(Value::as_str);
        let paths = words.map(|word| word.rsplit('=').next().unwrap()).filter(|word| word.starts_with('/'));
        for path in paths {
            assert!(inside.iter().any(|mount| path.starts_with(mount)), "{name}: {path} is not mounted");
        }
    }
}

#[test]
fn only_this_machine_reaches_what_is_published() {
    let compose = compose();
    let mut published = BTreeSet::new();
    for (name, service) in services(&compose) {
        assert!(service["network_mode"].is_null(), "{name}");
        for port in texts(&service["ports"]) {
            let parts: Vec<&str> = port.split(':').collect();
            assert!(parts.len() == 3 && parts[0] == "127.0.0.1", "{name}: {port}");
            assert!(published.insert(parts[1].to_owned()), "{name}: {port} is there twice");
        }
        assert_eq!(texts(&service["cap_drop"]), ["ALL"], "{name}");
        // A name and a version, so that what starts tomorrow is what started today.
        let image = service["image"].as_str().unwrap();
        assert!(image.split_once(':').is_some_and(|(_, tag)| tag != "latest"), "{name}: {image}");
    }
    assert_eq!(published.len(), 4);
}

#[test]
fn trailmeter_takes_its_config_and_tells_the_alertmanager_there_is() {
    let config = repository(FOLDER).join("trailmeter.yaml");
    let output = common::trailmeter(&["config", "check", config.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let compose = compose();
    let names: BTreeSet<&String> = services(&compose).map(|(name, _)| name).collect();
    let config = yaml("deploy/local/trailmeter.yaml");
    let [alertmanager] = texts(&config["alerts"]["alertmanagers"])[..] else { panic!("one is expected") };
    assert_eq!(alertmanager, "http://alertmanager:9093");
    assert!(names.contains(&"alertmanager".to_owned()));
    // Links of alerts lead to where the port is published.
    let published = texts(&compose["services"]["trailmeter"]["ports"])[0];
    let (outside, inside) = published.rsplit_once(':').unwrap();
    assert_eq!(config["web"]["external_url"], format!("http://{outside}"));
    assert_eq!(config["web"]["listen"], format!("0.0.0.0:{inside}"));
    // The organisation that is generated is the one that is told of.
    let told: BTreeSet<u64> =
        texts(&config["organization"]["accounts"]).iter().map(|id| id.parse().unwrap()).collect();
    let seed = config["sources"][0]["generator"]["seed"].as_u64().unwrap();
    let made: BTreeSet<u64> =
        trailmeter::generate::LiveOrganisation::new(seed).accounts().into_iter().collect();
    assert_eq!(told, made);
    // The image's user owns the folder of the state.
    let state = config["state"]["embedded"]["path"].as_str().unwrap();
    let dockerfile = std::fs::read_to_string(repository(FOLDER).join("Dockerfile")).unwrap();
    let folder = Path::new(state).parent().unwrap().display().to_string();
    assert!(dockerfile.contains(&format!("--chown=65532:65532 /state {folder}\n")), "{folder}");
}

#[test]
fn prometheus_takes_its_config_and_scrapes_what_there_is() {
    let compose = compose();
    // With the rules where they are mounted, as far as this machine has that place.
    let place = Place::new();
    let text = std::fs::read_to_string(repository(FOLDER).join("prometheus.yml")).unwrap();
    let mut here = text.clone();
    for (name, from, to) in mounts(&compose) {
        if name == "prometheus" && to != "/etc/prometheus/prometheus.yml" {
            assert!(here.contains(&to), "nothing reads {to}");
            here = here.replace(&to, &from.display().to_string());
        }
    }
    assert!(!here.contains("/etc/prometheus"), "{here}");
    let said = run("promtool", &["check", "config", &place.write("prometheus.yml", here)]);
    assert!(said.contains("rules found"), "{said}");
    let config = yaml("deploy/local/prometheus.yml");
    let names: BTreeSet<&String> = services(&compose).map(|(name, _)| name).collect();
    let scraped = config["scrape_configs"].as_array().unwrap();
    let told = config["alerting"]["alertmanagers"].as_array().unwrap();
    for group in scraped.iter().chain(told).flat_map(|one| one["static_configs"].as_array().unwrap()) {
        for target in texts(&group["targets"]) {
            let (host, _) = target.rsplit_once(':').unwrap();
            assert!(host == "127.0.0.1" || names.contains(&host.to_owned()), "{target}");
        }
    }
    // trailmeter tells of new callers by itself; these rules would tell of each a second time.
    assert!(!text.contains("rules/new-callers.yml"));
}

#[test]
fn the_image_is_built_from_what_is_there_and_runs_as_nobody_special() {
    let dockerfile = std::fs::read_to_string(repository(FOLDER).join("Dockerfile")).unwrap();
    assert!(dockerfile.contains("\nUSER 65532:65532\n"));
    let last = dockerfile.rsplit("\nFROM ").next().unwrap();
    assert!(last.contains("\nUSER ") && last.contains("\nENTRYPOINT "));
    // The compiler is new enough.
    let manifest = std::fs::read_to_string(repository("Cargo.toml")).unwrap();
    let (_, version) = manifest.split_once("rust-version = \"").unwrap();
    let version = version.split('"').next().unwrap();
    let minor = version.rsplit_once('.').unwrap().0;
    assert!(dockerfile.contains(&format!("FROM rust:{minor}-")), "rust-version is {version}");
    // With what is left of the repository, cargo can still read the packages.
    let ignored = std::fs::read_to_string(repository(FOLDER).join("Dockerfile.dockerignore")).unwrap();
    let place = Place::new();
    let kept: Vec<&str> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
    for name in &kept {
        let (from, to) = (repository(name), place.path(name));
        run("cp", &["-r", from.to_str().unwrap(), to.to_str().unwrap()]);
    }
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--locked", "--offline", "--bin", "nothing", "--manifest-path"]);
    cargo.arg(place.path("Cargo.toml")).env("CARGO_TARGET_DIR", place.path("target"));
    let said = String::from_utf8(cargo.output().unwrap().stderr).unwrap();
    // It reads all of them before it finds that there is no such program.
    assert!(said.contains("no bin target named `nothing`"), "{said}");
}

const ALERTMANAGER: &str = "deploy/alertmanager/alertmanager.yml";

#[test]
fn alertmanager_takes_its_config() {
    let said = run("amtool", &["check-config", repository(ALERTMANAGER).to_str().unwrap()]);
    assert!(said.contains("4 receivers") && said.contains("2 inhibit rules"), "{said}");
}

/// What stands there as a comment, for those who have another receiver, would be taken, too.
#[test]
fn alertmanager_takes_the_other_receivers() {
    let text = std::fs::read_to_string(repository(ALERTMANAGER)).unwrap();
    let (before, receivers) = text.split_once("\nreceivers:\n").unwrap();
    let is_title =
        |line: &&str| line.starts_with("    # ") && line.ends_with(':') && !line.contains("_configs");
    let lines =
        receivers.lines().filter(|line| !is_title(line)).map(|line| line.replacen("    # ", "    ", 1));
    let config = format!("{before}\nreceivers:\n{}\n", lines.collect::<Vec<_>>().join("\n"));
    assert!(config.contains("\n    pagerduty_configs:") && config.contains("\n    slack_configs:"));
    run("amtool", &["check-config", &Place::new().write("alertmanager.yml", config)]);
}

/// The receivers of an alert with these labels.
fn receivers(labels: &[&str]) -> String {
    let config = format!("--config.file={}", repository(ALERTMANAGER).display());
    let said = run("amtool", &[&["config", "routes", "test", &config][..], labels].concat());
    // Behind the answer it may have something to remark.
    said.lines().next().unwrap().to_owned()
}

#[test]
fn each_alert_goes_to_whom_it_concerns() {
    let check = |labels: &[&str], expect: &str| assert_eq!(receivers(labels), expect, "{labels:?}");
    let caller = ["account_id=123456789012", "principal=arn:aws:iam::123456789012:role/r"];
    let about = |more: &[&str], expect: &str| check(&[more, &caller[..]].concat(), expect);
    about(&["alertname=NewSigV2Caller", "severity=critical", "weakness=sigv2"], "pager");
    about(&["alertname=NewOldTlsCaller", "severity=critical", "weakness=tls10"], "pager");
    about(&["alertname=NewLongTermKeyCaller", "severity=warning", "weakness=long_term_key"], "tickets");
    about(&["alertname=TrailStoppedOrDeleted", "severity=critical"], "pager");
    about(&["alertname=SigV2CallToANewBucket", "severity=warning"], "tickets");
    about(&["alertname=ClientThatSignsWithSigV2ByDefault", "severity=info"], "quiet");
    about(&["alertname=SomethingElse"], "tickets");
    // All that trailmeter.yml can raise goes to those who run trailmeter.
    for rule in common::rules::rules("rules/prometheus/trailmeter.yml") {
        let Some(alert) = rule["alert"].as_str() else { continue };
        let severity = format!("severity={}", rule["labels"]["severity"].as_str().unwrap());
        check(&[&format!("alertname={alert}"), &severity, "job=trailmeter"], "operators");
    }
    for rule in common::rules::rules("rules/prometheus/new-callers.yml") {
        let severity = rule["labels"]["severity"].as_str().unwrap();
        let expect = if severity == "critical" { "pager" } else { "tickets" };
        let alert = format!("alertname={}", rule["alert"].as_str().unwrap());
        about(&[&alert, &format!("severity={severity}")], expect);
    }
}

/// A caller that rang does not ring again: what the example says about its times holds.
#[test]
fn nothing_repeats_while_trailmeter_holds_it() {
    let config = yaml(ALERTMANAGER);
    let routes = config["route"]["routes"].as_array().unwrap();
    let pages = routes.iter().find(|route| route["matchers"][0].as_str().unwrap().contains("NewSigV2Caller"));
    let pages = pages.unwrap();
    assert_eq!(texts(&pages["group_by"]), ["..."]);
    let days = |text: &Value| text.as_str().unwrap().strip_suffix('d').unwrap().parse::<u32>().unwrap();
    // Longer than alerts.hold (1 h), shorter than what Alertmanager remembers by default (120 h).
    assert!((1..5).contains(&days(&pages["repeat_interval"])));
    // Longer than the hour for which an alert is held: one that ends early and comes back is still the same.
    assert_eq!(pages["group_interval"], "2h");
    for receiver in config["receivers"].as_array().unwrap() {
        let sends = receiver["webhook_configs"][0]["send_resolved"].as_bool();
        assert_eq!(sends, Some(receiver["name"] == "operators"), "{receiver}");
    }
}
