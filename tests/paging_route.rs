//! From a call to whoever is told: trailmeter, Alertmanager with the example of deploy/alertmanager, and Prometheus with
//! the rules of rules/prometheus. Each new caller is one notification, whichever of the three is started anew.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use common::alertmanager::{Alertmanager, Place, WeakCall, Webhook, append, now, over_a_file, principal};
use common::prometheus::{Options, Prometheus};
use common::server::free_port;
use common::{PATIENCE, Trailmeter, repository};
use serde_json::Value;

/// The example, its receivers replaced by ours.
fn example(webhook: &Webhook) -> String {
    let text = std::fs::read_to_string(repository("deploy/alertmanager/alertmanager.yml")).unwrap();
    let is_url = |line: &str| line.trim_start().starts_with("- url: https://");
    let lines = text.lines().map(|line| match is_url(line) {
        true => format!("      - url: {}\n", webhook.url()),
        false => format!("{line}\n"),
    });
    assert_eq!(text.lines().filter(|line| is_url(line)).count(), 4);
    lines.collect()
}

/// The three servers and who is told, with places where what they keep outlives them.
struct Scene {
    place: Place,
    webhook: Webhook,
    alertmanager_port: u16,
    trailmeter_port: u16,
    alertmanager: Option<Alertmanager>,
    run: Option<Trailmeter>,
    prometheus: Option<Prometheus>,
    rules: &'static str,
}

impl Scene {
    /// `alerts`: what the config says of alerts, `ALERTMANAGER` standing for its address.
    fn begin(alerts: &str, rules: &'static str) -> Self {
        let (place, webhook) = (Place::new(), Webhook::start());
        let (alertmanager_port, trailmeter_port) = (free_port(), free_port());
        let url = format!("http://127.0.0.1:{alertmanager_port}");
        over_a_file(&place, &[], &alerts.replace("ALERTMANAGER", &url));
        place.folder("alertmanager");
        place.folder("prometheus");
        let (alertmanager, run, prometheus) = (None, None, None);
        let mut scene =
            Self { place, webhook, alertmanager_port, trailmeter_port, alertmanager, run, prometheus, rules };
        scene.start_alertmanager();
        scene.start_trailmeter();
        scene.restart_prometheus();
        scene
    }

    fn start_alertmanager(&mut self) {
        let (folder, config) = (self.place.path("alertmanager"), example(&self.webhook));
        self.alertmanager = Some(Alertmanager::start_with(&folder, self.alertmanager_port, None, &config));
    }

    fn start_trailmeter(&mut self) {
        let config = self.place.path("trailmeter.yaml").display().to_string();
        let listen = format!("127.0.0.1:{}", self.trailmeter_port);
        self.run = Some(Trailmeter::run(&["--config", &config, "--listen", &listen]));
    }

    fn restart_trailmeter(&mut self) {
        assert!(self.run.take().unwrap().stop().success());
        self.start_trailmeter();
    }

    fn restart_prometheus(&mut self) {
        if let Some(prometheus) = self.prometheus.take() {
            prometheus.stop();
        }
        let options = Options {
            targets: vec![self.run().address().to_owned()],
            rules: vec![repository(self.rules)],
            alertmanager: Some(format!("127.0.0.1:{}", self.alertmanager_port)),
        };
        self.prometheus = Some(Prometheus::start(&self.place.path("prometheus"), &options));
    }

    fn run(&self) -> &Trailmeter {
        self.run.as_ref().unwrap()
    }

    fn prometheus(&self) -> &Prometheus {
        self.prometheus.as_ref().unwrap()
    }

    fn alertmanager(&self) -> &Alertmanager {
        self.alertmanager.as_ref().unwrap()
    }

    fn call(&self, call: &WeakCall) {
        append(&self.place, call);
    }

    /// New callers, one after the other.
    fn new_callers(&self, numbers: std::ops::Range<usize>) {
        for number in numbers {
            self.call(&WeakCall::sigv2(&format!("new-{number:02}"), &format!("id-{number}"), &now()));
        }
    }

    /// Waits until Alertmanager has, or has again, so many alerts.
    fn wait_until_held(&self, count: usize) {
        assert_eq!(self.alertmanager().wait_for(count).len(), count);
    }

    /// What one receiver was told: a list of principals for each notification.
    fn told(&self, receiver: &str) -> Vec<Vec<String>> {
        let posts = self.webhook.posts();
        let to_it = posts.iter().filter(|post| post["receiver"] == receiver);
        to_it.map(|post| post["alerts"].as_array().unwrap().iter().map(principal).collect()).collect()
    }

    /// Waits until a receiver was told of so many, and gives what it was told.
    fn wait_until_told(&self, receiver: &str, count: usize) -> Vec<Vec<String>> {
        let end = Instant::now() + PATIENCE;
        loop {
            let told = self.told(receiver);
            let principals: BTreeSet<&String> = told.iter().flatten().collect();
            if principals.len() >= count {
                return told;
            }
            assert!(Instant::now() < end, "{receiver}: {} of {count}: {told:?}", principals.len());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Each of so many new callers was told of once, in a notification of its own.
    fn assert_each_was_told_once(&self, count: usize) {
        let told = self.told("pager");
        let mut times = BTreeMap::new();
        told.iter().flatten().for_each(|principal| *times.entry(principal.clone()).or_insert(0) += 1);
        let more: Vec<_> = times.iter().filter(|(_, times)| **times != 1).collect();
        assert!(more.is_empty(), "not once: {more:?}");
        let expected: BTreeSet<String> = (0..count)
            .map(|number| WeakCall::sigv2(&format!("new-{number:02}"), "", "").principal())
            .collect();
        assert_eq!(times.into_keys().collect::<BTreeSet<_>>(), expected);
        assert!(told.iter().all(|notification| notification.len() == 1), "{told:?}");
    }
}

const PUSH: &str = "alerts: {alertmanagers: [ALERTMANAGER], resend: 1s}";

/// 50 new callers by and by, and each server stopped and started in between, with pages decided, sent and notified of.
#[test]
fn each_of_50_new_callers_rings_once_over_restarts() {
    let mut scene = Scene::begin(PUSH, "rules/prometheus/trailmeter.yml");
    scene.new_callers(0..10);
    scene.wait_until_told("pager", 10);
    // While alerts wait for their first notification, which is 5 s after they came.
    scene.new_callers(10..15);
    scene.wait_until_held(15);
    scene.restart_trailmeter();
    scene.new_callers(15..20);
    scene.wait_until_told("pager", 20);

    // Alertmanager forgets what is active when it stops; what it notified of it wrote down.
    scene.alertmanager.take().unwrap().stop();
    scene.new_callers(20..25);
    scene.run().wait_until("/api/v1/status", |status| status["sinks"][0]["undelivered"] == 5);
    scene.restart_trailmeter();
    scene.start_alertmanager();
    scene.wait_until_held(25);
    scene.new_callers(25..30);
    scene.wait_until_told("pager", 30);

    // Half of these are notified of, half are not yet.
    scene.new_callers(30..35);
    scene.wait_until_told("pager", 35);
    scene.new_callers(35..40);
    scene.wait_until_held(40);
    scene.alertmanager.take().unwrap().stop();
    scene.start_alertmanager();
    scene.wait_until_held(40);
    scene.restart_prometheus();
    scene.new_callers(40..45);
    scene.wait_until_told("pager", 45);

    scene.alertmanager.take().unwrap().stop();
    scene.restart_trailmeter();
    scene.start_alertmanager();
    scene.wait_until_held(45);
    // Those before, had they been notified of anew, would have been at once: they are older than 5 s. So when these are
    // told of, the others have had their time.
    scene.new_callers(45..50);
    scene.wait_until_told("pager", 50);
    scene.assert_each_was_told_once(50);
    // Nobody else was told of anything: Prometheus sees nothing wrong, and a page is no ticket.
    assert_eq!(scene.webhook.posts().len(), 50);
    println!("50 new callers, 50 notifications");
}

/// The other way: Prometheus tells, trailmeter does not.
#[test]
fn each_new_caller_rings_once_by_the_optional_rules_too() {
    let mut scene = Scene::begin("", "rules/prometheus/new-callers.yml");
    scene.new_callers(0..8);
    scene.wait_until_told("pager", 8);
    // What Prometheus scraped ends, and begins again.
    let run = scene.run.take().unwrap();
    assert!(run.stop().success());
    scene.prometheus().wait_until("up", |up| up == 0.0);
    scene.start_trailmeter();
    scene.prometheus().wait_until("up", |up| up == 1.0);
    scene.new_callers(8..12);
    scene.wait_until_told("pager", 12);
    scene.alertmanager.take().unwrap().stop();
    scene.start_alertmanager();
    scene.wait_until_held(12);
    // Prometheus is away until what it sent has ended; then the same alerts are there again.
    scene.prometheus.take().unwrap().stop();
    let end = Instant::now() + PATIENCE;
    while !scene.alertmanager().alerts().is_empty() {
        assert!(Instant::now() < end, "they do not end");
        std::thread::sleep(Duration::from_millis(50));
    }
    scene.restart_prometheus();
    scene.wait_until_held(12);
    scene.new_callers(12..16);
    scene.wait_until_told("pager", 16);
    scene.assert_each_was_told_once(16);
    assert_eq!(scene.webhook.posts().len(), 16);
}

/// Two callers with long-lived keys in one account, one in another, and one that is also new with SigV2.
#[test]
fn tickets_of_an_account_come_together_and_the_lesser_is_not_told() {
    let scene = Scene::begin(PUSH, "rules/prometheus/trailmeter.yml");
    let with_key = |role: &str, account: &str, signature: &'static str| WeakCall {
        account: account.to_owned(),
        signature,
        key: "AKIAEXAMPLE".to_owned(),
        ..WeakCall::sigv2(role, &format!("{role}-{account}"), &now())
    };
    let (one, other) = ("111122223333", "444455556666");
    let both = with_key("both", one, "SigV2");
    let (a, b, c) = (with_key("a", one, "SigV4"), with_key("b", one, "SigV4"), with_key("c", other, "SigV4"));
    [&both, &a, &b, &c].into_iter().for_each(|call| scene.call(call));
    // Five alerts: three tickets, a page, and the ticket that the page stands for.
    scene.run().wait_until("/api/v1/callers", |callers| callers["rows"].as_array().unwrap().len() == 5);
    let mut tickets = scene.wait_until_told("tickets", 3);
    tickets.iter_mut().for_each(|ticket| ticket.sort());
    tickets.sort();
    assert_eq!(tickets, [vec![a.principal(), b.principal()], vec![c.principal()]]);
    assert_eq!(scene.told("pager"), [[both.principal()]]);
    // It is held, and it is silent because of the page.
    let alerts = scene.alertmanager().alerts();
    let is_its_ticket = |alert: &&Value| {
        alert["labels"]["alertname"] == "NewLongTermKeyCaller" && principal(alert) == both.principal()
    };
    let ticket = alerts.values().find(is_its_ticket).unwrap();
    assert_eq!(ticket["status"]["state"], "suppressed", "{ticket}");
    assert_eq!(ticket["status"]["inhibitedBy"].as_array().unwrap().len(), 1, "{ticket}");
    assert_eq!(alerts.len(), 5);
}
