//! Where a trail's files lie: `[…/]AWSLogs/[o-ORGANISATION/]ACCOUNT/CloudTrail/REGION/YEAR/MONTH/DAY/FILE`.
//!
//! The day is that of delivery: a file has events from before it.

use crate::event::time;

/// The folder that everything is in.
const ROOT: &str = "AWSLogs";
/// The folder of events, beside those of digests and insights.
const EVENTS: &str = "CloudTrail";
/// Clocks of AWS differ by less: nothing is delivered earlier than this before it happens.
const EARLY_S: i64 = 3600;
/// Files under a prefix of S3, as far as it tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The bucket.
    pub bucket: String,
    /// The folder that accounts are in, without a slash at its end: the root of a table.
    pub base: String,
    /// Accounts; empty: all.
    pub accounts: Vec<String>,
    /// Regions; empty: all.
    pub regions: Vec<String>,
    /// Year, month and day of the prefix, as many as it names.
    pub date: Vec<String>,
}

/// Days of delivery, the first and the last, as `2025/07/01`; none: no bound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Days {
    /// Not before.
    pub first: Option<String>,
    /// Not after.
    pub last: Option<String>,
}

impl Place {
    /// Reads `s3://BUCKET/PREFIX`.
    ///
    /// # Errors
    /// It is no such place, or one in which no events lie.
    pub fn parse(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix("s3://");
        let rest = rest.ok_or_else(|| format!("{text:?} is not in S3: write s3://BUCKET/PREFIX"))?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-._/!*()=".contains(c);
        if bucket.is_empty() || !bucket.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c)) {
            return Err(format!("{text:?} names no bucket: write s3://BUCKET/PREFIX"));
        }
        if !prefix.chars().all(is_name) {
            return Err(format!(
                "{text:?} has characters that a table's place can't have: name a plainer prefix"
            ));
        }
        let mut parts = prefix.trim_matches('/').split('/').filter(|part| !part.is_empty());
        let mut base: Vec<&str> = parts.by_ref().take_while(|part| *part != ROOT).collect();
        base.push(ROOT);
        let mut parts = parts.peekable();
        base.extend(parts.next_if(|part| part.starts_with("o-")));
        let accounts: Vec<String> = parts.next().map(str::to_owned).into_iter().collect();
        if let Some(account) = accounts.iter().find(|account| !is_number(account, 12)) {
            return Err(format!(
                "{text:?}: {account:?} is no account: name what {ROOT}/ is in, or a folder below it"
            ));
        }
        if let Some(kind) = parts.next().filter(|kind| *kind != EVENTS) {
            return Err(format!("{text:?}: there are no calls in {kind}/: name its sibling {EVENTS}/"));
        }
        let regions = parts.next().map(str::to_owned).into_iter().collect();
        let mut date = Vec::new();
        for length in [4, 2, 2] {
            date.extend(parts.next_if(|part| is_number(part, length)).map(str::to_owned));
        }
        match parts.next() {
            Some(part) => {
                Err(format!("{text:?}: a table is of whole days: leave out {part:?} and what is behind it"))
            }
            None => Ok(Self { bucket: bucket.to_owned(), base: base.join("/"), accounts, regions, date }),
        }
    }

    /// Only these of its accounts and regions; none named: all.
    ///
    /// # Errors
    /// It is of another one, or what is named is none.
    pub fn only(mut self, accounts: &[String], regions: &[String]) -> Result<Self, String> {
        for (own, named, option) in
            [(&mut self.accounts, accounts, "--account"), (&mut self.regions, regions, "--region")]
        {
            let named: Vec<String> = named.iter().map(|name| name.trim().to_owned()).collect();
            match own.first() {
                Some(own) if !named.is_empty() && !named.contains(own) => {
                    return Err(format!("the place is of {own}, which {option} leaves out"));
                }
                Some(_) => {}
                None => *own = named,
            }
        }
        if let Some(account) = self.accounts.iter().find(|account| !is_number(account, 12)) {
            return Err(format!("--account: {account:?} is no account: it has 12 digits"));
        }
        let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if let Some(region) = self.regions.iter().find(|region| region.is_empty() || !is_name(region)) {
            return Err(format!("--region: {region:?} is no region: write eu-central-1"));
        }
        Ok(self)
    }

    /// The days of delivery in which events from `since_s` to `until_s` lie if they come at most `late_s` later, as far as
    /// the prefix has them.
    pub fn days(&self, since_s: Option<i64>, until_s: Option<i64>, late_s: i64) -> Days {
        let (mut first, mut last) = (None, None);
        if !self.date.is_empty() {
            let filled = |rest: [&str; 3]| {
                let named = self.date.iter().map(String::as_str);
                named.chain(rest[self.date.len()..].iter().copied()).collect::<Vec<_>>().join("/")
            };
            (first, last) = (Some(filled(["", "01", "01"])), Some(filled(["", "12", "31"])));
        }
        let since = since_s.map(|since_s| day(since_s.saturating_sub(EARLY_S)));
        let until = until_s.map(|until_s| day(until_s.saturating_add(late_s)));
        Days { first: first.max(since), last: last.into_iter().chain(until).min() }
    }

    /// The root of the table, as a URL.
    pub fn root(&self) -> String {
        format!("s3://{}/{}/", self.bucket, self.base)
    }

    /// The folder of an account's events.
    pub fn folder(&self, account: &str) -> String {
        format!("{}/{account}/{EVENTS}", self.base)
    }
}

impl Days {
    /// Whether a day is among them.
    pub fn has(&self, day: &str) -> bool {
        self.first.as_deref().is_none_or(|first| day >= first)
            && self.last.as_deref().is_none_or(|last| day <= last)
    }
}

fn day(at_s: i64) -> String {
    time::format(at_s)[..10].replace('-', "/")
}

/// Whether this is a number of so many digits.
pub fn is_number(part: &str, length: usize) -> bool {
    part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit())
}
