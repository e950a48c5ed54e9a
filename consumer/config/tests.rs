use super::*;

/// The problems of a config, one a line.
fn check(text: &str, expect: &[&str]) {
    let problems = Config::parse(text, "c.yaml").map(|_| ()).unwrap_err().to_string();
    assert_eq!(problems.lines().collect::<Vec<_>>(), expect, "{text}");
}

#[test]
fn the_least_config() {
    let config = Config::parse("sources: [{kinesis: {stream: trail}}]", "c.yaml").unwrap();
    let SourceConfig::Kinesis(options) = &config.sources[0] else { panic!("{:?}", config.sources) };
    assert_eq!((options.name.as_str(), &options.start), ("trail", &StartAt::TrimHorizon));
    assert_eq!(config.settings.policy.future_s, 900);
    assert_eq!(config.web.listen.to_string(), "127.0.0.1:9464");
}

#[test]
fn what_is_shown_reads_back_as_the_same() {
    let text = "sources: [{files: {paths: [a, '-'], follow: true}}, {generator: {rate: 5}}]\norganization: {accounts: ['012345678901']}";
    let config = Config::parse(text, "c.yaml").unwrap();
    let shown = serde_yaml_ng::to_string(&config.raw).unwrap();
    assert_eq!(Config::parse(&shown, "shown").unwrap().raw, config.raw);
}

#[test]
fn misspelled_keys_name_the_right_one() {
    check(
        "sources: [{kinesis: {stream: a, regoin: x}}]",
        &[
            "c.yaml: sources[0].kinesis.regoin: unknown field `regoin`, expected one of `name`, `stream`, `region`, \
           `endpoint`, `start`, `timestamp`, `reads_per_second`, `max_records`, `list_interval` at line 1 column 33: did you mean `region`?",
        ],
    );
}

#[test]
fn all_problems_come_at_once() {
    let text = "
sources:
  - kinesis: {stream: 'arn:aws:kinesis:x', reads_per_second: 9, start: latest, timestamp: 2023-01-01T00:00:00Z}
  - files: {paths: []}
  - files: {paths: [x]}
  - {}
web: {listen: nowhere}
limits: {depth: 1, inflight_bytes: 1MiB}
organization: {accounts: [12, 'abc']}
state: {embedded: {path: '', commit_interval: 1ms}}
";
    let problems = Config::parse(text, "c.yaml").unwrap_err().to_string();
    for key in [
        "sources[0].kinesis.stream",
        "sources[0].kinesis.reads_per_second",
        "sources[0].kinesis.timestamp",
        "sources[1].files.paths",
        "sources[2].name: two sources are called `files`",
        "sources[3]: write exactly one",
        "web.listen",
        "limits.depth",
        "limits.inflight_bytes",
        "organization.accounts[1]",
        "state.embedded.path",
        "state.embedded.commit_interval",
    ] {
        assert!(problems.contains(&format!("c.yaml: {key}")), "{key} not in\n{problems}");
    }
}

#[test]
fn wrong_values_say_what_to_write() {
    check(
        "",
        &[
            "c.yaml: sources: there is none: write at least one, such as `sources: [{kinesis: {stream: cloudtrail}}]`",
        ],
    );
    let future = Config::parse("sources: [{files: {paths: [x]}}]\nlimits: {future: 15}", "c.yaml")
        .unwrap_err()
        .to_string();
    assert!(future.starts_with("c.yaml: limits.future: ") && future.contains("such as 250ms"), "{future}");
    let rules = "sources: [{files: {paths: [x]}}]\nrules: {packs: [signature], files: ['s3://']}";
    let rules = Config::parse(rules, "c.yaml").unwrap_err().to_string();
    assert!(rules.contains("rules.packs[0]") && rules.contains("did you mean `signatures`?"), "{rules}");
    assert!(rules.contains("rules.files[0]: \"s3://\" names no bucket"), "{rules}");
    let syntax = Config::parse("sources: [", "c.yaml").unwrap_err().to_string();
    assert!(syntax.starts_with("c.yaml: ") && syntax.contains("line 2"), "{syntax}");
}

#[test]
fn an_unquoted_account_keeps_its_zero() {
    let config =
        Config::parse("sources: [{files: {paths: [x]}}]\norganization: {accounts: [12345678901]}", "c.yaml")
            .unwrap();
    assert!(config.settings.policy.accounts.contains("012345678901"));
}

#[test]
fn what_a_running_process_cannot_change() {
    let config = |text: &str| {
        Config::parse(&format!("sources: [{{files: {{paths: [x]}}}}]\n{text}"), "c.yaml").unwrap()
    };
    let old = config("");
    assert!(old.needs_restart(&config("limits: {callers: 5}\nweb: {enable_reload: true}")).is_empty());
    assert_eq!(old.needs_restart(&config("web: {listen: '127.0.0.1:1'}")), ["web.listen"]);
}
