//! The page: the same numbers as the API's, for people. Rendered here, so that it works without a script; `page.js`
//! fetches it anew every two seconds and changes what has changed.
//!
//! Enters: an address. Leaves: HTML, in which each view, filter, order and caller has an address of its own.

mod caller;
mod callers;
mod matches;
mod overview;
mod rules;
mod shards;
mod status;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{Html, IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use super::Web;
use super::error::ApiError;
use super::parameters::Parameters;
use super::shared::Shared;
use crate::event::time;
use crate::html::parts::{ago, plain, shown};
use crate::html::text;

/// The page's script.
pub const JS: &str = include_str!("page.js");
/// The page's icon.
pub const ICON: &str = include_str!("page.svg");

/// What a view says of itself.
pub struct View {
    /// Its name in the window's title; hostile.
    title: String,
    /// What stands in its head beside the name of the program.
    tools: Markup,
    /// The rest.
    main: Markup,
}

/// A view, by its path.
type Draw = fn(&Web, &Parameters, u64) -> Result<View, ApiError>;

/// Path, name in the navigation if it stands there, parameters, what draws it.
const VIEWS: [(&str, Option<&str>, &[&str], Draw); 7] = [
    ("/", Some("Overview"), &["window"], overview::view),
    ("/callers", Some("Callers"), &["q", "weakness", "seen", "sort", "page"], callers::view),
    ("/caller", None, &["account_id", "principal"], caller::view),
    ("/matches", Some("Matches"), &["rule", "before"], matches::view),
    ("/rules", Some("Rules"), &[], |web, _, now_ms| rules::view(web, now_ms)),
    ("/shards", Some("Shards"), &[], |web, _, _| Ok(shards::view(web))),
    ("/status", Some("Status"), &[], |web, _, _| Ok(status::view(web))),
];

/// The paths of the views.
pub fn paths() -> impl Iterator<Item = &'static str> {
    VIEWS.iter().map(|(path, ..)| *path)
}

/// A view.
pub async fn page(State(shared): State<Arc<Shared>>, uri: Uri) -> Response {
    let address = uri.path_and_query().map_or("/", |address| address.as_str()).to_owned();
    let drawn = shared.kept(&shared.page(&address), move |web, now_ms| render(web, &uri, now_ms)).await;
    match drawn {
        Ok(html) => Html(html.to_string()).into_response(),
        Err(error) => {
            let status = error.status();
            let web = &shared.web;
            let view = View { title: "Not here".to_owned(), tools: html! {}, main: sorry(&error) };
            (status, Html(document(web, "", &view, (web.clock)()))).into_response()
        }
    }
}

fn render(web: &Web, uri: &Uri, now_ms: u64) -> Result<String, ApiError> {
    let path = uri.path();
    let Some((path, _, parameters, draw)) = VIEWS.iter().find(|(known, ..)| *known == path) else {
        return Err(ApiError::new(StatusCode::NOT_FOUND, "no such page"));
    };
    let parameters = Parameters::read(uri, parameters)?.with_values();
    Ok(document(web, path, &draw(web, &parameters, now_ms)?, now_ms))
}

fn document(web: &Web, path: &str, view: &View, now_ms: u64) -> String {
    let at_s = web.views.now_s(now_ms);
    // A caller's page belongs to the callers.
    let current = if path == "/caller" { "/callers" } else { path };
    let whole = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title #title { (plain(&view.title)) " · trailmeter" }
                link rel="icon" href="/page.svg" type="image/svg+xml";
                link rel="stylesheet" href="/page.css";
                script type="module" src="/page.js" {}
            }
            body {
                a.skip href="#main" { "Skip to content" }
                header #header {
                    h1 { a href="/" { "trailmeter" } " " span.version { (env!("CARGO_PKG_VERSION")) } }
                    nav.views aria-label="Views" {
                        @for (path, name, ..) in &VIEWS {
                            @if let Some(name) = name {
                                a href=(path) aria-current=[(*path == current).then_some("page")] { (name) }
                            }
                        }
                    }
                    div.tools { (view.tools) }
                    (state(web, at_s, now_ms))
                }
                p #gone role="status" {}
                main #main tabindex="-1" { (view.main) }
                (help())
            }
        }
    };
    whole.into_string()
}

/// Whether the process is ready, and the time that the page is of.
fn state(web: &Web, at_s: i64, now_ms: u64) -> Markup {
    let now_s = (now_ms / 1000).cast_signed();
    html! {
        p #state {
            @match web.readiness.not_ready_because() {
                None => { span.good { "ready" } }
                Some(reason) => { span.bad { "not ready: " (shown(&reason)) } }
            }
            " " span.as-of {
                "as of " time datetime=(time::format(at_s)) { (time::format(at_s)) }
                @if now_s - at_s > 60 { " (" (ago(at_s, now_s)) ")" }
            }
        }
    }
}

/// The keys.
fn help() -> Markup {
    html! {
        dialog #keys aria-labelledby="keys-title" {
            h2 #keys-title { "Keys" }
            dl.fields {
                dt { kbd { "/" } } dd { "search weak callers" }
                dt { kbd { "j" } " " kbd { "k" } } dd { "next and previous row" }
                dt { kbd { "Enter" } } dd { "open the row" }
                dt { kbd { "1" } " to " kbd { "6" } } dd { "the views, from left to right" }
                dt { kbd { "?" } } dd { "these keys" }
            }
            form method="dialog" { button { "Close" } }
        }
    }
}

/// What keeps alerts from being delivered, shards from being read or rules from being taken, on every view.
fn troubles(web: &Web) -> Markup {
    let now_ms = (web.clock)();
    let sinks: Vec<_> = web.shown_sinks().filter(|shown| shown.error.is_some()).collect();
    let shards = web.views.all().iter().filter(|view| view.status().error().is_some()).count();
    let sources: Vec<_> =
        web.sources.iter().filter_map(|source| Some((source.name().to_owned(), source.error()?))).collect();
    let are_rules_refused = web.rules.borrow().error.is_some();
    let is_learning = web.learning.is_on(web.settings.borrow().weak_callers.learn_for_ms, now_ms);
    html! {
        @for sink in &sinks {
            p.alarm { (text::number(sink.undelivered)) " alerts wait for " (shown(&sink.sink)) ": " (shown(sink.error.as_deref().unwrap_or_default())) }
        }
        @for (source, error) in &sources { p.alarm { (shown(source)) " can't be read: " (shown(error)) } }
        @if shards > 0 { p.alarm { (shards) " shards can't be read. " a href="/shards" { "Which, and why" } } }
        @if are_rules_refused { p.alarm { "New rules can't be used: the earlier ones stay in force. " a href="/rules" { "Why" } } }
        @if is_learning { p.hint { "Learning: new weak callers are remembered without a page. " a href="/status" { "Until when" } } }
    }
}

fn sorry(error: &ApiError) -> Markup {
    html! {
        section #sorry {
            h2 { "This can't be shown" }
            p { (plain(error.message())) }
            p { a href="/" { "Overview" } " · " a href="/callers" { "Weak callers" } }
        }
    }
}
