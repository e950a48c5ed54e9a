//! Web configs and what they let in.

use super::*;

fn rules(text: &str) -> Rules {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.yml");
    std::fs::write(&path, text).unwrap();
    Rules::load(&path).unwrap()
}

#[test]
fn who_listens_to_strangers_is_warned() {
    let passwords = "basic_auth_users: {a: '$2b$04$/cZZXykckacXj.8FeIRtNuYFe5qQ7lIt/wOPNdNPkttscCPfj8nUy'}";
    for (text, address, expect) in [
        ("", "127.0.0.1:1", None),
        ("", "[::1]:1", None),
        ("", "0.0.0.0:1", Some("open to everyone")),
        ("", "[::]:1", Some("open to everyone")),
        ("", "192.0.2.1:1", Some("open to everyone")),
        (passwords, "127.0.0.1:1", None),
        (passwords, "0.0.0.0:1", Some("unencrypted")),
    ] {
        let warning = rules(text).warning(address.parse().unwrap());
        assert_eq!(warning.is_some(), expect.is_some(), "{address}: {warning:?}");
        assert!(expect.is_none_or(|part| warning.unwrap().contains(part)), "{address}: {warning:?}");
    }
}

#[test]
fn headers_and_rates() {
    let rules = rules(
        "http_server_config: {http2: true, headers: {X-Frame-Options: deny, X-XSS-Protection: ''}}\nrate_limit: {interval: 100ms, burst: 20}\n",
    );
    assert_eq!(rules.headers, [("x-frame-options".parse().unwrap(), HeaderValue::from_static("deny"))]);
    assert_eq!(rules.rate, Some(Rate { interval: Duration::from_millis(100), burst: 20 }));
    assert!(!rules.asks_who());
}

#[test]
fn sides() {
    for (address, expect) in [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
    ] {
        assert_eq!(side_of(address.parse().unwrap()).to_string(), expect);
    }
}
