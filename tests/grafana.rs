//! The dashboards: they follow the conventions of the trade, and each of their queries has an answer when a real
//! Prometheus scrapes a real trailmeter. There is no Grafana here: what it draws is not looked at.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use common::alertmanager::{Alertmanager, Place, Webhook};
use common::prometheus::{Options, Prometheus};
use common::rules::{metrics_in, names_and_types, yaml};
use common::{PATIENCE, Trailmeter, repository};
use serde_json::Value;

const DASHBOARDS: [&str; 3] = ["overview", "callers", "pipeline"];
const SELECTS: &str = r#"{job=~"$job", instance=~"$instance""#;

fn dashboard(name: &str) -> Value {
    let text =
        std::fs::read_to_string(repository("grafana/dashboards").join(format!("{name}.json"))).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn dashboards() -> impl Iterator<Item = (&'static str, Value)> {
    DASHBOARDS.into_iter().map(|name| (name, dashboard(name)))
}

fn list<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    value.pointer(path).and_then(Value::as_array).unwrap_or_else(|| panic!("no list {path}"))
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no text {key} in {value}"))
}

/// The panels that show something.
fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    list(dashboard, "/panels").iter().filter(|panel| panel["type"] != "row")
}

fn variables(dashboard: &Value) -> &[Value] {
    list(dashboard, "/templating/list")
}

fn variable<'a>(dashboard: &'a Value, name: &str) -> Option<&'a Value> {
    variables(dashboard).iter().find(|variable| variable["name"] == name)
}

/// A query, and where it stands.
struct Query {
    place: String,
    expression: String,
    /// The least that `$__interval` is here.
    interval: String,
}

/// Those of panels and annotations.
fn queries(name: &str, dashboard: &Value) -> Vec<Query> {
    let query = |place: String, of: &Value| Query {
        place,
        expression: text(of, "expr").to_owned(),
        interval: of["interval"].as_str().unwrap_or("15s").to_owned(),
    };
    let mut queries = Vec::new();
    for panel in panels(dashboard) {
        for target in list(panel, "/targets") {
            let place = format!("{name}, {:?}, {}", text(panel, "title"), text(target, "refId"));
            queries.push(query(place, target));
        }
    }
    for annotation in list(dashboard, "/annotations/list") {
        queries.push(query(format!("{name}, annotation {:?}", text(annotation, "name")), annotation));
    }
    queries
}

/// The selector and the label of a variable's query, `label_values(SELECTOR, LABEL)`.
fn label_values(variable: &Value) -> Option<(&str, &str)> {
    let query = variable["query"]["query"].as_str()?;
    assert_eq!(query, text(variable, "definition"));
    let inner = query.strip_prefix("label_values(")?.strip_suffix(')')?;
    inner.rsplit_once(", ")
}

#[test]
fn dashboards_have_what_one_expects_of_them() {
    let mut uids = BTreeSet::new();
    for (name, dashboard) in dashboards() {
        assert_eq!(text(&dashboard, "uid"), format!("trailmeter-{name}"));
        assert!(uids.insert(text(&dashboard, "uid").to_owned()));
        assert!(text(&dashboard, "title").starts_with("trailmeter / "), "{name}");
        assert!(!text(&dashboard, "description").is_empty(), "{name}");
        assert_eq!(dashboard["editable"], false, "{name}");
        assert_eq!(dashboard["tags"], serde_json::json!(["trailmeter"]), "{name}");
        // 39 is the schema of Grafana 10.4, which later ones read.
        assert!((36..=41).contains(&dashboard["schemaVersion"].as_u64().unwrap()), "{name}");
        assert!(dashboard["id"].is_null(), "{name}: an id is of one Grafana");
        assert_eq!(dashboard["time"]["to"], "now", "{name}");
        assert!(["30s", "1m"].contains(&text(&dashboard, "refresh")), "{name}");
        // By this one gets from each to the others, with what was chosen.
        let others = list(&dashboard, "/links").iter().find(|link| link["type"] == "dashboards").unwrap();
        let carried = (&others["tags"][0], &others["includeVars"], &others["keepTime"]);
        assert_eq!(carried, (&"trailmeter".into(), &true.into(), &true.into()), "{name}");
    }
}

#[test]
fn data_source_job_and_instance_can_be_chosen() {
    for (name, dashboard) in dashboards() {
        let source = variable(&dashboard, "datasource").unwrap();
        assert_eq!((text(source, "type"), text(source, "query")), ("datasource", "prometheus"), "{name}");
        assert_eq!(text(source, "label"), "Data source", "{name}");
        for (variable_name, label) in [("job", "Job"), ("instance", "Instance")] {
            let variable = variable(&dashboard, variable_name).unwrap();
            assert_eq!((text(variable, "type"), text(variable, "label")), ("query", label), "{name}");
            assert_eq!((&variable["multi"], &variable["includeAll"]), (&true.into(), &true.into()), "{name}");
            assert_eq!(text(variable, "allValue"), ".+", "{name}");
        }
        for variable in variables(&dashboard) {
            let place = format!("{name}, ${}", text(variable, "name"));
            assert!(!text(variable, "label").is_empty(), "{place}");
            if variable["type"] == "query" {
                assert_eq!(variable["datasource"]["uid"], "${datasource}", "{place}");
                // 2: anew when the time shown changes, so that one sees who was there then.
                assert_eq!(variable["refresh"], 2, "{place}");
                let (selector, label) = label_values(variable).unwrap_or_else(|| panic!("{place}"));
                let chosen_before = match label {
                    "job" => "",
                    "instance" => r#"{job=~"$job""#,
                    _ => SELECTS,
                };
                assert!(selector.contains(chosen_before), "{place}: {selector}");
            }
        }
        let page = variable(&dashboard, "page").unwrap();
        assert_eq!((text(page, "type"), text(page, "query")), ("textbox", "http://127.0.0.1:9464"), "{name}");
    }
}

#[test]
fn panels_say_what_they_show() {
    for (name, dashboard) in dashboards() {
        let (mut ids, mut titles) = (BTreeSet::new(), BTreeSet::new());
        for panel in list(&dashboard, "/panels") {
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{name}: two panels with the same id");
            assert!(!text(panel, "title").is_empty(), "{name}");
        }
        for panel in panels(&dashboard) {
            let place = format!("{name}, {:?}", text(panel, "title"));
            assert!(titles.insert(text(panel, "title").to_owned()), "{place} is there twice");
            let description = text(panel, "description");
            assert!(description.len() > 20 && description.ends_with('.'), "{place}: {description:?}");
            let unit = panel.pointer("/fieldConfig/defaults/unit").and_then(Value::as_str);
            assert!(unit.is_some_and(|unit| !unit.is_empty()), "{place} has no unit");
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{place}");
            let targets = list(panel, "/targets");
            assert!(!targets.is_empty(), "{place} asks nothing");
            let references: BTreeSet<&str> = targets.iter().map(|target| text(target, "refId")).collect();
            assert_eq!(references.len(), targets.len(), "{place}");
            for target in targets {
                assert_eq!(target["datasource"]["uid"], "${datasource}", "{place}");
                // One value, or a course of them.
                let is_instant = matches!(text(panel, "type"), "stat" | "table");
                assert_eq!(target["instant"], is_instant, "{place}");
                assert_eq!(target["range"], !is_instant, "{place}");
                let format = target["format"].as_str().unwrap_or_default();
                let wanted =
                    if matches!(text(panel, "type"), "table" | "heatmap") { text(panel, "type") } else { "" };
                assert_eq!(format, wanted, "{place}");
            }
        }
    }
}

#[test]
fn panels_stand_beside_each_other() {
    for (name, dashboard) in dashboards() {
        let mut taken = BTreeSet::new();
        for panel in list(&dashboard, "/panels") {
            let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
            assert!(w > 0 && h > 0 && x + w <= 24, "{name}, {}", panel["title"]);
            for place in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                assert!(taken.insert(place), "{name}, {} lies over another at {place:?}", panel["title"]);
            }
        }
        // Who is weak stands first.
        let first = panels(&dashboard).next().unwrap();
        assert!(first["gridPos"]["y"].as_u64().unwrap() <= 1, "{name}");
    }
}

/// What stands in the brackets behind each call of a function.
fn ranges<'a>(expression: &'a str, function: &'a str) -> impl Iterator<Item = &'a str> {
    let calls = expression
        .match_indices(function)
        .filter(move |(at, _)| !expression[..*at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_'));
    calls.map(move |(at, _)| {
        let (_, range) =
            expression[at..].split_once("}[").unwrap_or_else(|| panic!("no range: {expression}"));
        range.split_once(']').unwrap().0
    })
}

#[test]
fn queries_follow_the_conventions() {
    for (name, dashboard) in dashboards() {
        for Query { place, expression, .. } in queries(name, &dashboard) {
            for range in ranges(&expression, "rate(") {
                assert_eq!(range, "$__rate_interval", "{place}: {expression}");
            }
            for range in ranges(&expression, "increase(") {
                let is_known = ["$__rate_interval", "$__range", "$__interval"].contains(&range);
                assert!(is_known, "{place}: {expression}");
            }
            let names: BTreeSet<&str> = metrics_in(&expression).into_iter().chain(["up"]).collect();
            let mut selectors = 0;
            for name in names {
                for (at, _) in expression.match_indices(name) {
                    let rest = &expression[at + name.len()..];
                    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
                    if rest.starts_with(is_part) || expression[..at].ends_with(is_part) {
                        continue;
                    }
                    // `up` may be a part of `group_left` or such, but no name of its own without a selector.
                    assert!(
                        rest.starts_with(SELECTS),
                        "{place}: {name} without job and instance: {expression}"
                    );
                    selectors += 1;
                }
            }
            assert!(selectors > 0, "{place}: {expression}");
        }
    }
}

/// The same thing has the same colour everywhere.
#[test]
fn colours_have_a_meaning() {
    const RED: &[&str] = &["red", "dark-red"];
    const CALM: &[&str] = &["blue", "light-blue", "green"];
    let meanings: [(&str, &[&str]); 17] = [
        ("SigV2", RED),
        ("sigv2", RED),
        ("TLSv1", RED),
        ("tls10", RED),
        ("TLSv1.1", &["orange"]),
        ("tls11", &["orange"]),
        ("TLS 1.0 and 1.1", &["orange"]),
        ("long_term_key", &["yellow"]),
        ("SigV4", CALM),
        ("SigV4A", CALM),
        ("TLSv1.2", CALM),
        ("TLSv1.3", CALM),
        ("unknown", &["#8e8e8e"]),
        ("call", CALM),
        ("rejected", RED),
        ("failed", RED),
        ("committed", CALM),
    ];
    let mut found = BTreeSet::new();
    for (name, dashboard) in dashboards() {
        for panel in panels(&dashboard) {
            for change in list(panel, "/fieldConfig/overrides") {
                let of = change["matcher"]["options"].as_str().unwrap();
                let colour = list(change, "/properties").iter().find(|property| property["id"] == "color");
                let Some(colour) = colour else { continue };
                let colour = text(&colour["value"], "fixedColor");
                if let Some((_, wanted)) = meanings.iter().find(|(meant, _)| *meant == of) {
                    found.insert(of.to_owned());
                    assert!(wanted.contains(&colour), "{name}, {}: {of} is {colour}", panel["title"]);
                }
            }
        }
    }
    let missing: Vec<_> = meanings.iter().filter(|(meant, _)| !found.contains(*meant)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    // Where versions are shown side by side, each of them has its colour.
    for title in ["Calls by signature version", "Calls by TLS version"] {
        let overview = dashboard("overview");
        let panel = panels(&overview).find(|panel| panel["title"] == title).unwrap();
        let named: BTreeSet<&str> = list(panel, "/fieldConfig/overrides")
            .iter()
            .map(|change| change["matcher"]["options"].as_str().unwrap())
            .collect();
        let versions = trailmeter::event::signature::LABELS.iter().chain(&trailmeter::event::tls::LABELS);
        versions.for_each(|version| assert!(named.contains(version), "{title}: {version}"));
    }
}

/// All links of a dashboard and its panels.
fn links(dashboard: &Value) -> Vec<String> {
    let mut links: Vec<String> =
        list(dashboard, "/links").iter().map(|link| text(link, "url").to_owned()).collect();
    for change in panels(dashboard).flat_map(|panel| list(panel, "/fieldConfig/overrides")) {
        for property in list(change, "/properties").iter().filter(|property| property["id"] == "links") {
            links.extend(list(property, "/value").iter().map(|link| text(link, "url").to_owned()));
        }
    }
    links.retain(|link| !link.is_empty());
    links
}

#[test]
fn links_lead_to_callers_and_dashboards() {
    const IN_TABLES: &str = "${page}/caller?account_id=${__data.fields.account_id:percentencode}\
                             &principal=${__data.fields.principal:percentencode}";
    const CHOSEN: &str =
        "${page}/caller?account_id=${account_id:percentencode}&principal=${principal:percentencode}";
    let (overview, callers) = (dashboard("overview"), dashboard("callers"));
    assert!(links(&overview).iter().any(|link| link == IN_TABLES));
    assert!(links(&callers).iter().any(|link| link == IN_TABLES));
    assert!(links(&callers).iter().any(|link| link == CHOSEN));
    let known: BTreeSet<String> =
        dashboards().map(|(_, dashboard)| text(&dashboard, "uid").to_owned()).collect();
    for (name, dashboard) in dashboards() {
        for link in links(&dashboard) {
            // Everything that is put in is known where it is put in: a variable, or a label of a table's rows.
            for (at, _) in link.match_indices("${") {
                let word = link[at + 2..].split(['}', ':']).next().unwrap();
                let is_column = matches!(word, "__data.fields.account_id" | "__data.fields.principal");
                let is_known =
                    is_column || word == "__url_time_range" || variable(&dashboard, word).is_some();
                assert!(is_known, "{name}: {word} in {link}");
            }
            match link.strip_prefix("/d/") {
                Some(rest) => {
                    let (uid, chosen) = rest.split_once('?').unwrap();
                    assert!(known.contains(uid), "{name}: {link}");
                    let variables = chosen.split('&').filter_map(|part| part.strip_prefix("var-"));
                    for variable_name in variables.map(|part| part.split('=').next().unwrap()) {
                        assert!(variable(&callers, variable_name).is_some(), "{name}: {link}");
                    }
                }
                None => assert!(link.starts_with("${page}/"), "{name}: {link}"),
            }
        }
        // Links name columns by their labels: nothing may rename those.
        for panel in panels(&dashboard).filter(|panel| panel["type"] == "table") {
            for step in list(panel, "/transformations").iter().filter(|step| step["id"] == "organize") {
                let renamed = step["options"]["renameByName"].as_object().unwrap();
                assert!(renamed.is_empty(), "{name}, {}", panel["title"]);
            }
        }
    }
}

#[test]
fn new_callers_are_marked_when_somebody_was_paged() {
    let overview = dashboard("overview");
    let [annotation] = list(&overview, "/annotations/list") else { panic!("one is expected") };
    assert_eq!(annotation["datasource"]["uid"], "${datasource}");
    // The value is the time, in milliseconds.
    assert_eq!(annotation["useValueForTime"], "on");
    let expression = text(annotation, "expr");
    assert!(
        expression.starts_with("1000 * max without (instance, job, pod) (trailmeter_caller_paged_"),
        "{expression}"
    );
    assert_eq!(annotation["enable"], true);
}

/// A caller that several instances know is one row.
#[test]
fn callers_of_several_instances_are_one() {
    for (name, dashboard) in dashboards() {
        for Query { place, expression, .. } in queries(name, &dashboard) {
            for (at, _) in expression.match_indices("trailmeter_caller_") {
                let before = &expression[..at];
                let is_one =
                    before.ends_with("max without (instance, job, pod) (") || before.ends_with("max(");
                assert!(is_one, "{place}: {expression}");
            }
        }
    }
}

#[test]
fn grafana_finds_dashboards_and_data_source() {
    let provider = yaml("grafana/provisioning/dashboards/trailmeter.yml");
    assert_eq!(provider["apiVersion"], 1);
    let [provider] = list(&provider, "/providers") else { panic!("one is expected") };
    assert_eq!((text(provider, "type"), &provider["allowUiUpdates"]), ("file", &false.into()));
    let folder = provider["options"]["path"].as_str().unwrap();
    // What compose mounts there is the folder that these tests read.
    let compose = yaml("deploy/local/compose.yaml");
    let mounts = list(&compose, "/services/grafana/volumes");
    assert!(mounts.contains(&Value::from(format!("../../grafana/dashboards:{folder}:ro"))), "{mounts:?}");
    let home = &compose["services"]["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"];
    assert_eq!(home, &Value::from(format!("{folder}/overview.json")));

    let sources = yaml("grafana/provisioning/datasources/prometheus.yml");
    assert_eq!(sources["apiVersion"], 1);
    let [source] = list(&sources, "/datasources") else { panic!("one is expected") };
    assert_eq!((text(source, "type"), text(source, "url")), ("prometheus", "$PROMETHEUS_URL"));
    assert!(compose["services"]["grafana"]["environment"]["PROMETHEUS_URL"].is_string());
    // As often as is scraped: the least of $__rate_interval is four times that.
    let prometheus = yaml("deploy/local/prometheus.yml");
    assert_eq!(source["jsonData"]["timeInterval"], prometheus["global"]["scrape_interval"]);

    let mut files: Vec<String> = std::fs::read_dir(repository("grafana/dashboards"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, ["callers.json", "overview.json", "pipeline.json"], "one is not tested");
}

/// A trailmeter with everything that has metrics: rules, an Alertmanager, a webhook and standard output.
struct Scene {
    run: Trailmeter,
    prometheus: Prometheus,
    _alertmanager: Alertmanager,
    _webhook: Webhook,
    _place: Place,
}

impl Scene {
    fn begin() -> Self {
        let (place, webhook) = (Place::new(), Webhook::start());
        let alertmanager = Alertmanager::start(&place.folder("alertmanager"));
        let config = place.write(
            "trailmeter.yaml",
            format!(
                "sources: [{{generator: {{rate: 400, backlog: 10000, shards: 2}}}}]\n\
                 state: {{embedded: {{path: {:?}, commit_interval: 200ms}}}}\n\
                 rules: {{packs: [signatures, credentials, visibility, exposure, behaviour]}}\n\
                 alerts: {{alertmanagers: ['{}']}}\nsinks: {{stdout: true, webhook: '{}'}}\n",
                place.path("state"),
                alertmanager.url(),
                webhook.url(),
            ),
        );
        let run = Trailmeter::run(&["--config", &config]);
        run.wait_until("/api/v1/totals", |totals| totals["events"].as_u64() > Some(10_000));
        let options = Options { targets: vec![run.address().to_owned()], ..Options::default() };
        let prometheus = Prometheus::start(&place.folder("prometheus"), &options);
        Self { run, prometheus, _alertmanager: alertmanager, _webhook: webhook, _place: place }
    }

    /// The series of an expression that have a value, once there are any.
    fn answer(&self, place: &str, expression: &str) -> Vec<Value> {
        let end = Instant::now() + PATIENCE;
        loop {
            let mut series = self.prometheus.series(expression);
            // Nothing divided by nothing is drawn as nothing.
            series.retain(|row| row["value"][1] != "NaN");
            if !series.is_empty() {
                return series;
            }
            assert!(Instant::now() < end, "{place}: no answer to {expression}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// What Grafana would offer for each variable of a dashboard, the first of it chosen where one is.
    fn chosen(&self, name: &str, dashboard: &Value, is_all: bool) -> BTreeMap<String, String> {
        let mut chosen = BTreeMap::new();
        for variable in variables(dashboard) {
            let Some((selector, label)) = label_values(variable) else { continue };
            let place = format!("{name}, variable ${label}");
            let selector = substituted(selector, &chosen);
            let offered = self.answer(&place, &format!("group by ({label}) ({selector})"));
            let first = offered.iter().map(|row| text(&row["metric"], label)).min().unwrap();
            let value = match (&variable["multi"], is_all) {
                (Value::Bool(true), true) => text(variable, "allValue").to_owned(),
                // As Grafana escapes what stands in a regular expression, and several with bars between.
                (Value::Bool(true), false) => format!("({}|other)", first.replace('.', "\\\\.")),
                _ => first.to_owned(),
            };
            chosen.insert(text(variable, "name").to_owned(), value);
        }
        chosen
    }
}

/// A text as `percentencode` writes it.
fn encoded(text: &str) -> String {
    let as_it_is = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let encode =
        |byte: u8| if as_it_is(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(encode).collect()
}

/// An expression as Grafana sends it.
fn substituted(expression: &str, chosen: &BTreeMap<String, String>) -> String {
    let mut text = expression.to_owned();
    for (name, value) in chosen {
        text = text.replace(&format!("${name}"), value);
    }
    text
}

#[test]
fn every_query_has_an_answer() {
    let scene = Scene::begin();
    let mut asked = 0;
    for (name, dashboard) in dashboards() {
        for is_all in [true, false] {
            let chosen = scene.chosen(name, &dashboard, is_all);
            for Query { place, expression, interval } in queries(name, &dashboard) {
                let times = [("__rate_interval", "15s"), ("__range", "5m"), ("__interval", &interval)];
                let times = times.map(|(name, value)| (name.to_owned(), value.to_owned()));
                let expression = substituted(&substituted(&expression, &times.into()), &chosen);
                assert!(!expression.contains('$'), "{place}: {expression}");
                scene.answer(&place, &expression);
                asked += 1;
            }
        }
    }
    assert!(asked > 120, "{asked}");
    // Where the link of a row leads, somebody is at home.
    let row = &scene.run.json("/api/v1/callers?limit=1")["rows"][0];
    let (account_id, principal) = (text(row, "account_id"), encoded(text(row, "principal")));
    let (status, page) = scene.run.get(&format!("/caller?account_id={account_id}&principal={principal}"));
    assert!(status == 200 && page.contains(text(row, "principal")), "{status} {page}");
    println!("{asked} queries have an answer");
    assert!(scene.run.stop().success());
}

/// A metric that is renamed, or a counter that is shown as it is, fails here.
#[test]
fn dashboards_name_metrics_that_are_there() {
    let scene = Scene::begin();
    let (_, metrics) = scene.run.get("/metrics");
    let types: BTreeMap<String, String> = names_and_types(&metrics).into_iter().collect();
    let mut used = BTreeSet::new();
    for (name, dashboard) in dashboards() {
        let mut expressions: Vec<(String, String)> =
            queries(name, &dashboard).into_iter().map(|query| (query.place, query.expression)).collect();
        for variable in variables(&dashboard) {
            expressions.extend(
                label_values(variable)
                    .map(|(selector, _)| (format!("{name}, a variable"), selector.to_owned())),
            );
        }
        for (place, expression) in expressions {
            for metric in metrics_in(&expression) {
                let kind =
                    types.get(metric).unwrap_or_else(|| panic!("{place}: {metric} is not in /metrics"));
                used.insert(metric.to_owned());
                for (at, _) in expression.match_indices(&format!("{metric}{{")) {
                    let before = &expression[..at];
                    let is_rate = before.ends_with("rate(") || before.ends_with("increase(");
                    assert_eq!(kind == "counter", is_rate, "{place}: {metric}: {expression}");
                }
            }
        }
    }
    // All that there is to see can be seen.
    let shown = |name: &&String| used.contains(*name) || name.ends_with("_sum") || name.ends_with("_count");
    let unseen: Vec<&String> = types.keys().filter(|name| !shown(name)).collect();
    assert!(unseen.is_empty(), "no dashboard shows {unseen:?}");
    assert!(scene.run.stop().success());
}
