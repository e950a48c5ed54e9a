//! Places, days, and answers that are none.

use super::*;
use crate::event::time;

#[test]
fn places() {
    let check = |text: &str, base: &str, account: Option<&str>, region: Option<&str>, date: &[&str]| {
        let place = Place::parse(text).unwrap();
        assert_eq!((place.bucket.as_str(), place.base.as_str()), ("b", base), "{text}");
        let named = |name: Option<&str>| name.map(str::to_owned).into_iter().collect::<Vec<_>>();
        assert_eq!((place.accounts, place.regions), (named(account), named(region)), "{text}");
        assert_eq!(place.date, date, "{text}");
    };
    let (account, region) = (Some("111122223333"), Some("eu-west-1"));
    check("s3://b", "AWSLogs", None, None, &[]);
    check("s3://b/", "AWSLogs", None, None, &[]);
    check("s3://b/x/y/", "x/y/AWSLogs", None, None, &[]);
    check("s3://b/x/AWSLogs", "x/AWSLogs", None, None, &[]);
    check("s3://b/AWSLogs/o-ab12/", "AWSLogs/o-ab12", None, None, &[]);
    check("s3://b/AWSLogs/111122223333", "AWSLogs", account, None, &[]);
    check("s3://b/AWSLogs/o-a/111122223333/CloudTrail", "AWSLogs/o-a", account, None, &[]);
    check("s3://b/AWSLogs/111122223333/CloudTrail/eu-west-1/2025/", "AWSLogs", account, region, &["2025"]);
    let day = "s3://b/AWSLogs/111122223333/CloudTrail/eu-west-1/2025/07/01";
    check(day, "AWSLogs", account, region, &["2025", "07", "01"]);
    for (text, why) in [
        ("b/AWSLogs", "write s3://BUCKET/PREFIX"),
        ("s3:///x", "names no bucket"),
        ("s3://b/it's", "a plainer prefix"),
        ("s3://b'/x", "names no bucket"),
        ("s3://b/AWSLogs/x", "is no account"),
        ("s3://b/AWSLogs/111122223333/CloudTrail-Insight", "its sibling CloudTrail/"),
        ("s3://b/AWSLogs/111122223333/CloudTrail/eu-west-1/2025/07/01/a.json.gz", "whole days"),
    ] {
        assert!(Place::parse(text).unwrap_err().contains(why), "{text}");
    }
}

#[test]
fn days_are_those_of_delivery() {
    let check =
        |place: &str, since: Option<&str>, until: Option<&str>, first: Option<&str>, last: Option<&str>| {
            let place = Place::parse(place).unwrap();
            let at = |text: Option<&str>| text.map(|text| time::parse(text).unwrap());
            let days = place.days(at(since), at(until), 2 * time::DAY_S);
            assert_eq!((days.first.as_deref(), days.last.as_deref()), (first, last));
        };
    let (since, until) = (Some("2025-07-01T00:30:00Z"), Some("2025-07-01T10:00:00Z"));
    check("s3://b", None, None, None, None);
    check("s3://b", since, None, Some("2025/06/30"), None);
    check("s3://b", since, until, Some("2025/06/30"), Some("2025/07/03"));
    let july = "s3://b/AWSLogs/111122223333/CloudTrail/eu-west-1/2025/07";
    check(july, None, None, Some("2025/07/01"), Some("2025/07/31"));
    check(july, since, until, Some("2025/07/01"), Some("2025/07/03"));
    check(
        "s3://b/AWSLogs/111122223333/CloudTrail/eu-west-1/2025",
        None,
        until,
        Some("2025/01/01"),
        Some("2025/07/03"),
    );
}

#[test]
fn what_is_no_answer_is_told() {
    let asked = Asked {
        group_by: vec![Field::EventName],
        only: None,
        since_s: None,
        until_s: None,
        policy: Policy::default(),
        now_s: 0,
        parts: Parts { accounting: true, trend: true, weak: true, lists: true },
    };
    let columns =
        ["part", "is_asked", "event_name", "verdict", "hour", "weak", "calls", "first_seen", "last_seen"];
    let added = |row: [Option<&str>; 9]| {
        let mut answer = Answer::new(&asked, 50);
        answer.add(&columns.map(|name| Some(name.to_owned()))).unwrap();
        answer.add(&row.map(|value| value.map(str::to_owned))).map(|()| answer.outcome())
    };
    let (at, one) = (Some("2025-07-01T00:00:00Z"), Some("1"));
    let rows = added([Some("rows"), Some("true"), Some("x"), None, None, None, one, at, at]).unwrap().rows;
    assert_eq!((rows.len(), rows[0].0.as_slice(), rows[0].1.calls), (1, &["x".to_owned()][..], 1));
    for (row, why) in [
        ([None; 9], "a row has no part"),
        ([Some("other"), None, None, None, None, None, one, at, at], "a part \"other\""),
        ([Some("rows"), Some("true"), None, None, None, None, one, at, at], "no event_name"),
        ([Some("rows"), Some("true"), Some("x"), None, None, None, Some("-1"), at, at], "is no number"),
        ([Some("rows"), Some("true"), Some("x"), None, None, None, one, Some("x"), at], "is no time"),
        ([Some("accounting"), None, None, Some("rejected why"), None, None, one, at, at], "a verdict"),
        ([Some("trend"), None, None, None, Some("noon"), None, one, at, at], "an hour"),
        ([Some("weak"), None, None, None, None, Some("many"), one, at, at], "weaknesses"),
    ] {
        let error = added(row).unwrap_err().to_string();
        assert!(error.starts_with("Athena's answer can't be read: ") && error.contains(why), "{error}");
    }
}

#[test]
fn tables_grow_and_keep_their_place() {
    let name = TableName::parse("logs.trail").unwrap();
    let place = Place::parse("s3://b/AWSLogs/111122223333/CloudTrail/eu-west-1").unwrap();
    let table = || Table::new(name.clone(), &place, Vec::new(), vec!["us-east-1".to_owned()]);
    let ddl = table().ddl();
    assert!(ddl.contains("'projection.region.values' = 'eu-west-1,us-east-1'"), "{ddl}");
    let template = "s3://b/AWSLogs/${account}/CloudTrail/${region}/${day}/";
    let fit = |accounts: &'static str, regions: &'static str, template: &'static str| {
        let properties = [
            ("projection.account.values", accounts),
            ("projection.region.values", regions),
            ("storage.location.template", template),
        ];
        let properties = properties.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        table().joined(&Known { properties, ..Known::default() }).map(|(table, fit)| (table.alter(), fit))
    };
    assert_eq!(fit("1,111122223333", "us-east-1, eu-west-1", template).unwrap().1, Fit::Fits);
    let (alter, stale) = fit("1", "us-east-1", template).unwrap();
    assert_eq!(stale, Fit::Stale);
    assert!(alter.contains("'1,111122223333'") && alter.contains("'eu-west-1,us-east-1'"), "{alter}");
    assert_eq!(fit("1", "us-east-1", "s3://c/${account}/"), None);
    let missing = missing_columns(&Known::default());
    assert_eq!((missing.len(), missing[0], missing[1]), (31, "eventversion", "useridentity"));
    let columns = missing.iter().map(|name| name.to_uppercase()).collect();
    assert!(missing_columns(&Known { columns, ..Known::default() }).is_empty());
    for wrong in ["A.b", "a.b.c", "", "a.", "a b", "1a"] {
        assert!(TableName::parse(wrong).unwrap_err().contains("DATABASE.TABLE"), "{wrong}");
    }
    assert_eq!(TableName::parse("t").unwrap().to_string(), "default.t");
}
