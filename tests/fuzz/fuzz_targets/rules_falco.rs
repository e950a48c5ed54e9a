//! Any text is a file of Falco's rules or a list of problems; what loads can be asked, and says something.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use trailmeter_rules::event::PlainEvent;
use trailmeter_rules::output::Values;
use trailmeter_rules::{Asker, Matching, RuleSet, SourceFile};

fn events() -> [PlainEvent; 2] {
    [
        serde_json::json!({
            "eventName": "PutObject", "eventSource": "s3.amazonaws.com", "awsRegion": "eu-west-1", "readOnly": false,
            "userIdentity": {"type": "IAMUser", "userName": "ann", "arn": "arn:aws:iam::111122223333:user/ann"},
            "sourceIPAddress": "198.51.100.7", "errorCode": "AccessDenied", "resources": [{"ARN": "a"}, {"ARN": "b"}],
            "requestParameters": {"bucketName": "b", "key": "k/l", "a": [1, "x", null]},
            "additionalEventData": {"bytesTransferredIn": 33.0}
        }),
        serde_json::json!({"eventName": null, "userIdentity": {"type": "Root"}, "requestParameters": null}),
    ]
    .map(PlainEvent::new)
}

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data).into_owned();
    for matching in [Matching::All, Matching::First] {
        let loaded = RuleSet::load(&[SourceFile::new("r.yaml", text.as_str())], matching);
        let has_errors = loaded.diagnostics.iter().any(|diagnostic| diagnostic.is_error());
        assert_eq!(loaded.rules.is_some(), !has_errors);
        for diagnostic in &loaded.diagnostics {
            assert!(diagnostic.to_string().contains("r.yaml"));
        }
        let Some(rules) = loaded.rules else { continue };
        let mut asker = Asker::new(Arc::new(rules));
        let mut met = Vec::new();
        for event in events() {
            asker.ask(&event, &mut met);
        }
        for (rule, event) in asker.rules().rules().iter().flat_map(|rule| events().map(|event| (rule, event)))
        {
            let mut values = Values::default();
            rule.output.take(&event, &mut values);
            rule.output.message(|at| values.get(at));
        }
    }
});
