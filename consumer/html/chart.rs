//! Charts as SVG without a style or a script of their own: `page.css` colours them by class, in light and dark.

use std::fmt::Write;

use maud::{Markup, PreEscaped, html};

use super::text::{minute, number, share};
use crate::event::time::{self, DAY_S};
use crate::event::{UNKNOWN, signature, tls};
use crate::window::{HOUR_S, MINUTE_S, Trend, Versions};

/// Height of a chart in its own units; a bar is one unit wide.
const HEIGHT: f64 = 100.0;
/// Height of a sparkline.
const SPARK_HEIGHT: f64 = 10.0;
/// What there is of a weak version is seen, however little it is.
const LEAST: f64 = 1.5;

/// By what calls are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dimension {
    /// The signature version.
    Signature,
    /// The TLS version.
    Tls,
}

impl Dimension {
    /// The versions, the weak ones first: they stand at the foot of each bar.
    fn labels(self) -> &'static [&'static str] {
        match self {
            Self::Signature => &signature::LABELS,
            Self::Tls => &tls::LABELS,
        }
    }

    fn label_of(self, versions: Versions) -> &'static str {
        match self {
            Self::Signature => versions.signature(),
            Self::Tls => versions.tls(),
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Signature => "Signature version",
            Self::Tls => "TLS version",
        }
    }
}

struct Series {
    name: &'static str,
    class: &'static str,
    calls: Vec<u64>,
}

/// Which colour a version has.
fn class_of(name: &str) -> &'static str {
    match name {
        "SigV2" | "TLSv1" => "weak",
        "TLSv1.1" => "weaker",
        "SigV4" | "TLSv1.2" => "fine",
        UNKNOWN => "unknown",
        _ => "best",
    }
}

/// Calls over time by both dimensions, beside each other where there is room.
pub fn both(trend: &Trend) -> Markup {
    html! {
        div.columns {
            (over_time("by-signature", Dimension::Signature, trend))
            (over_time("by-tls", Dimension::Tls, trend))
        }
    }
}

/// Calls over time: stacked bars with a table below that has each version on a scale of its own.
fn over_time(id: &str, dimension: Dimension, trend: &Trend) -> Markup {
    let series: Vec<Series> = dimension
        .labels()
        .iter()
        .map(|name| Series {
            name,
            class: class_of(name),
            calls: trend.of(|versions| dimension.label_of(versions) == *name),
        })
        .filter(is_shown)
        .collect();
    let all: u64 = series.iter().flat_map(|series| &series.calls).sum();
    let title = format!("{id}-title");
    html! {
        figure.chart aria-labelledby=(title) {
            figcaption #(title) { "Calls by " (dimension.title().replace("Signature", "signature")) }
            (bars(&series, trend))
            (axis(trend))
            table.legend {
                thead { tr {
                    th scope="col" { (dimension.title()) }
                    th.trend scope="col" { "Trend" }
                    th.number scope="col" { "Calls" }
                    th.number scope="col" { "Share" }
                } }
                tbody {
                    @for Series { name, class, calls } in &series {
                        @let sum = calls.iter().sum::<u64>();
                        tr {
                            th scope="row" { span.swatch.(class) {} (name) }
                            td.trend { (spark(calls, class)) }
                            td.number { (number(sum)) }
                            td.number { (share(sum, all)) }
                        }
                    }
                }
            }
        }
    }
}

/// A version that nobody uses is shown where its absence is news.
fn is_shown(series: &Series) -> bool {
    series.name != "SigV4A" || series.calls.iter().any(|calls| *calls > 0)
}

fn bars(series: &[Series], trend: &Trend) -> Markup {
    let buckets = trend.calls.len();
    let sums: Vec<u64> = (0..buckets).map(|at| series.iter().map(|series| series.calls[at]).sum()).collect();
    let most = sums.iter().copied().max().unwrap_or(0);
    let scale = HEIGHT / most.max(1) as f64;
    let mut feet = vec![0.0; buckets];
    html! {
        div.plot {
            span.most { (number(most)) }
            svg viewBox=(format!("0 0 {buckets} {HEIGHT}")) preserveAspectRatio="none" aria-hidden="true" {
                @for Series { class, calls, .. } in series {
                    path class=(class) d=(stacked(calls, scale, is_weak(class), &mut feet)) {}
                }
                @for at in 0..buckets {
                    rect.hover x=(at) y="0" width="1" height="100" { title { (tooltip(series, trend, at)) } }
                }
            }
        }
    }
}

fn is_weak(class: &str) -> bool {
    matches!(class, "weak" | "weaker")
}

/// The bars of one version upon those below them.
fn stacked(calls: &[u64], scale: f64, is_weak: bool, feet: &mut [f64]) -> String {
    let mut path = String::new();
    for (at, calls) in calls.iter().enumerate().filter(|(_, calls)| **calls > 0) {
        let height = (*calls as f64 * scale).max(if is_weak { LEAST } else { 0.0 });
        let foot = HEIGHT - feet[at];
        feet[at] += height;
        // Writing to a text can't fail.
        write!(path, "M{at}.1 {foot:.1}v-{height:.1}h.8v{height:.1}z").ok();
    }
    path
}

fn tooltip(series: &[Series], trend: &Trend, at: usize) -> String {
    let mut text = minute(&time::format(trend.begins_s(at)));
    for series in series.iter().filter(|series| series.calls[at] > 0) {
        write!(text, "\n{} {}", series.name, number(series.calls[at])).ok();
    }
    text
}

/// When the first and the last bucket begin.
fn axis(trend: &Trend) -> Markup {
    let last = trend.calls.len().saturating_sub(1);
    let unit = match trend.bucket_s {
        MINUTE_S => "a minute".to_owned(),
        HOUR_S => "an hour".to_owned(),
        DAY_S => "a day".to_owned(),
        bucket_s => format!("in {} days", bucket_s / DAY_S),
    };
    let at = |at: usize| minute(&time::format(trend.begins_s(at)));
    html! {
        p.axis {
            span { (at(0)) } span.unit { "calls " (unit) } span { (at(last)) }
        }
    }
}

/// Bars without an axis, on a scale of their own.
pub fn spark(calls: &[u64], class: &str) -> Markup {
    let most = calls.iter().copied().max().unwrap_or(0).max(1) as f64;
    let mut path = String::new();
    for (at, calls) in calls.iter().enumerate().filter(|(_, calls)| **calls > 0) {
        let height = (*calls as f64 / most * SPARK_HEIGHT).round().max(1.0);
        write!(path, "M{at} 10v-{height}h1v{height}z").ok();
    }
    let view = format!("0 0 {} {SPARK_HEIGHT}", calls.len().max(1));
    html! {
        svg.spark viewBox=(view) preserveAspectRatio="none" aria-hidden="true" {
            @if !path.is_empty() { path class=(class) d=(PreEscaped(path)) {} }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_stand_upon_each_other() {
        let mut feet = vec![0.0; 3];
        assert_eq!(
            stacked(&[1, 0, 1000], 0.1, true, &mut feet),
            "M0.1 100.0v-1.5h.8v1.5zM2.1 100.0v-100.0h.8v100.0z"
        );
        assert_eq!(
            stacked(&[100, 50, 0], 0.1, false, &mut feet),
            "M0.1 98.5v-10.0h.8v10.0zM1.1 100.0v-5.0h.8v5.0z"
        );
    }

    #[test]
    fn a_sparkline_has_its_own_scale_and_shows_the_least() {
        let svg = spark(&[0, 1, 1000], "weak").into_string();
        assert!(svg.contains("M1 10v-1h1v1zM2 10v-10h1v10z"), "{svg}");
        assert!(!spark(&[0, 0], "weak").into_string().contains("path"));
    }
}
