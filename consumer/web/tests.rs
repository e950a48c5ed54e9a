//! Requests over real connections.

mod page;

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::decode::Limits;
use crate::detect::ActiveRules;
use crate::duplicates::DuplicateLimits;
use crate::event::judge::Policy;
use crate::pipeline::ShardView;
use crate::source::{Position, ShardId};
use crate::state::ShardHeader;
use crate::window::{CallKey, CallerLimits, Delta, PieceReader, Versions, Windows, bucket};

/// 2023-07-10T11:42:18Z, the newest event.
const NEWEST_S: i64 = 1_688_989_338;
/// Ten seconds later.
const NOW_MS: u64 = 1_688_989_348_000;
const HOSTILE: &str = "<img src=x onerror=alert(1)>\"'\u{202e}\u{1b}";

const SIGV2: (u8, u8) = (0, 2);
const SIGV4: (u8, u8) = (1, 3);
const TLS10: (u8, u8) = (1, 0);

/// A server, and the means to act on it.
struct Server {
    web: Arc<Web>,
    now_ms: Arc<AtomicU64>,
    address: std::net::SocketAddr,
    shutdown: CancellationToken,
    serving: JoinHandle<std::io::Result<()>>,
    status: watch::Sender<Arc<Status>>,
    _settings: watch::Sender<Arc<Settings>>,
    _folder: tempfile::TempDir,
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn error(&self) -> (u16, String) {
        (self.status, self.json()["error"].as_str().unwrap().to_owned())
    }
}

fn settings(series: usize) -> Settings {
    Settings {
        policy: Policy::default(),
        decode: Limits { decompressed_bytes: 1 << 20, event_bytes: 1 << 20, depth: 64 },
        duplicates: DuplicateLimits { for_s: 86_400, ids: 1000 },
        callers: CallerLimits { own: 1000, outside: 1000 },
        weak_callers: Arc::default(),
        rules: ActiveRules::default(),
        series,
        commit_interval_ms: 1000,
        commit_bytes: 1 << 20,
    }
}

impl Server {
    async fn start(views: Views) -> Self {
        Self::start_with(views, None, 1000, Bounds { timeout: Duration::from_secs(60), ..TIGHT }).await
    }

    async fn start_with(
        views: Views,
        reload: Option<mpsc::Sender<ReloadRequest>>,
        series: usize,
        bounds: Bounds,
    ) -> Self {
        let now_ms = Arc::new(AtomicU64::new(NOW_MS));
        let (settings_sender, settings) = watch::channel(Arc::new(settings(series)));
        let (status_sender, status) = watch::channel(Arc::new(Status {
            config: json!({"web": {"listen": "x"}}),
            reload_enabled: false,
        }));
        let clock = Arc::clone(&now_ms);
        let folder = tempfile::tempdir().unwrap();
        let state = crate::state::EmbeddedState::open(&folder.path().join("state"), NOW_MS).unwrap();
        let (state, views, readiness) = (Arc::new(state), Arc::new(views), Arc::new(ready()));
        let learning = Learning::new(Arc::clone(&state), Arc::clone(&views), Arc::clone(&readiness));
        let web = Arc::new(Web {
            rules: watch::channel(Arc::default()).1,
            views,
            state,
            learning: Arc::new(learning),
            sources: Vec::new(),
            sinks: Vec::new(),
            readiness,
            access: Arc::default(),
            metrics: Arc::new(Metrics::new().unwrap()),
            settings,
            clock: Arc::new(move || clock.load(Ordering::Relaxed)),
            status,
            reload,
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, shutdown) = (listener.local_addr().unwrap(), CancellationToken::new());
        let serving = tokio::spawn(serve(listener, Arc::clone(&web), bounds, shutdown.clone()));
        Self {
            web,
            now_ms,
            address,
            shutdown,
            serving,
            status: status_sender,
            _settings: settings_sender,
            _folder: folder,
        }
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n");
        let request = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
        stream.write_all(request.as_bytes()).await.unwrap();
        read_answer(stream).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "").await
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.serving.await.unwrap().unwrap();
    }
}

const TIGHT: Bounds =
    Bounds { max_connections: 2, max_body: 16, requests_per_second: 0, timeout: Duration::from_millis(5) };

async fn read_answer(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    Answer { status: head[9..12].parse().unwrap(), head: head.to_owned(), body: body.to_owned() }
}

/// Callers with their versions and calls, all in the newest minute.
fn windows(calls: &[(&str, &str, (u8, u8), u64)]) -> Windows {
    let mut delta = Delta::default();
    for &(account_id, principal, (signature, tls), count) in calls {
        let key =
            CallKey { account_id, principal, is_outside: false, versions: Versions::new(signature, tls) };
        (0..count).for_each(|_| assert!(delta.count(key, NEWEST_S, NEWEST_S)));
    }
    let mut windows = Windows::default();
    windows.advance(bucket(NEWEST_S, 60), bucket(NEWEST_S, 3600));
    PieceReader::default().merge(&delta.piece(), &mut windows, CallerLimits { own: 1000, outside: 1000 });
    windows
}

fn insert(views: &Views, shard: &str, windows: Windows) -> Arc<ShardView> {
    let mut header = ShardHeader::begin(Position::AfterSequenceNumber("4957".to_owned()));
    header.newest_s = Some(NEWEST_S);
    header.newest_committed_ms = NOW_MS - 10_000;
    header.committed_ms = NOW_MS - 1000;
    header.stretches = vec![(NOW_MS - 60_000, NOW_MS - 1000)];
    header.totals.calls = 7;
    header.totals.signature.known = 7;
    let view = Arc::new(ShardView::new(ShardId::new("s", shard), "kinesis", header, windows));
    views.insert(Arc::clone(&view), &[]);
    view
}

/// Two shards that share a caller.
fn two_shards() -> Views {
    let views = Views::default();
    insert(&views, "1", windows(&[("1", "a", SIGV4, 2), ("1", "b", SIGV2, 3), ("2", HOSTILE, TLS10, 1)]));
    insert(&views, "2", windows(&[("1", "b", SIGV2, 4), ("1", "b", SIGV4, 1), ("3", "c", SIGV2, 9)]));
    views
}

/// The state is read, and no source is awaited.
fn ready() -> Readiness {
    let readiness = Readiness::default();
    assert_eq!(readiness.not_ready_because().as_deref(), Some("waiting for the state"));
    readiness.arrived(crate::pipeline::THE_STATE);
    readiness
}

#[tokio::test]
async fn a_window_as_json() {
    let server = Server::start(two_shards()).await;
    let answer = server.get("/api/v1/windows?window=5m").await;
    let row = |account_id: &str, principal: &str, signature: &str, tls: &str, calls: u64| {
        json!({"account_id": account_id, "principal": principal, "signature_version": signature,
               "tls_version": tls, "calls": calls})
    };
    let expect = json!({"window": "5m", "at": "2023-07-10T11:42:28Z", "rows": [
        row("1", "a", "SigV4", "TLSv1.3", 2),
        row("1", "b", "SigV2", "TLSv1.2", 7),
        row("1", "b", "SigV4", "TLSv1.3", 1),
        row("2", HOSTILE, "SigV4", "TLSv1", 1),
        row("3", "c", "SigV2", "TLSv1.2", 9),
    ]});
    assert_eq!((answer.status, answer.json()), (200, expect));
    let later = server.get("/api/v1/windows?window=5m&at=2023-07-10T11%3A47:00Z").await.json();
    assert_eq!(later["rows"], json!([]));
    server.stop().await;
}

#[tokio::test]
async fn pages_add_up_to_the_whole_and_are_of_one_time() {
    let server = Server::start(two_shards()).await;
    let whole = server.get("/api/v1/windows?window=1h").await.json();
    let (mut rows, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = server.get(&format!("/api/v1/windows?window=1h&limit=1{cursor}")).await.json();
        rows.extend(page["rows"].as_array().unwrap().clone());
        assert_eq!(page["at"], whole["at"]);
        server.now_ms.fetch_add(600_000, Ordering::Relaxed);
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(json!(rows), whole["rows"]);
    server.stop().await;
}

#[tokio::test]
async fn what_is_asked_wrongly_is_told_what_to_do() {
    let server = Server::start(two_shards()).await;
    let cursor = server.get("/api/v1/windows?window=1h&limit=1").await.json();
    let cursor = cursor["next_cursor"].as_str().unwrap().to_owned();
    let shards =
        server.get("/api/v1/shards?limit=1").await.json()["next_cursor"].as_str().unwrap().to_owned();
    let is_cursor = "`cursor` is not one of this list: pass on `next_cursor` of its last page unchanged, \
                     or leave it out to begin";
    let is_window = "`window` is needed and must be `5m`, `1h` or `24h`";
    let is_limit = "`limit` must be a number from 1 to 1000000";
    let is_at = "`at` is no time: write it in UTC like `2023-07-10T11:42:18Z`, or leave it out for now";
    for (path, expect) in [
        ("/api/v1/windows".to_owned(), is_window),
        ("/api/v1/windows?window=2h".to_owned(), is_window),
        ("/api/v1/windows?window=5m&at=yesterday".to_owned(), is_at),
        ("/api/v1/windows?window=5m&limit=0".to_owned(), is_limit),
        ("/api/v1/windows?window=5m&limit=1000001".to_owned(), is_limit),
        ("/api/v1/windows?window=5m&cursor=x".to_owned(), is_cursor),
        (format!("/api/v1/windows?window=5m&cursor={cursor}"), is_cursor),
        (format!("/api/v1/windows?window=1h&at=2023-07-10T11:42:00Z&cursor={cursor}"), is_cursor),
        (format!("/api/v1/windows?window=1h&cursor={shards}"), is_cursor),
        (format!("/api/v1/shards?cursor={cursor}"), is_cursor),
        (
            "/api/v1/windows?windw=5m".to_owned(),
            "unknown parameter `windw`: this path takes `window`, `at`, `limit`, `cursor`",
        ),
        ("/api/v1/windows?window=5m&window=1h".to_owned(), "`window` is given twice: give it once"),
        ("/api/v1/totals?limit=1".to_owned(), "unknown parameter `limit`: this path takes none"),
    ] {
        assert_eq!(server.get(&path).await.error(), (400, expect.to_owned()), "{path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_window_before_what_is_kept_names_the_earliest() {
    let server = Server::start(two_shards()).await;
    let answer = server.get("/api/v1/windows?window=1h&at=2023-07-10T10:42:17Z").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let answer = server.get("/api/v1/windows?window=1h&at=2023-07-10T10:41:59Z").await;
    let message = "the 1h window at 2023-07-10T10:41:59Z begins before what is kept: \
                   the earliest `at` is 2023-07-10T10:42:00Z";
    assert_eq!(answer.error(), (400, message.to_owned()));
    assert_eq!(answer.json()["earliest"], "2023-07-10T10:42:00Z");
    server.stop().await;
}

#[tokio::test]
async fn paths_and_methods_that_are_not() {
    let server = Server::start(Views::default()).await;
    let (status, message) = server.get("/nowhere").await.error();
    assert_eq!(status, 404);
    assert!(message.contains("/api/v1/windows"), "{message}");
    let answer = server.ask("POST", "/metrics", "").await;
    assert_eq!(answer.error().0, 405);
    assert!(answer.head.contains("allow: GET"), "{}", answer.head);
    assert_eq!(server.get("/-/reload").await.error().0, 405);
    server.stop().await;
}

#[tokio::test]
async fn every_answer_is_guarded() {
    let server = Server::start(two_shards()).await;
    for path in
        ["/", "/page.css", "/page.js", "/page.svg", "/metrics", "/-/ready", "/api/v1/totals", "/nowhere"]
    {
        let head = server.get(path).await.head;
        for header in [
            "x-content-type-options: nosniff",
            "cache-control: no-store",
            "referrer-policy: no-referrer",
            "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; \
             connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
        ] {
            assert!(head.contains(header), "{path}: {head}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn ready_until_it_stops() {
    let server = Server::start(Views::default()).await;
    for path in ["/-/healthy", "/-/ready"] {
        let answer = server.get(path).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "ok"));
    }
    server.web.readiness.stop();
    let answer = server.get("/-/ready").await;
    assert_eq!((answer.status, answer.body.as_str()), (503, "stopping"));
    assert_eq!(server.get("/-/healthy").await.status, 200);
    assert_eq!(server.get("/api/v1/status").await.json()["not_ready_because"], "stopping");
    server.stop().await;
}

#[tokio::test]
async fn reloading_is_off_unless_it_is_allowed() {
    let (sender, mut requests) = mpsc::channel::<ReloadRequest>(1);
    let bounds = Bounds { timeout: Duration::from_secs(60), ..TIGHT };
    let server = Server::start_with(Views::default(), Some(sender), 10, bounds).await;
    let (status, message) = server.ask("POST", "/-/reload", "").await.error();
    assert_eq!(status, 403);
    assert!(message.contains("web.enable_reload"), "{message}");
    server.status.send_replace(Arc::new(Status { reload_enabled: true, ..Status::default() }));
    let answering = async {
        requests.recv().await.unwrap().send(Ok(())).unwrap();
        requests.recv().await.unwrap().send(Err("line 3: no".to_owned())).unwrap();
        requests
    };
    let asking = async {
        (server.ask("POST", "/-/reload", "").await, server.ask("POST", "/-/reload", "").await.error())
    };
    let (requests, (good, bad)) = tokio::join!(answering, asking);
    assert_eq!((good.status, good.body.as_str()), (200, "{\"reloaded\":true}"));
    assert_eq!(bad, (400, "the old config stays in force: line 3: no".to_owned()));
    assert_eq!(server.ask("POST", "/-/reload", "more than sixteen bytes").await.error().0, 413);
    drop(requests);
    assert_eq!(server.ask("POST", "/-/reload", "").await.error().0, 503);
    server.stop().await;
}

#[tokio::test]
async fn totals_coverage_and_status() {
    let server = Server::start(two_shards()).await;
    assert_eq!(server.get("/api/v1/totals").await.json()["calls"], 14);
    assert_eq!(server.get("/api/v1/coverage").await.json()["signature"]["known"], 14);
    server.web.metrics.limit_hits.with_label_values(&["depth"]).inc();
    let status = server.get("/api/v1/status").await.json();
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["ready"], true);
    assert_eq!(status["not_ready_because"], Value::Null);
    assert_eq!(status["config"]["web"]["listen"], "x");
    assert_eq!((&status["limits_hit"]["depth"], &status["limits_hit"]["callers"]), (&json!(1), &json!(0)));
    assert_eq!((&status["callers"], &status["now"]), (&json!(5), &json!("2023-07-10T11:42:28Z")));
    assert_eq!(status["quantiles_5m"]["event_delay_seconds"]["count"], 0);
    server.stop().await;
}

#[tokio::test]
async fn shards_by_name() {
    let views = two_shards();
    let view = insert(&views, "3", Windows::default());
    view.set_behind_ms(Some(1500));
    view.status().set_error(Some("throttled".to_owned()));
    let server = Server::start(views).await;
    let page = server.get("/api/v1/shards?limit=2").await.json();
    assert_eq!((&page["rows"][0]["shard"], &page["rows"][1]["shard"]), (&json!("s/1"), &json!("s/2")));
    let page =
        server.get(&format!("/api/v1/shards?cursor={}", page["next_cursor"].as_str().unwrap())).await.json();
    let expect = json!({"rows": [{
        "shard": "s/3", "source": "s", "kind": "kinesis", "position": "after 4957", "behind_seconds": 1.5,
        "committed": "2023-07-10T11:42:27Z", "newest_event": "2023-07-10T11:42:18Z", "reading": false,
        "complete": [{"from": "2023-07-10T11:41:28Z", "to": "2023-07-10T11:42:27Z"}],
        "error": "throttled", "throttled": 0, "owner": "this process",
    }]});
    assert_eq!(page, expect);
    server.stop().await;
}

#[tokio::test]
async fn computed_gauges() {
    let views = two_shards();
    views.get(&ShardId::from_stored("s/1")).unwrap().set_behind_ms(Some(1500));
    let server = Server::start(views).await;
    let answer = server.get("/metrics").await;
    assert!(
        answer.head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"),
        "{}",
        answer.head
    );
    for line in [
        "trailmeter_window_calls{account_id=\"1\",principal=\"b\",signature_version=\"SigV2\",\
         tls_version=\"TLSv1.2\",window=\"5m\"} 7",
        "trailmeter_window_callers{signature_version=\"SigV2\",tls_version=\"TLSv1.2\",window=\"24h\"} 2",
        "trailmeter_window_callers{signature_version=\"SigV4A\",tls_version=\"TLSv1.2\",window=\"24h\"} 0",
        "trailmeter_shard_behind_seconds{shard=\"s/1\"} 1.5",
        "trailmeter_shard_checkpoint_timestamp_seconds{shard=\"s/2\"} 1688989347",
        "trailmeter_series_dropped_total{metric=\"trailmeter_window_calls\"} 0",
    ] {
        assert!(answer.body.lines().any(|other| other == line), "{line}\n{}", answer.body);
    }
    assert!(!answer.body.contains("shard_behind_seconds{shard=\"s/2\"}"));
    // A day later all that is weak has left the windows.
    server.now_ms.fetch_add(2 * 86_400_000, Ordering::Relaxed);
    let body = server.get("/metrics").await.body;
    assert!(!body.contains("trailmeter_window_calls{"), "{body}");
    let gone =
        "trailmeter_window_callers{signature_version=\"SigV2\",tls_version=\"TLSv1.2\",window=\"24h\"} 0";
    assert!(body.lines().any(|line| line == gone), "{body}");
    server.stop().await;
}

#[tokio::test]
async fn series_are_capped_and_scrapes_kept_for_a_second() {
    let bounds = Bounds { timeout: Duration::from_secs(60), ..TIGHT };
    let server = Server::start_with(two_shards(), None, 5, bounds).await;
    let first = server.get("/metrics").await.body;
    let series = first.lines().filter(|line| line.starts_with("trailmeter_window_calls{"));
    let windows: HashSet<&str> = series.clone().map(|line| line.split("window=").nth(1).unwrap()).collect();
    assert_eq!(series.count(), 5);
    assert_eq!(windows.iter().filter(|window| window.starts_with("\"24h")).count(), 2, "{windows:?}");
    let dropped =
        |count: u64| format!("trailmeter_series_dropped_total{{metric=\"trailmeter_window_calls\"}} {count}");
    assert!(first.contains(&dropped(4)), "{first}");
    server.now_ms.fetch_add(999, Ordering::Relaxed);
    assert_eq!(server.get("/metrics").await.body, first);
    server.now_ms.fetch_add(1, Ordering::Relaxed);
    assert!(server.get("/metrics").await.body.contains(&dropped(8)));
    server.stop().await;
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_given_up() {
    let (sender, requests) = mpsc::channel::<ReloadRequest>(1);
    let server = Server::start_with(Views::default(), Some(sender), 10, TIGHT).await;
    server.status.send_replace(Arc::new(Status { reload_enabled: true, ..Status::default() }));
    let (status, message) = server.ask("POST", "/-/reload", "").await.error();
    assert_eq!(status, 503);
    assert!(message.starts_with("no answer within 0.005 s"), "{message}");
    drop(requests);
    server.stop().await;
}

#[tokio::test]
async fn connections_beyond_the_bound_wait() {
    let bounds = Bounds { timeout: Duration::from_secs(60), ..TIGHT };
    let server = Server::start_with(Views::default(), None, 10, bounds).await;
    let request = b"GET /-/healthy HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut idle = Vec::new();
    for _ in 0..TIGHT.max_connections {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(request).await.unwrap();
        stream.read_exact(&mut [0; 12]).await.unwrap();
        idle.push(stream);
    }
    let mut third = Box::pin(server.get("/-/healthy"));
    let is_waiting = tokio::select! {
        biased;
        _ = &mut third => false,
        // The runtime has let the server run several times by then.
        () = async { for _ in 0..100 { tokio::task::yield_now().await } } => true,
    };
    assert!(is_waiting);
    drop(idle.pop());
    assert_eq!(third.await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn large_answers_wait_for_each_other_and_arrive_whole() {
    let views = Views::default();
    let names: Vec<String> = (0..900).map(|number| format!("{number:0>900}")).collect();
    let calls: Vec<_> = names.iter().map(|name| ("1", name.as_str(), SIGV4, 1)).collect();
    insert(&views, "1", windows(&calls));
    let bounds = Bounds { timeout: Duration::from_secs(60), max_connections: 20, ..TIGHT };
    let server = Server::start_with(views, None, 10, bounds).await;
    let answers = (0..10).map(|_| server.get("/api/v1/windows?window=5m"));
    for answer in futures_util::future::join_all(answers).await {
        assert!(answer.head.contains(&format!("content-length: {}", answer.body.len())), "{}", answer.head);
        assert_eq!(answer.json()["rows"].as_array().unwrap().len(), 900);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_sends_no_request_is_cut_off() {
    let server = Server::start_with(Views::default(), None, 10, TIGHT).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nslow: ").await.unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.ok();
    assert!(!String::from_utf8_lossy(&rest).contains("200 OK"));
    server.stop().await;
}

#[tokio::test]
async fn idle_connections_end_with_the_process() {
    let server = Server::start(Views::default()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET /-/healthy HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    stream.read_exact(&mut [0; 12]).await.unwrap();
    let mut rest = Vec::new();
    let (read, ()) = tokio::join!(stream.read_to_end(&mut rest), server.stop());
    assert!(read.is_ok());
}
