//! Web configs and what they let in.

use super::*;

fn rules(text: &str) -> Rules {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.yml");
    std::fs::write(&path, text).unwrap();
    file::load(&path).rules.unwrap()
}

#[test]
fn who_listens_to_strangers_is_warned() {
    let passwords = "basic_auth_users: {a: '$2b$04$/cZZXykckacXj.8FeIRtNuYFe5qQ7lIt/wOPNdNPkttscCPfj8nUy'}";
    for (text, address, expect) in [
        ("{}", "127.0.0.1:1", None),
        ("{}", "[::1]:1", None),
        ("{}", "0.0.0.0:1", Some("open to everyone")),
        ("{}", "[::]:1", Some("open to everyone")),
        ("{}", "192.0.2.1:1", Some("open to everyone")),
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

/// A file that is cut short while it is written, or emptied, opens nothing.
#[test]
fn what_is_protected_stays_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.yml");
    let passwords = "basic_auth_users: {a: '$2b$04$/cZZXykckacXj.8FeIRtNuYFe5qQ7lIt/wOPNdNPkttscCPfj8nUy'}\n";
    std::fs::write(&path, passwords).unwrap();
    let access = Access::begin(Some(&path)).unwrap();
    assert_eq!(access.look(), None);
    for text in [
        "",
        "# basic_auth_users\n",
        "---\n",
        "basic_auth_users:\n",
        "basic_auth_users: {}\n",
        "{}\n",
        "rate_limit: {interval: 1s, burst: 1}\n",
    ] {
        std::fs::write(&path, text).unwrap();
        assert_eq!(access.look(), Some(false), "{text:?}");
        assert!(access.rules().asks_who(), "{text:?}");
    }
    // What is refused is looked at again once a file that it names is there.
    let more = format!("{passwords}tls_server_config: {{cert_file: new.pem, key_file: new.key}}\n");
    std::fs::write(&path, &more).unwrap();
    assert_eq!(access.look(), Some(false));
    assert_eq!(access.look(), None);
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(folder.path().join("new.pem"), certified.cert.pem()).unwrap();
    std::fs::write(folder.path().join("new.key"), certified.signing_key.serialize_pem()).unwrap();
    assert_eq!(access.look(), Some(true));
    assert!(access.rules().tls.is_some());
    std::fs::write(&path, passwords).unwrap();
    assert_eq!(access.look(), Some(false));
    assert!(access.rules().tls.is_some());
}

/// Whoever guesses waits for himself: others are compared, and are known afterwards.
#[tokio::test]
async fn guesses_of_one_side_do_not_lock_others_out() {
    let rules = Arc::new(rules(
        "basic_auth_users: {a: '$2b$04$/cZZXykckacXj.8FeIRtNuYFe5qQ7lIt/wOPNdNPkttscCPfj8nUy'}",
    ));
    let headers = |password: &str| {
        use base64::Engine;
        let encoded = base64::prelude::BASE64_STANDARD.encode(format!("a:{password}"));
        HeaderMap::from_iter([(
            axum::http::header::AUTHORIZATION,
            format!("Basic {encoded}").parse().unwrap(),
        )])
    };
    let (guesser, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
    let guesses = (0..50).map(|number| {
        let (rules, headers) = (Arc::clone(&rules), headers(&format!("guess-{number}")));
        async move { rules.login(&headers, guesser).await }
    });
    let right = headers("pager");
    let (logins, login) = tokio::join!(futures_util::future::join_all(guesses), rules.login(&right, other));
    assert_eq!(login, Login::Granted);
    let count = |wanted: Login| logins.iter().filter(|login| **login == wanted).count();
    assert_eq!((count(Login::Refused), count(Login::Busy)), (4, 46));
    assert_eq!(rules.login(&right, guesser).await, Login::Granted);
}
