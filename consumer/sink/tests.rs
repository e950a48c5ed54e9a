//! Sinks against servers in the process, with a clock that stands until it is set.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::{Router, body};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::*;
use crate::callers::{Call, CallerPolicy, Delta};
use crate::event::{Event, Reported, SignatureVersion, Texts};
use crate::state::{Commit, Judge};

const NOW_MS: u64 = 1_700_000_000_000;
const HOLD_MS: u64 = 3_600_000;
/// Nothing is sent again by itself.
const NEVER: Holding = Holding { resend_ms: 86_400_000, hold_ms: HOLD_MS };
const PATIENCE: Duration = Duration::from_secs(20);

/// A server that hands on what it is posted and answers as it is told.
struct Receiver {
    address: SocketAddr,
    answer: Arc<AtomicU16>,
    posts: mpsc::UnboundedReceiver<(String, Value)>,
}

type Told = (Arc<AtomicU16>, mpsc::UnboundedSender<(String, Value)>);

impl Receiver {
    async fn start() -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into()).await
    }

    async fn start_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let (address, answer) = (listener.local_addr().unwrap(), Arc::new(AtomicU16::new(200)));
        let (sender, posts) = mpsc::unbounded_channel();
        let router = Router::new().fallback(take).with_state((Arc::clone(&answer), sender));
        tokio::spawn(async move { axum_serve(listener, router).await });
        Self { address, answer, posts }
    }

    fn target(&self) -> HttpTarget {
        target(self.address)
    }

    /// What is posted next.
    async fn next(&mut self) -> Value {
        tokio::time::timeout(PATIENCE, self.posts.recv()).await.expect("posted in time").unwrap().1
    }

    /// Nothing is left that was posted.
    fn has_nothing(&mut self) -> bool {
        self.posts.try_recv().is_err()
    }
}

fn target(address: SocketAddr) -> HttpTarget {
    let url = format!("http://{address}/").parse().unwrap();
    HttpTarget { url, basic_auth: None, tls: Tls::default() }
}

async fn axum_serve(listener: TcpListener, router: Router) {
    use hyper_util::rt::{TokioExecutor, TokioIo};
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        let service = hyper_util::service::TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            builder.serve_connection(TokioIo::new(stream), service).await.ok();
        });
    }
}

async fn take(State((answer, sender)): State<Told>, request: Request) -> StatusCode {
    let path = request.uri().path().to_owned();
    let bytes = body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
    let posted: Value = serde_json::from_slice(&bytes).unwrap();
    // Alertmanager refuses the whole request for one alert that it does not take.
    let is_poisoned = posted.to_string().contains("poison");
    let status = if is_poisoned { 400 } else { answer.load(Ordering::Relaxed) };
    sender.send((path, posted)).ok();
    StatusCode::from_u16(status).unwrap()
}

/// A state with an outbox, and a clock.
struct Fixture {
    folder: TempDir,
    state: Arc<EmbeddedState>,
    metrics: Arc<Metrics>,
    now_ms: Arc<AtomicU64>,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let state = Arc::new(EmbeddedState::open(&folder.path().join("state"), NOW_MS).unwrap());
        let now_ms = Arc::new(AtomicU64::new(NOW_MS));
        Self { folder, state, metrics: Arc::new(Metrics::new().unwrap()), now_ms }
    }

    /// The process ends and starts again.
    fn restart(self) -> Self {
        let Self { folder, state, now_ms, .. } = self;
        drop(Arc::try_unwrap(state).ok().expect("nobody has the state open"));
        let state = EmbeddedState::open(&folder.path().join("state"), NOW_MS).unwrap();
        Self { folder, state: Arc::new(state), metrics: Arc::new(Metrics::new().unwrap()), now_ms }
    }

    async fn start(&self, sinks: &[SinkOptions], holding: Holding) -> Sinks {
        let now_ms = Arc::clone(&self.now_ms);
        let clock: Clock = Arc::new(move || now_ms.load(Ordering::Relaxed));
        let link = "http://127.0.0.1:9464".into();
        Sinks::start(sinks.to_vec(), holding, &self.state, &self.metrics, &clock, &link).await.unwrap()
    }

    /// Commits new weak callers of these names, and so the alerts about them.
    async fn commit(&self, names: &[&str]) {
        let mut delta = Delta::default();
        let policy = Arc::<CallerPolicy>::default();
        for name in names {
            let event = Event { signature: Reported::Known(SignatureVersion::SigV2), ..Event::default() };
            let hasher = hashbrown::DefaultHashBuilder::default();
            let texts = &Texts::of(&event, "1", name, &hasher);
            let call =
                Call { event: &event, texts, time_s: 1, account_id: "1", principal: name, is_outside: false };
            delta.count(&call, &policy);
        }
        let alert_link = Some("http://127.0.0.1:9464".into());
        let judge = Judge { policy, is_learning: false, now_ms: NOW_MS, alert_link };
        let commit = Commit::of_callers(delta.take(), judge);
        self.state.write(commit).await.unwrap();
    }

    async fn wait_for(&self, sink: &str, outcome: &str, alerts: u64) {
        let counted = || self.metrics.alerts.with_label_values(&[sink, outcome]).get();
        let waited = async {
            while counted() < alerts {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, waited)
            .await
            .unwrap_or_else(|_| panic!("{sink} {outcome}: {}", counted()));
        assert_eq!(counted(), alerts, "{sink} {outcome}");
    }
}

/// Names and ends of posted alerts.
fn names(posted: &Value) -> Vec<&str> {
    let alerts = posted.get("alerts").unwrap_or(posted).as_array().unwrap();
    alerts.iter().map(|alert| alert["labels"]["principal"].as_str().unwrap()).collect()
}

fn ends(posted: &Value) -> Vec<&str> {
    posted.as_array().unwrap().iter().map(|alert| alert["endsAt"].as_str().unwrap()).collect()
}

fn end(ms: u64) -> String {
    crate::event::time::format_ms(ms)
}

#[tokio::test]
async fn held_for_a_while_and_then_over() {
    let (fixture, mut replica) = (Fixture::new(), Receiver::start().await);
    let replicas = [SinkOptions::Alertmanager(replica.target())];
    let name = replicas[0].name();
    let often = Holding { resend_ms: 10, ..NEVER };
    let sinks = fixture.start(&replicas, often).await;
    fixture.commit(&["a", "b"]).await;
    let first = replica.next().await;
    assert_eq!((names(&first), ends(&first)), (vec!["a", "b"], vec![&*end(NOW_MS + HOLD_MS); 2]));
    assert_eq!(first[0]["startsAt"], end(NOW_MS));
    // Again, with the same end, until it is over; and then no more.
    assert_eq!(replica.next().await, first);
    fixture.now_ms.store(NOW_MS + HOLD_MS, Ordering::Relaxed);
    fixture.wait_for(&name, "resolved", 2).await;
    sinks.stop(PATIENCE).await;
    assert_eq!(fixture.state.alerts(0, 100, 100).unwrap(), []);
    while !replica.has_nothing() {}
    let sinks = fixture.start(&replicas, often).await;
    fixture.commit(&["c"]).await;
    assert_eq!(names(&replica.next().await), ["c"]);
    sinks.stop(PATIENCE).await;
}

#[tokio::test]
async fn a_day_later_only_the_end_is_told() {
    let (fixture, mut replica) = (Fixture::new(), Receiver::start().await);
    let replicas = [SinkOptions::Alertmanager(replica.target())];
    let name = replicas[0].name();
    let sinks = fixture.start(&replicas, NEVER).await;
    fixture.commit(&["a"]).await;
    replica.next().await;
    fixture.wait_for(&name, "delivered", 1).await;
    sinks.stop(PATIENCE).await;
    let fixture = fixture.restart();
    let next_day_ms = NOW_MS + 86_400_000;
    fixture.now_ms.store(next_day_ms, Ordering::Relaxed);
    let sinks = fixture.start(&replicas, NEVER).await;
    let posted = replica.next().await;
    assert_eq!((names(&posted), ends(&posted)), (vec!["a"], vec![&*end(NOW_MS + HOLD_MS)]));
    fixture.wait_for(&name, "resolved", 1).await;
    // What is new now is sent; the old one never again.
    fixture.commit(&["b"]).await;
    assert_eq!(names(&replica.next().await), ["b"]);
    sinks.stop(PATIENCE).await;
    assert!(replica.has_nothing());
}

#[tokio::test]
async fn a_restart_within_the_time_sends_the_same_alert() {
    let (fixture, mut replica) = (Fixture::new(), Receiver::start().await);
    let replicas = [SinkOptions::Alertmanager(replica.target())];
    let sinks = fixture.start(&replicas, NEVER).await;
    fixture.commit(&["a"]).await;
    let first = replica.next().await;
    fixture.wait_for(&replicas[0].name(), "delivered", 1).await;
    sinks.stop(PATIENCE).await;
    let fixture = fixture.restart();
    fixture.now_ms.store(NOW_MS + HOLD_MS / 2, Ordering::Relaxed);
    let sinks = fixture.start(&replicas, NEVER).await;
    assert_eq!(replica.next().await, first);
    sinks.stop(PATIENCE).await;
}

#[tokio::test]
async fn one_that_is_down_delays_no_other_and_loses_nothing() {
    let (fixture, mut webhook, mut replica) =
        (Fixture::new(), Receiver::start().await, Receiver::start().await);
    let down = Receiver::start().await;
    down.answer.store(503, Ordering::Relaxed);
    let mut down = down;
    let sinks = [
        SinkOptions::Alertmanager(down.target()),
        SinkOptions::Alertmanager(replica.target()),
        SinkOptions::Webhook(webhook.target()),
    ];
    let running = fixture.start(&sinks, NEVER).await;
    for name in ["a", "b", "c"] {
        fixture.commit(&[name]).await;
        assert_eq!(names(&replica.next().await), [name]);
        assert_eq!(names(&webhook.next().await), [name]);
    }
    down.next().await;
    let shown: Vec<Shown> = running.statuses().iter().map(|status| status.shown(3)).collect();
    assert!(shown[0].error.as_ref().is_some_and(|error| error.contains("503")), "{shown:?}");
    // It comes back: everything is there.
    down.answer.store(200, Ordering::Relaxed);
    fixture.wait_for(&sinks[0].name(), "delivered", 3).await;
    running.stop(PATIENCE).await;
    let mut posts = Vec::new();
    while let Ok((_, posted)) = down.posts.try_recv() {
        posts.push(posted);
    }
    assert_eq!(names(posts.last().unwrap()), ["a", "b", "c"]);
}

#[tokio::test]
async fn a_replica_that_was_down_all_the_while_pages_nobody_twice() {
    let (fixture, mut replica) = (Fixture::new(), Receiver::start().await);
    let mut down = Receiver::start().await;
    down.answer.store(503, Ordering::Relaxed);
    let sinks = [SinkOptions::Alertmanager(replica.target()), SinkOptions::Alertmanager(down.target())];
    let running = fixture.start(&sinks, NEVER).await;
    fixture.commit(&["a"]).await;
    replica.next().await;
    down.next().await;
    fixture.wait_for(&sinks[0].name(), "delivered", 1).await;
    running.stop(PATIENCE).await;
    let fixture = fixture.restart();
    fixture.now_ms.store(NOW_MS + 2 * HOLD_MS, Ordering::Relaxed);
    while !down.has_nothing() {}
    down.answer.store(200, Ordering::Relaxed);
    let running = fixture.start(&sinks, NEVER).await;
    let posted = down.next().await;
    fixture.wait_for(&sinks[1].name(), "expired", 1).await;
    // It has ended before this replica hears of it.
    assert_eq!(ends(&posted), [end(NOW_MS + HOLD_MS)]);
    running.stop(PATIENCE).await;
}

#[tokio::test]
async fn one_that_is_refused_holds_up_no_other() {
    let (fixture, mut replica) = (Fixture::new(), Receiver::start().await);
    let mut webhook = Receiver::start().await;
    let sinks = [SinkOptions::Alertmanager(replica.target()), SinkOptions::Webhook(webhook.target())];
    let running = fixture.start(&sinks, NEVER).await;
    fixture.commit(&["a", "poison", "b"]).await;
    for sink in &sinks {
        fixture.wait_for(&sink.name(), "delivered", 2).await;
        fixture.wait_for(&sink.name(), "rejected", 1).await;
    }
    for receiver in [&mut replica, &mut webhook] {
        let mut taken = Vec::new();
        for _ in 0..4 {
            taken.push(receiver.next().await);
        }
        let one_by_one: Vec<_> = taken[1..].iter().flat_map(names).collect();
        assert_eq!(one_by_one, ["a", "poison", "b"]);
    }
    fixture.commit(&["c"]).await;
    assert_eq!((names(&replica.next().await), names(&webhook.next().await)), (vec!["c"], vec!["c"]));
    running.stop(PATIENCE).await;
}

/// An address where something else answers, such as a proxy that wants another protocol, refuses everything.
#[tokio::test]
async fn where_all_is_refused_all_waits() {
    let (fixture, mut replica) = (Fixture::new(), Receiver::start().await);
    let mut webhook = Receiver::start().await;
    let sinks = [SinkOptions::Alertmanager(replica.target()), SinkOptions::Webhook(webhook.target())];
    for receiver in [&replica, &webhook] {
        receiver.answer.store(400, Ordering::Relaxed);
    }
    let running = fixture.start(&sinks, NEVER).await;
    fixture.commit(&["a", "b"]).await;
    for receiver in [&mut replica, &mut webhook] {
        for _ in 0..3 {
            receiver.next().await;
        }
        receiver.answer.store(200, Ordering::Relaxed);
    }
    for sink in &sinks {
        fixture.wait_for(&sink.name(), "delivered", 2).await;
        fixture.wait_for(&sink.name(), "rejected", 0).await;
    }
    running.stop(PATIENCE).await;
}

#[tokio::test]
async fn a_start_without_sinks_loses_nothing_that_waits() {
    let fixture = Fixture::new();
    let mut replica = Receiver::start().await;
    replica.answer.store(503, Ordering::Relaxed);
    let sinks = [SinkOptions::Alertmanager(replica.target())];
    let running = fixture.start(&sinks, NEVER).await;
    fixture.commit(&["a"]).await;
    replica.next().await;
    running.stop(PATIENCE).await;
    let fixture = fixture.restart();
    fixture.start(&[], NEVER).await.stop(PATIENCE).await;
    let fixture = fixture.restart();
    while !replica.has_nothing() {}
    replica.answer.store(200, Ordering::Relaxed);
    let running = fixture.start(&sinks, NEVER).await;
    assert_eq!(names(&replica.next().await), ["a"]);
    running.stop(PATIENCE).await;
}

#[tokio::test]
async fn an_address_may_hold_a_secret() {
    let mut target = target(([127, 0, 0, 1], 1).into());
    target.url.set_path("/services/T0/SECRET");
    target.url.set_query(Some("api_key=SECRET"));
    let name = SinkOptions::Webhook(target.clone()).name();
    assert!(name.starts_with("webhook/127.0.0.1:1/") && !name.contains("SECRET"), "{name}");
    let refused = http::Client::new(target).unwrap().post("", Vec::new()).await.unwrap_err();
    let SendError::Failed(why) = refused else { panic!("{refused:?}") };
    assert!(!why.contains("SECRET") && !why.is_empty(), "{why}");
}

#[tokio::test]
async fn at_the_end_what_is_committed_is_sent_once_more() {
    let (fixture, mut webhook) = (Fixture::new(), Receiver::start().await);
    let sinks = [SinkOptions::Webhook(webhook.target())];
    let running = fixture.start(&sinks, NEVER).await;
    fixture.commit(&["a"]).await;
    running.stop(PATIENCE).await;
    assert_eq!(names(&webhook.next().await), ["a"]);
}

#[tokio::test]
async fn a_sink_at_a_new_address_goes_on_where_the_old_one_was() {
    let fixture = Fixture::new();
    let mut old = Receiver::start().await;
    old.answer.store(503, Ordering::Relaxed);
    let running = fixture.start(&[SinkOptions::Alertmanager(old.target())], NEVER).await;
    fixture.commit(&["a"]).await;
    old.next().await;
    running.stop(PATIENCE).await;
    let mut new = Receiver::start().await;
    let fixture = fixture.restart();
    let running = fixture.start(&[SinkOptions::Alertmanager(new.target())], NEVER).await;
    assert_eq!(names(&new.next().await), ["a"]);
    running.stop(PATIENCE).await;
    // A first webhook is not told of what was before it.
    let mut webhook = Receiver::start().await;
    let fixture = fixture.restart();
    let sinks = [SinkOptions::Alertmanager(new.target()), SinkOptions::Webhook(webhook.target())];
    let running = fixture.start(&sinks, NEVER).await;
    fixture.commit(&["b"]).await;
    assert_eq!(names(&webhook.next().await), ["b"]);
    running.stop(PATIENCE).await;
}

#[test]
fn secrets_are_not_shown() {
    let auth = BasicAuth { username: "u".to_owned(), password: Password::Text("hunter2".to_owned()) };
    assert!(!format!("{auth:?}").contains("hunter2"));
}
