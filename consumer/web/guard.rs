//! Before a request is answered: is its side asking too often, and may it ask at all?
//!
//! Probes are always answered, so that an orchestrator needs no password. All else is counted against the rates first,
//! so that guessing passwords is slow, and then held against the web config.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::clock::DefaultClock;
use governor::state::keyed::HashMapStateStore;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use parking_lot::Mutex;

use super::access::{Access, Login, Rate, side_of};
use super::error::ApiError;
use super::shared::Shared;
use crate::metrics::Metrics;

/// Seconds of requests that a side may make at once.
const BURST_S: u32 = 10;
/// Sides that are remembered; above this, those that are at rest are forgotten.
const MOST_SIDES: usize = 10_000;
/// Between two refused logins that are logged, and two times that sides at rest are forgotten.
const INTERVAL: Duration = Duration::from_secs(1);

/// Where a connection comes from.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

type Sides = RateLimiter<IpAddr, HashMapStateStore<IpAddr>, DefaultClock>;
type All = RateLimiter<NotKeyed, InMemoryState, DefaultClock>;

/// Rates and rules.
pub struct Guard {
    access: Arc<Access>,
    /// By side; none: without a limit.
    sides: Option<Sides>,
    /// Over all sides, as the web config has it.
    all: Mutex<Option<(Rate, Arc<All>)>>,
    logged: Mutex<Option<Instant>>,
    cleaned: Mutex<Option<Instant>>,
}

impl Guard {
    /// A guard that lets each side ask so often a second; 0: without a limit.
    pub fn new(access: Arc<Access>, per_second: u32) -> Self {
        let sides = NonZeroU32::new(per_second).map(|per_second| {
            let burst = per_second.saturating_mul(NonZeroU32::new(BURST_S).unwrap_or(NonZeroU32::MIN));
            RateLimiter::hashmap(Quota::per_second(per_second).allow_burst(burst))
        });
        Self { access, sides, all: Mutex::default(), logged: Mutex::default(), cleaned: Mutex::default() }
    }

    fn is_too_often(&self, peer: IpAddr, rate: Option<Rate>) -> bool {
        let is_side = self.sides.as_ref().is_some_and(|sides| {
            if sides.len() > MOST_SIDES && is_due(&self.cleaned) {
                sides.retain_recent();
            }
            sides.check_key(&side_of(peer)).is_err()
        });
        is_side || rate.and_then(|rate| self.all(rate)).is_some_and(|all| all.check().is_err())
    }

    /// The limit over all sides: kept until the web config has another.
    fn all(&self, rate: Rate) -> Option<Arc<All>> {
        let mut kept = self.all.lock();
        if kept.as_ref().is_none_or(|(known, _)| *known != rate) {
            let quota = Quota::with_period(rate.interval)?.allow_burst(NonZeroU32::new(rate.burst)?);
            *kept = Some((rate, Arc::new(RateLimiter::direct(quota))));
        }
        kept.as_ref().map(|(_, all)| Arc::clone(all))
    }

    /// One line for many refusals: whoever guesses must not fill the log.
    fn log(&self, peer: IpAddr) {
        if is_due(&self.logged) {
            tracing::warn!(%peer, "a wrong name or password was refused");
        }
    }
}

/// Whether it was not so for a while; it is so now.
fn is_due(last: &Mutex<Option<Instant>>) -> bool {
    let mut last = last.lock();
    let is_due = last.is_none_or(|then| then.elapsed() >= INTERVAL);
    if is_due {
        *last = Some(Instant::now());
    }
    is_due
}

/// Lets a request in, or says why not.
pub async fn admit(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let guard = &shared.guard;
    let rules = guard.access.rules();
    let mut response = if is_probe(request.uri().path()) {
        next.run(request).await
    } else {
        let peer = request.extensions().get::<Peer>().map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.0);
        if guard.is_too_often(peer, rules.rate) {
            too_often(
                &shared.web.metrics,
                "too many requests: wait a second, or raise web.max_requests_per_second",
            )
        } else {
            match rules.login(request.headers(), side_of(peer)).await {
                Login::Granted => next.run(request).await,
                Login::Busy => {
                    too_often(&shared.web.metrics, "too many passwords wait to be checked: try again")
                }
                Login::Missing => unknown("this needs a name and a password"),
                Login::Refused => {
                    guard.log(peer);
                    unknown("wrong name or password")
                }
            }
        }
    };
    response.headers_mut().extend(rules.headers.iter().cloned());
    response
}

fn is_probe(path: &str) -> bool {
    matches!(path, "/-/healthy" | "/-/ready")
}

fn too_often(metrics: &Metrics, message: &str) -> Response {
    metrics.limit_hits.with_label_values(&["request_rate"]).inc();
    let mut response = ApiError::new(StatusCode::TOO_MANY_REQUESTS, message).into_response();
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn unknown(message: &str) -> Response {
    let mut response = ApiError::new(StatusCode::UNAUTHORIZED, message).into_response();
    let challenge = HeaderValue::from_static("Basic realm=\"trailmeter\", charset=\"UTF-8\"");
    response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    response
}
