//! Which path is answered by what, and what holds for every answer.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::header::{REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::error::ApiError;
use super::shared::Shared;
use super::{Bounds, Web, api, callers, guard, page, probes, rules, runbooks, scrape, shards, windows};

/// The paths, for those who miss them.
const PATHS: &str = "/, /callers, /caller, /matches, /rules, /shards, /status, /metrics, /-/healthy, /-/ready, /-/reload, /api/v1/windows, /api/v1/totals, \
                     /api/v1/coverage, /api/v1/callers, /api/v1/matches, /api/v1/rules, \
                     /api/v1/shards, /api/v1/status, \
                     /runbooks/NAME";

/// The page loads nothing from elsewhere and is shown in no other page's frame.
const SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                               img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Headers of every answer.
const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static(SECURITY_POLICY)),
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
];

/// All routes.
pub fn router(web: Arc<Web>, bounds: Bounds) -> Router {
    let shared = Arc::new(Shared::new(web, bounds));
    let pages = page::paths().fold(Router::new(), |router, path| router.route(path, get(page::page)));
    pages
        .route("/page.css", get(async || text("text/css; charset=utf-8", crate::html::CSS)))
        .route("/page.js", get(async || text("text/javascript; charset=utf-8", page::JS)))
        .route("/page.svg", get(async || text("image/svg+xml", page::ICON)))
        .route("/metrics", get(scrape::metrics))
        .route("/-/healthy", get(probes::healthy))
        .route("/-/ready", get(probes::ready))
        .route("/-/reload", post(probes::reload))
        .route("/api/v1/windows", get(windows::windows))
        .route("/api/v1/totals", get(api::totals))
        .route("/api/v1/coverage", get(api::coverage))
        .route("/api/v1/callers", get(callers::callers))
        .route("/api/v1/matches", get(rules::matches))
        .route("/api/v1/rules", get(rules::rules))
        .route("/runbooks/{name}", get(runbooks::runbook))
        .route("/api/v1/shards", get(shards::shards))
        .route("/api/v1/status", get(api::status))
        .fallback(async || ApiError::new(StatusCode::NOT_FOUND, format!("no such path: there are {PATHS}")))
        .method_not_allowed_fallback(async || {
            ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "wrong method: `allow` names those of this path")
        })
        .layer(DefaultBodyLimit::max(bounds.max_body))
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), bound))
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), guard::admit))
        .layer(middleware::map_response(with_headers))
        .with_state(shared)
}

fn text(content_type: &'static str, text: &'static str) -> Response {
    ([(CONTENT_TYPE, content_type)], text).into_response()
}

async fn with_headers(mut response: Response) -> Response {
    // What the web config says of a header stands before this.
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(value);
    }
    response
}

/// Refuses large bodies and gives up on answers that take too long.
async fn bound(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let Bounds { max_body, timeout, .. } = shared.bounds;
    let length =
        request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > max_body as u64) {
        shared.web.metrics.limit_hits.with_label_values(&["max_body"]).inc();
        return too_large(max_body).into_response();
    }
    tokio::time::timeout(timeout, next.run(request)).await.unwrap_or_else(|_| {
        let message = format!(
            "no answer within {} s: ask for less with `limit`, or again later",
            timeout.as_secs_f64()
        );
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, message).into_response()
    })
}

/// A body beyond `web.max_body`.
pub fn too_large(max_body: usize) -> ApiError {
    let message = format!("the body is larger than web.max_body ({max_body} bytes): send less");
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, message)
}
