//! The files of rules/prometheus, as far as tests look into them.

use serde_json::Value;

use super::repository;

/// The files that a Prometheus loads.
pub const FILES: [&str; 2] = ["rules/prometheus/trailmeter.yml", "rules/prometheus/new-callers.yml"];

/// A YAML file of the repository.
pub fn yaml(path: &str) -> Value {
    let text = std::fs::read_to_string(repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_yaml_ng::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All rules of a file.
pub fn rules(path: &str) -> Vec<Value> {
    let groups = yaml(path)["groups"].as_array().unwrap().clone();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

/// The metrics of trailmeter that an expression names, without those that rules record.
pub fn metrics_in(expression: &str) -> Vec<&str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
    let words = expression.split(|c| !is_name(c));
    words.filter(|word| word.starts_with("trailmeter_") && !word.contains(':')).collect()
}

/// The names of an expression that rules record.
pub fn recorded_in(expression: &str) -> Vec<&str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
    let words = expression.split(|c| !is_name(c));
    words.filter(|word| word.contains(':') && word.contains("trailmeter")).collect()
}

/// The names of the metrics in an answer of `/metrics`, with their types; those of histograms are of their series.
pub fn names_and_types(text: &str) -> Vec<(String, String)> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let series = types.flat_map(|(name, kind)| match kind {
        "histogram" => ["_bucket", "_sum", "_count"]
            .map(|suffix| (format!("{name}{suffix}"), "counter".to_owned()))
            .to_vec(),
        _ => vec![(name.to_owned(), kind.to_owned())],
    });
    series.collect()
}
