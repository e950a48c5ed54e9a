//! The page's views.

use super::*;
use crate::callers::{Call, CallerPolicy, Delta as CallerDelta};
use crate::event::time::DAY_S;
use crate::event::{Event, Identity, Reported, SignatureVersion, Texts, TlsVersion};
use crate::state::{Commit, Judge};

/// The view's time: ten seconds after the newest event.
const AT_S: i64 = NEWEST_S + 10;

/// A SigV2 call by someone.
fn sigv2<'a>(key_id: &'a str, user_agent: &'a str) -> Event<'a> {
    Event {
        signature: Reported::Known(SignatureVersion::SigV2),
        source: Some("s3.amazonaws.com"),
        source_ip: Some("198.51.100.7"),
        user_agent: Some(user_agent),
        identity: Identity { access_key_id: Some(key_id), ..Identity::default() },
        ..Event::default()
    }
}

/// Commits calls: event, principal, time, whether the caller is outside the organisation.
async fn commit(server: &Server, calls: &[(Event<'_>, &str, i64, bool)]) {
    let (policy, mut delta) = (CallerPolicy::default(), CallerDelta::default());
    for &(event, principal, time_s, is_outside) in calls {
        let hasher = hashbrown::DefaultHashBuilder::default();
        let texts = &Texts::of(&event, "1", principal, &hasher);
        let call = Call { event: &event, texts, time_s, account_id: "1", principal, is_outside };
        delta.count(&call, &policy);
    }
    let judge = Judge { policy: Arc::new(policy), is_learning: false, now_ms: NOW_MS, alert_link: None };
    server.web.state.write(Commit::of_callers(delta.take(), judge)).await.unwrap();
}

/// The principals of the callers' table, in its order, as `title` has them.
fn principals(body: &str) -> Vec<String> {
    let rows = body.split("<a class=\"principal\"").skip(1);
    rows.map(|row| row.split("title=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()).collect()
}

fn assert_has(body: &str, parts: &[&str]) {
    for part in parts {
        assert!(body.contains(part), "{part}\n{body}");
    }
}

#[tokio::test]
async fn views_show_what_is_and_run_nothing_of_it() {
    let views = two_shards();
    let view = insert(&views, "<b>", Windows::default());
    view.status().set_error(Some("<i>gone</i>".to_owned()));
    let server = Server::start(views).await;
    let hostile = Event { source_ip: Some(HOSTILE), ..sigv2(HOSTILE, HOSTILE) };
    commit(&server, &[(hostile, HOSTILE, AT_S, false)]).await;
    let escaped = "<bdi>&lt;img src=x onerror=alert(1)&gt;&quot;&#39;[U+202E][U+001B]</bdi>";
    let caller = "/caller?account_id=1&principal=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E%22%27%E2%80%AE%1B";
    for (path, parts) in [
        (
            "/",
            &[escaped, "<span class=\"good\">ready</span>", "2023-07-10T11:42:28Z", "shards can't be read"][..],
        ),
        ("/callers", &[escaped, "1 to 1 of 1", "aria-sort=\"descending\""]),
        (caller, &[escaped, "How it is weak", "It still calls."]),
        ("/matches", &["None so far."]),
        ("/rules", &["None. `rules.packs`"]),
        ("/shards", &["<bdi>s/&lt;b&gt;</bdi>", "error: <bdi>&lt;i&gt;gone&lt;/i&gt;</bdi>"]),
        ("/status", &["listen: x", "None since the start"]),
    ] {
        let answer = server.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.head.contains("content-type: text/html; charset=utf-8"));
        assert_has(&answer.body, parts);
        for bad in ["<img", "<i>", "<b>", "\u{202e}", "\u{1b}", "<script>", "style=", "onclick="] {
            assert!(!answer.body.contains(bad), "{path} {bad:?}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn the_overview_of_a_window() {
    let server = Server::start(two_shards()).await;
    let body = server.get("/").await.body;
    assert_has(
        &body,
        &[
            "aria-current=\"true\">1h</a>",
            "<dt>calls in 1h</dt><dd>20</dd>",
            "<dt>with SigV2 or old TLS</dt><dd>17 <small>85.0 %</small></dd>",
            "2023-07-10 11:42\nSigV2 16\nSigV4 4",
            "</span>TLSv1</th>",
            "<td class=\"number\">80.0 %</td>",
        ],
    );
    assert_has(
        &server.get("/?window=24h").await.body,
        &["<dt>calls in 24h</dt><dd>20</dd>", "calls an hour"],
    );
    server.stop().await;
    let server = Server::start(Views::default()).await;
    let body = server.get("/?window=5m").await.body;
    assert_has(
        &body,
        &["<dt>calls in 5m</dt><dd>0</dd>", "Nobody. Whoever calls", "<dd>– <small>/ –</small></dd>"],
    );
    server.stop().await;
}

#[tokio::test]
async fn callers_are_searched_filtered_and_sorted() {
    let server = Server::start(two_shards()).await;
    let event = |key_id, user_agent| sigv2(key_id, user_agent);
    let tls = Event { tls: Reported::Known(TlsVersion::V1_0), ..Event::default() };
    commit(
        &server,
        &[
            (event("AKIAOLD", "[Boto3/1.4.5]"), "arn:aws:iam::1:user/Alice", AT_S - 2 * DAY_S, false),
            (event("ASIANEW", "[aws-sdk-go/1.2]"), "arn:aws:iam::1:role/bob", AT_S - 30, false),
            (event("ASIANEW", "[aws-sdk-go/1.2]"), "arn:aws:iam::1:role/bob", AT_S - 20, false),
            (tls, "carol", AT_S - 3601, false),
            (event("ASIAOUT", "x"), "stranger", AT_S, true),
        ],
    )
    .await;
    let (alice, bob) = ("arn:aws:iam::1:user/Alice", "arn:aws:iam::1:role/bob");
    for (query, expect) in [
        ("", &["stranger", bob, "carol", alice, alice][..]),
        ("?q=ALICE", &[alice, alice]),
        ("?q=akiaold", &[alice, alice]),
        ("?q=go%2F1.2", &[bob]),
        ("?q=198.51.100.7&weakness=sigv2", &["stranger", bob, alice]),
        ("?q=nobody", &[]),
        ("?weakness=tls10", &["carol"]),
        ("?weakness=long_term_key", &[alice]),
        // Strangers are in all only.
        ("?seen=now", &[bob]),
        ("?seen=new", &[bob, "carol"]),
        ("?seen=quiet", &[alice, alice]),
        ("?sort=principal", &[bob, alice, alice, "carol", "stranger"]),
        ("?sort=-calls", &[bob, alice, "stranger", "carol", alice]),
        ("?sort=first_seen", &[alice, alice, "carol", bob, "stranger"]),
    ] {
        let body = server.get(&format!("/callers{query}")).await.body;
        assert_eq!(principals(&body), expect, "{query}");
    }
    // The form keeps the filters, the filters keep the search, an order is turned around by its head.
    let body = server.get("/callers?q=a%22b&weakness=sigv2&sort=calls").await.body;
    assert_has(
        &body,
        &[
            "value=\"a&quot;b\"",
            "<input type=\"hidden\" name=\"weakness\" value=\"sigv2\">",
            "href=\"/callers?q=a%22b&amp;weakness=tls10&amp;sort=calls\"",
        ],
    );
    let body = server.get("/callers?sort=calls").await.body;
    assert_has(&body, &["aria-sort=\"ascending\"", "href=\"/callers?sort=-calls\""]);
    server.stop().await;
}

#[tokio::test]
async fn callers_come_in_pages() {
    let server = Server::start(Views::default()).await;
    let names: Vec<String> = (0..120).map(|number| format!("user-{number:03}")).collect();
    let calls: Vec<_> = names.iter().map(|name| (sigv2("ASIA", "x"), name.as_str(), AT_S, false)).collect();
    commit(&server, &calls).await;
    let mut listed = Vec::new();
    for page in 1..=3 {
        let body = server.get(&format!("/callers?sort=principal&page={page}")).await.body;
        assert_has(&body, &[&format!("Page {page} of 3")]);
        assert_eq!(body.contains("rel=\"next\""), page < 3);
        listed.extend(principals(&body));
    }
    assert_eq!(listed, names);
    assert_has(&server.get("/callers?page=4").await.body, &["There is no page 4"]);
    server.stop().await;
}

#[tokio::test]
async fn a_callers_own_page() {
    let server = Server::start(two_shards()).await;
    commit(&server, &[(sigv2("AKIAOLD", "[Boto3/1.4.5]"), "b", AT_S - 30, false)]).await;
    let body = server.get("/caller?account_id=1&principal=b").await.body;
    assert_has(
        &body,
        &[
            "<title id=\"title\">b · trailmeter</title>",
            "<bdi>AKIAOLD</bdi>",
            "<bdi>Boto3/1.4.5</bdi>",
            "<bdi>198.51.100.7</bdi>",
            "2023-07-10 11:00\nSigV2 7\nSigV4 1",
            "Upgrade",
        ],
    );
    let answer = server.get("/caller?account_id=2&principal=b").await;
    assert_eq!(answer.status, 404);
    assert_has(&answer.body, &["no weak caller of this name is remembered"]);
    server.stop().await;
}

/// Whether silence proves anything: all shards were read without a gap since the last call, or not.
#[tokio::test]
async fn gone_or_not() {
    let server = Server::start(two_shards()).await;
    commit(&server, &[(sigv2("ASIA", "x"), "b", AT_S - 3 * DAY_S, false)]).await;
    let path = "/caller?account_id=1&principal=b";
    assert_has(&server.get(path).await.body, &["have been read without a gap since"]);
    for view in server.web.views.all() {
        view.write(|committed| committed.header.stretches = vec![(NOW_MS - 4 * 86_400_000, NOW_MS)]);
    }
    server.now_ms.fetch_add(1000, Ordering::Relaxed);
    assert_has(&server.get(path).await.body, &["Since then, for 3.0 days, everything that arrived was read"]);
    // One shard was not read for two days.
    let one = server.web.views.all()[0].clone();
    one.write(|committed| {
        committed.header.stretches = vec![(NOW_MS - 4 * 86_400_000, NOW_MS - 2 * 86_400_000)]
    });
    server.now_ms.fetch_add(1000, Ordering::Relaxed);
    let body = server.get(path).await.body;
    assert_has(
        &body,
        &["for 24.0 h, everything that arrived was read", "What came after that has not been read."],
    );
    commit(&server, &[(sigv2("ASIA", "x"), "b", AT_S - 7200, false)]).await;
    server.now_ms.fetch_add(1000, Ordering::Relaxed);
    assert_has(&server.get(path).await.body, &["2 h ago", "too short a silence"]);
    server.stop().await;
}

#[tokio::test]
async fn a_wrong_address_says_what_is_right() {
    let server = Server::start(Views::default()).await;
    for (path, message) in [
        ("/?window=7m", "`window` is needed and must be"),
        ("/callers?sort=size", "`sort` must be one of `principal`"),
        ("/callers?seen=never", "`seen` must be one of `now`, `new`, `quiet`"),
        ("/callers?page=0", "`page` must be a number from 1 to"),
        ("/callers?weakness=%3Cb%3E", "`weakness` must be one of"),
        ("/caller?account_id=1", "`principal` is needed"),
        ("/matches?before=x", "`before` is no match&#39;s number"),
        ("/rules?x=1", "this path takes none"),
    ] {
        let answer = server.get(path).await;
        assert_eq!(answer.status, 400, "{path}");
        assert!(answer.head.contains("content-type: text/html"), "{path}");
        assert_has(&answer.body, &["This can't be shown", message]);
    }
    server.stop().await;
}

/// One page is drawn at a time for all who look at it, and of many pages not all are kept.
#[tokio::test]
async fn pages_are_kept_for_a_second() {
    let server = Server::start(two_shards()).await;
    let first = server.get("/").await.body;
    insert(&server.web.views, "9", windows(&[("1", "z", SIGV2, 5)]));
    assert_eq!(server.get("/").await.body, first);
    assert_has(&server.get("/?window=1h").await.body, &["<dt>calls in 1h</dt><dd>25</dd>"]);
    server.now_ms.fetch_add(1000, Ordering::Relaxed);
    assert_has(&server.get("/").await.body, &["<dt>calls in 1h</dt><dd>25</dd>"]);
    for number in 0..200 {
        assert_eq!(server.get(&format!("/callers?q={number}")).await.status, 200);
    }
    server.stop().await;
}
