//! The page: the same numbers as the API's, for people. Rendered here, refreshed by `page.js`.

mod escape;
mod sections;
mod tables;
mod text;

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::{Html, IntoResponse, Response};

pub use escape::escape;

use super::Web;
use super::error::ApiError;
use super::parameters::Parameters;
use super::shared::Shared;
use crate::event::time;
use crate::window::WindowSize;

/// The page's style sheet.
pub const CSS: &str = include_str!("page.css");
/// The page's script.
pub const JS: &str = include_str!("page.js");
/// The page's icon.
pub const ICON: &str = include_str!("page.svg");

/// The page of a window, the last hour's if none is asked for.
pub async fn page(State(shared): State<Arc<Shared>>, uri: Uri) -> Result<Response, ApiError> {
    let parameters = Parameters::read(&uri, &["window"])?;
    let is_asked_for = uri.query().is_some_and(|query| !query.is_empty());
    let window = if is_asked_for { parameters.window()? } else { WindowSize::Hour };
    let html = shared.kept(shared.page(window), move |web, now_ms| render(web, window, now_ms)).await?;
    Ok(Html(html.to_string()).into_response())
}

fn render(web: &Web, window: WindowSize, now_ms: u64) -> Result<String, ApiError> {
    let at_s = web.views.now_s(now_ms);
    let totals = web.views.totals();
    let main = [
        sections::window(web, window, at_s)?,
        sections::coverage(&totals),
        sections::totals(&totals),
        sections::shards(web),
    ];
    Ok(format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>trailmeter · {label}</title>\n\
         <link rel=\"icon\" href=\"/page.svg\" type=\"image/svg+xml\">\n\
         <link rel=\"stylesheet\" href=\"/page.css\">\n\
         <script src=\"/page.js\" defer></script>\n</head>\n<body>\n<header>\n\
         <h1>trailmeter <span class=\"version\">{version}</span></h1>\n{switch}\n{state}\n</header>\n\
         <p id=\"gone\" role=\"status\"></p>\n<main id=\"main\">\n{main}\n</main>\n</body>\n</html>\n",
        label = window.label(),
        version = env!("CARGO_PKG_VERSION"),
        switch = switch(window),
        state = state(web, at_s),
        main = main.join("\n"),
    ))
}

/// Links to the three windows.
fn switch(current: WindowSize) -> String {
    let links = WindowSize::ALL.map(|window| {
        let (label, mark) = (window.label(), if window == current { " aria-current=\"page\"" } else { "" });
        format!("<a id=\"window-{label}\" href=\"/?window={label}\"{mark}>{label}</a>")
    });
    format!("<nav aria-label=\"Window\">{}</nav>", links.join(""))
}

/// Whether the process is ready, and the time that the page is of.
fn state(web: &Web, at_s: i64) -> String {
    let ready = match web.readiness.not_ready_because() {
        None => "<span class=\"good\">ready</span>".to_owned(),
        Some(reason) => format!("<span class=\"bad\">not ready: {}</span>", escape(&reason)),
    };
    format!(
        "<p id=\"state\">{ready} <span class=\"as-of\">as of {}</span></p>",
        text::instant(&time::format(at_s))
    )
}
