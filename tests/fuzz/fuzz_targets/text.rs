//! User agents, times and names are hostile text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trailmeter::event::{Event, Identity, SignatureVersion, TlsVersion, client, principal, time};

fuzz_target!(|data: &str| {
    client::client(data);
    client::signs_with_sigv4_by_default(data);
    trailmeter_rules::version::compare(data, "1.2.3");
    if let Some(seconds) = time::parse(data) {
        assert_eq!(time::parse(&time::format(seconds)), Some(seconds));
    }
    SignatureVersion::read(data);
    TlsVersion::read(data);
    for kind in ["AssumedRole", "Root", "AWSAccount", "SAMLUser", data] {
        let identity =
            Identity { kind: Some(kind), arn: Some(data), principal_id: Some(data), ..Identity::default() };
        let event = Event { identity, ..Event::default() };
        principal::principal(&event, &mut String::new());
        principal::session(&identity);
    }
});
