//! How CloudTrail names what it delivers, and what of it a scan has no need to read.
//!
//! `[…/]AWSLogs/[o-ORGANISATION/]ACCOUNT/CloudTrail/REGION/YEAR/MONTH/DAY/FILE` ("CloudTrail log file name format",
//! "Finding your CloudTrail log files"). The account is the one to which the event was delivered and the region the one
//! in which: neither needs to be the caller's or the call's. The day is the day of delivery: a file has events from any
//! time before it.

use std::collections::BTreeMap;

use crate::event::time::{self, DAY_S};

/// The folder that everything is in.
const ROOT: &str = "AWSLogs";
/// Clocks of AWS differ by less: nothing is delivered earlier than this before it happens.
const EARLY_S: i64 = 3600;

/// What is to be read, as far as names tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Accounts that were delivered to; empty: all.
    pub accounts: Vec<String>,
    /// Regions that were delivered in; empty: all.
    pub regions: Vec<String>,
    /// Not what was delivered before this day, as `[year, month, day]`.
    pub first_day: Option<[u16; 3]>,
    /// Not what was delivered after it.
    pub last_day: Option<[u16; 3]>,
}

impl Wanted {
    /// Nothing that is delivered before `since_s`, or later than `late_s` after `until_s`, is wanted.
    pub fn within(self, since_s: Option<i64>, until_s: Option<i64>, late_s: i64) -> Self {
        let first_day = since_s.map(|since_s| day(since_s.saturating_sub(EARLY_S)));
        let last_day = until_s.map(|until_s| day(until_s.saturating_add(late_s)));
        Self { first_day, last_day, ..self }
    }

    /// Why what has this name is not to be read. `named` is the part of it that was asked for by name: what kind of logs
    /// that is was chosen, then.
    pub fn refuses(&self, found: Found<'_>, named: &str) -> Option<Reason> {
        let Some(layout) = Layout::of(found) else {
            let asks = !self.accounts.is_empty() || !self.regions.is_empty();
            return (asks && matches!(found, Found::File(_))).then_some(Reason::NoLayout);
        };
        let is_kind_chosen = Layout::of(Found::Folder(named)).is_some_and(|layout| layout.kind.is_some());
        let kind = layout.kind.filter(|_| !is_kind_chosen).and_then(refused_kind);
        let is_file = matches!(found, Found::File(_));
        let differs = |wanted: &[String], found: Option<&str>| match found {
            _ if wanted.is_empty() => false,
            Some(found) => !wanted.iter().any(|wanted| wanted == found),
            None => is_file,
        };
        let date = &layout.date[..];
        let is_early = self.first_day.is_some_and(|first| date < &first[..date.len()]);
        let is_late = self.last_day.is_some_and(|last| date > &last[..date.len()]);
        kind.or_else(|| differs(&self.accounts, layout.account).then_some(Reason::Account))
            .or_else(|| differs(&self.regions, layout.region).then_some(Reason::Region))
            .or_else(|| (is_early || is_late).then_some(Reason::Day))
    }
}

fn day(at_s: i64) -> [u16; 3] {
    let (year, month, day) = time::civil_from_days(at_s.div_euclid(DAY_S));
    [year, month, day].map(|part| u16::try_from(part.max(0)).unwrap_or(u16::MAX))
}

/// Logs under the name of an account that hold no calls.
fn refused_kind(kind: &str) -> Option<Reason> {
    match kind {
        "CloudTrail-Digest" => Some(Reason::Digest),
        "CloudTrail-Insight" => Some(Reason::Insight),
        // Network activity has calls among it: those that an endpoint's policy denied.
        kind if kind.starts_with("CloudTrail") => None,
        _ => Some(Reason::OtherLogs),
    }
}

/// Something that has a name, with `/` between its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'k> {
    /// A file or an object.
    File(&'k str),
    /// What is below.
    Folder(&'k str),
}

/// Why something was passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Of another account.
    Account,
    /// Of another region.
    Region,
    /// Delivered before or after the time that was asked for.
    Day,
    /// Digests: signatures over other files.
    Digest,
    /// Insights: statistics, not calls.
    Insight,
    /// Logs of another service.
    OtherLogs,
    /// An account or region is asked for, and the name tells none.
    NoLayout,
}

impl Reason {
    /// Its name.
    pub fn label(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Region => "region",
            Self::Day => "day",
            Self::Digest => "digest",
            Self::Insight => "insight",
            Self::OtherLogs => "other_logs",
            Self::NoLayout => "no_layout",
        }
    }
}

/// What was passed over without being read, by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PassedOver {
    /// Files and objects.
    pub files: BTreeMap<Reason, u64>,
    /// Whole folders: what is in them was not listed.
    pub folders: BTreeMap<Reason, u64>,
}

impl PassedOver {
    /// One more.
    pub fn add(&mut self, found: Found<'_>, reason: Reason) {
        let counts = match found {
            Found::File(_) => &mut self.files,
            Found::Folder(_) => &mut self.folders,
        };
        *counts.entry(reason).or_default() += 1;
    }

    /// All of another.
    pub fn merge(&mut self, other: &Self) {
        for (sums, counts) in [(&mut self.files, &other.files), (&mut self.folders, &other.folders)] {
            counts.iter().for_each(|(reason, count)| *sums.entry(*reason).or_default() += count);
        }
    }

    /// In a line; empty if there is nothing.
    pub fn told(&self) -> String {
        let told = |counts: &BTreeMap<Reason, u64>, noun: &str| {
            let each: Vec<String> =
                counts.iter().map(|(reason, count)| format!("{} {count}", reason.label())).collect();
            let sum: u64 = counts.values().sum();
            (sum > 0).then(|| format!("{sum} {noun} ({})", each.join(", ")))
        };
        let parts = [told(&self.folders, "folders"), told(&self.files, "files")];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" and ")
    }
}

/// What a name tells, from the left as far as it goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout<'k> {
    /// Such as `111122223333`.
    pub account: Option<&'k str>,
    /// Such as `CloudTrail`.
    pub kind: Option<&'k str>,
    /// Such as `eu-central-1`.
    pub region: Option<&'k str>,
    /// Year, month and day of delivery.
    pub date: Vec<u16>,
    /// Nothing that is told by names is below.
    pub is_whole: bool,
}

impl<'k> Layout<'k> {
    /// Of what has this name; none if it is not of this layout.
    pub fn of(found: Found<'k>) -> Option<Self> {
        let folder = match found {
            Found::Folder(path) => path.trim_end_matches('/'),
            Found::File(path) => path.rsplit_once('/')?.0,
        };
        let parts: Vec<&str> = folder.split('/').collect();
        let root = parts.iter().rposition(|part| *part == ROOT)?;
        let mut parts = parts.into_iter().skip(root + 1).peekable();
        parts.next_if(|part| part.starts_with("o-"));
        let account = match parts.next() {
            Some(account) if is_number(account, 12) => Some(account),
            // Below it is something else.
            Some(_) => return None,
            None => None,
        };
        let (kind, region) = (parts.next(), parts.next());
        let mut date = Vec::new();
        for length in [4, 2, 2] {
            date.extend(
                parts.next_if(|part| is_number(part, length)).and_then(|part| part.parse::<u16>().ok()),
            );
        }
        let is_whole = date.len() == 3 || parts.next().is_some();
        // Parts of a date that is none say nothing.
        if date.len() < 3 && is_whole {
            date.clear();
        }
        Some(Self { account, kind, region, date, is_whole })
    }
}

fn is_number(part: &str, length: usize) -> bool {
    part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "AWSLogs/111122223333/CloudTrail/eu-central-1/2025/07/01/a.json.gz";

    #[test]
    fn what_a_name_tells() {
        let whole = Layout {
            account: Some("111122223333"),
            kind: Some("CloudTrail"),
            region: Some("eu-central-1"),
            date: vec![2025, 7, 1],
            is_whole: true,
        };
        for prefix in ["", "trail/one/", "AWSLogs/"] {
            assert_eq!(Layout::of(Found::File(&format!("{prefix}{A}"))), Some(whole.clone()));
        }
        let organisation = A.replace("AWSLogs/", "o-a1b2/AWSLogs/o-a1b2/");
        assert_eq!(Layout::of(Found::File(&organisation)), Some(whole.clone()));
        for (folder, expect) in [
            ("AWSLogs/", Some(Layout::default())),
            ("x/AWSLogs/o-a/111122223333", Some(Layout { account: whole.account, ..Layout::default() })),
            (
                "AWSLogs/111122223333/CloudTrail/eu-central-1/2025/",
                Some(Layout { date: vec![2025], is_whole: false, ..whole.clone() }),
            ),
            (
                "AWSLogs/111122223333/CloudTrail/eu-central-1/july/2025",
                Some(Layout { date: vec![], ..whole.clone() }),
            ),
            ("AWSLogs/backup/111122223333", None),
            ("logs/2025/07/01", None),
        ] {
            assert_eq!(Layout::of(Found::Folder(folder)), expect, "{folder}");
        }
    }

    #[test]
    fn what_is_not_read() {
        let wanted = Wanted {
            accounts: vec!["111122223333".to_owned()],
            regions: vec!["eu-central-1".to_owned(), "us-east-1".to_owned()],
            ..Wanted::default()
        };
        // 2025-06-30T00:30 to 2025-07-01T00:00, delivered up to two days late.
        let wanted = wanted.within(Some(1_751_243_400), Some(1_751_328_000), 2 * DAY_S);
        assert_eq!((wanted.first_day, wanted.last_day), (Some([2025, 6, 29]), Some([2025, 7, 3])));
        let at = |part: &str, other: &str| A.replace(part, other);
        for (file, expect) in [
            (A.to_owned(), None),
            (at("111122223333", "111122223334"), Some(Reason::Account)),
            (at("eu-central-1", "us-east-1"), None),
            (at("eu-central-1", "eu-west-1"), Some(Reason::Region)),
            (at("07/01", "06/28"), Some(Reason::Day)),
            (at("07/01", "06/29"), None),
            (at("07/01", "07/03"), None),
            (at("07/01", "07/04"), Some(Reason::Day)),
            (at("2025", "2024"), Some(Reason::Day)),
            (at("CloudTrail", "CloudTrail-Digest"), Some(Reason::Digest)),
            (at("CloudTrail", "CloudTrail-Insight"), Some(Reason::Insight)),
            (at("CloudTrail", "CloudTrail-NetworkActivity"), None),
            (at("CloudTrail", "Config"), Some(Reason::OtherLogs)),
            ("copies/a.json.gz".to_owned(), Some(Reason::NoLayout)),
            ("a.json.gz".to_owned(), Some(Reason::NoLayout)),
        ] {
            assert_eq!(wanted.refuses(Found::File(&file), ""), expect, "{file}");
            assert_eq!(Wanted::default().refuses(Found::File(&file), "").is_some(), {
                matches!(expect, Some(Reason::Digest | Reason::Insight | Reason::OtherLogs))
            });
        }
        for (folder, expect) in [
            ("", None),
            ("AWSLogs", None),
            ("AWSLogs/111122223334", Some(Reason::Account)),
            ("AWSLogs/111122223333/CloudTrail/eu-central-1/2025", None),
            ("AWSLogs/111122223333/CloudTrail/eu-central-1/2026", Some(Reason::Day)),
            ("AWSLogs/111122223333/CloudTrail/eu-central-1/2025/06", None),
            ("AWSLogs/111122223333/CloudTrail/eu-central-1/2025/05", Some(Reason::Day)),
            ("AWSLogs/111122223333/CloudTrail/eu-central-1/2025/08", Some(Reason::Day)),
            ("elsewhere", None),
        ] {
            assert_eq!(wanted.refuses(Found::Folder(folder), ""), expect, "{folder}");
        }
        // What is asked for by name is read.
        let digest = at("CloudTrail", "CloudTrail-Digest");
        let named = "AWSLogs/111122223333/CloudTrail-Digest";
        assert_eq!(wanted.refuses(Found::File(&digest), named), None);
    }

    #[test]
    fn what_was_passed_over_is_told() {
        let mut passed = PassedOver::default();
        assert_eq!(passed.told(), "");
        passed.add(Found::File("a"), Reason::Digest);
        passed.add(Found::Folder("a"), Reason::Day);
        passed.add(Found::Folder("b"), Reason::Account);
        passed.merge(&passed.clone());
        assert_eq!(passed.told(), "4 folders (account 2, day 2) and 2 files (digest 2)");
    }
}
