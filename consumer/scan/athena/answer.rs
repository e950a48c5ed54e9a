//! What the query answers, as an [`Outcome`].
//!
//! Enters: rows of texts, under the names of the query's columns. Leaves: the sums of each part. What a user agent tells
//! is told here, so that groups that SQL kept apart by it may become one.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use hashbrown::HashMap;

use super::Asked;
use super::sql::{WEAK_LISTS, columns_of};
use crate::callers::{
    CallerState, Detail, MAX_VALUE_BYTES, OwnedKey, Row as CallerRow, advice, day_of, keep_newest,
};
use crate::event::judge::{Policy, Weakness};
use crate::event::{client, principal, signature, time, tls};
use crate::scan::field::Field;
use crate::scan::{Hours, Outcome, Sum, WeakCaller, trend};
use crate::totals::{Coverage, Dropped, EventRejection, NotCall, Totals, UnknownReason};
use crate::window::{HOUR_S, Versions, bucket, cut_name};

/// An answer that is not what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Athena's answer can't be read: {0}")]
pub struct BadAnswer(String);

/// Adds up rows, as they come.
pub struct Answer<'a> {
    asked: &'a Asked,
    caller_values: usize,
    columns: HashMap<String, usize>,
    groups: BTreeMap<Vec<String>, Sum>,
    totals: Totals,
    hours: Hours,
    weak: BTreeMap<OwnedKey, Weak>,
}

/// One weakness of one caller.
struct Weak {
    row: CallerRow,
    lists: [HashMap<Box<str>, i32>; Detail::COUNT],
}

/// A row, by the names of its columns.
struct Row<'r> {
    columns: &'r HashMap<String, usize>,
    values: &'r [Option<String>],
}

impl<'r> Row<'r> {
    /// The value of a column; none if it has none.
    fn get(&self, column: &str) -> Option<&'r str> {
        self.values.get(*self.columns.get(column)?)?.as_deref()
    }

    fn needed(&self, column: &str) -> Result<&'r str, BadAnswer> {
        self.get(column).ok_or_else(|| BadAnswer(format!("a row has no {column}")))
    }

    fn number(&self, column: &str) -> Result<u64, BadAnswer> {
        let text = self.needed(column)?;
        text.parse().map_err(|_| BadAnswer(format!("{column} is {text:?}, which is no number")))
    }

    fn time_s(&self, column: &str) -> Result<i64, BadAnswer> {
        let text = self.needed(column)?;
        time::parse(text).ok_or_else(|| BadAnswer(format!("{column} is {text:?}, which is no time")))
    }

    fn sum(&self) -> Result<Sum, BadAnswer> {
        let (first_s, last_s) = (self.time_s("first_seen")?, self.time_s("last_seen")?);
        Ok(Sum { calls: self.number("calls")?, first_s, last_s })
    }
}

impl<'a> Answer<'a> {
    /// To what was asked; a list of a weak caller holds so many texts.
    pub fn new(asked: &'a Asked, caller_values: usize) -> Self {
        let (columns, groups, totals, hours, weak) = Default::default();
        Self { asked, caller_values, columns, groups, totals, hours, weak }
    }

    /// Adds a row; the first has the names of the columns.
    ///
    /// # Errors
    /// It is none of the query's.
    pub fn add(&mut self, values: &[Option<String>]) -> Result<(), BadAnswer> {
        let columns = std::mem::take(&mut self.columns);
        if columns.is_empty() {
            let names = values.iter().map(|name| name.clone().unwrap_or_default());
            self.columns = names.enumerate().map(|(at, name)| (name, at)).collect();
            return Ok(());
        }
        let added = self.add_row(&Row { columns: &columns, values });
        self.columns = columns;
        added
    }

    fn add_row(&mut self, row: &Row<'_>) -> Result<(), BadAnswer> {
        match row.needed("part")? {
            "rows" => self.group(row),
            "accounting" => self.verdict(row),
            "coverage" => self.coverage(row),
            "unsigned" => self.unsigned(row),
            "trend" => self.hour(row),
            part if part.starts_with("weak") => self.weak(part, row),
            part => Err(BadAnswer(format!("there is a part {part:?}"))),
        }
    }

    fn group(&mut self, row: &Row<'_>) -> Result<(), BadAnswer> {
        if row.needed("is_asked")? != "true" {
            return Ok(());
        }
        let values = self.asked.group_by.iter().map(|field| {
            let text = row.needed(columns_of(*field))?;
            Ok(match field {
                Field::Client => client::client(text).map_or("", |client| client.name),
                Field::ClientVersion => client::client(text).map_or("", |client| client.version),
                Field::LikelySigv2 if is_sigv2_by_default(text) => "true",
                Field::LikelySigv2 => "false",
                _ => text,
            }
            .to_owned())
        });
        let (values, more) = (values.collect::<Result<Vec<_>, _>>()?, row.sum()?);
        let sum = self.groups.entry(values).or_insert(Sum { calls: 0, ..more });
        sum.calls += more.calls;
        (sum.first_s, sum.last_s) = (sum.first_s.min(more.first_s), sum.last_s.max(more.last_s));
        Ok(())
    }

    fn verdict(&mut self, row: &Row<'_>) -> Result<(), BadAnswer> {
        let (text, count) = (row.needed("verdict")?, row.number("calls")?);
        let (kind, reason) = text.split_once(' ').unwrap_or((text, ""));
        let totals = &mut self.totals;
        let counted = match kind {
            "call" => Some(&mut totals.calls),
            "not_call" => counter(NotCall::ALL.iter().map(|r| r.label()), &mut totals.not_calls, reason),
            "dropped" => counter(Dropped::ALL.iter().map(|r| r.label()), &mut totals.dropped, reason),
            "rejected" => {
                counter(EventRejection::ALL.iter().map(|r| r.label()), &mut totals.rejected, reason)
            }
            _ => None,
        };
        *counted.ok_or_else(|| BadAnswer(format!("there is a verdict {text:?}")))? += count;
        Ok(())
    }

    fn coverage(&mut self, row: &Row<'_>) -> Result<(), BadAnswer> {
        // Of what is no call there is none.
        let Some(signature) = row.get("signature_coverage") else { return Ok(()) };
        let count = row.number("calls")?;
        cover(&mut self.totals.signature, signature, count)?;
        cover(&mut self.totals.tls, row.needed("tls_coverage")?, count)
    }

    fn unsigned(&mut self, row: &Row<'_>) -> Result<(), BadAnswer> {
        if row.get("unsigned_agent").is_some_and(is_sigv2_by_default) {
            self.totals.likely_sigv2 += row.number("calls")?;
        }
        Ok(())
    }

    fn hour(&mut self, row: &Row<'_>) -> Result<(), BadAnswer> {
        let Some(hour) = row.get("hour") else { return Ok(()) };
        let hour_s = time::parse(&format!("{hour}:00:00Z"));
        let hour_s = hour_s.ok_or_else(|| BadAnswer(format!("there is an hour {hour:?}")))?;
        let code = |labels: &[&str], column: &str| {
            let label = row.needed(column)?;
            let at = labels.iter().position(|known| *known == label);
            at.map(|at| at as u8).ok_or_else(|| BadAnswer(format!("there is a version {label:?}")))
        };
        let signature = code(&signature::LABELS, "trend_signature")?;
        let versions = Versions::new(signature, code(&tls::LABELS, "trend_tls")?);
        let sums = self.hours.entry(bucket(hour_s, HOUR_S)).or_insert([0; Versions::COUNT]);
        sums[usize::from(versions.code())] += row.number("calls")?;
        Ok(())
    }

    fn weak(&mut self, part: &str, row: &Row<'_>) -> Result<(), BadAnswer> {
        let Some(bits) = row.get("weak") else { return Ok(()) };
        let bits: u8 = bits.parse().map_err(|_| BadAnswer(format!("there are weaknesses {bits:?}")))?;
        let (account_id, principal) = (row.needed("weak_account_id")?, row.needed("weak_principal")?);
        let texts = texts(part, row)?;
        for weakness in Weakness::ALL.into_iter().filter(|weakness| bits & 1 << *weakness as u8 != 0) {
            let (account, name) = (cut_name(account_id), cut_name(principal));
            let key = OwnedKey { weakness, account_id: account.into(), principal: name.into() };
            let caller = self.weak.entry(key).or_insert_with(|| Weak {
                row: CallerRow::new(0, state(&self.asked.policy, account_id, principal)),
                lists: Default::default(),
            });
            match part {
                "weak" => caller.add(row)?,
                _ => caller.list(&texts, day_of(row.time_s("last_seen")?), self.caller_values),
            }
        }
        Ok(())
    }

    /// All of it.
    pub fn outcome(self) -> Outcome {
        let values = self.caller_values;
        let weak = self.weak.into_iter().map(|(key, caller)| caller.finished(key, values));
        let mut weak: Vec<WeakCaller> = weak.collect();
        weak.sort_by_key(|caller| (caller.key.weakness, Reverse(caller.row.calls)));
        Outcome {
            rows: self.groups.into_iter().collect(),
            trend: trend(&self.hours),
            totals: self.totals,
            weak,
            is_of_table: true,
            ..Outcome::default()
        }
    }
}

/// The count of the reason with this label.
fn counter<'c>(
    labels: impl Iterator<Item = &'static str>,
    counts: &'c mut [u64],
    reason: &str,
) -> Option<&'c mut u64> {
    labels.zip(counts).find(|(label, _)| *label == reason).map(|(_, count)| count)
}

fn is_sigv2_by_default(user_agent: &str) -> bool {
    client::signs_with_sigv4_by_default(user_agent) == Some(false)
}

fn cover(coverage: &mut Coverage, label: &str, count: u64) -> Result<(), BadAnswer> {
    let reason = UnknownReason::ALL.iter().position(|reason| reason.label() == label);
    match (label, reason) {
        ("known", _) => coverage.known += count,
        (_, Some(reason)) => coverage.unknown[reason] += count,
        _ => return Err(BadAnswer(format!("there is a coverage {label:?}"))),
    }
    Ok(())
}

fn state(policy: &Policy, account_id: &str, name: &str) -> CallerState {
    let is_anonymous =
        name == principal::ANONYMOUS && matches!(account_id, "anonymous" | "ANONYMOUS_PRINCIPAL");
    let is_outside = is_anonymous || !policy.accounts.is_empty() && !policy.accounts.contains(account_id);
    if is_outside { CallerState::Outside } else { CallerState::Learned }
}

/// What a row adds to lists.
fn texts<'r>(part: &str, row: &Row<'r>) -> Result<Vec<(Detail, std::borrow::Cow<'r, str>)>, BadAnswer> {
    if part == "weak" {
        return Ok(Vec::new());
    }
    if part == "weak_opened_by" {
        let Some(ip) = row.get("weak_opened_by_ip") else { return Ok(Vec::new()) };
        let client = client_of(row.needed("weak_opened_by_agent")?);
        let parts = [Some(ip), client.as_deref()].into_iter().flatten().filter(|part| !part.is_empty());
        return Ok(vec![(Detail::OpenedBy, parts.collect::<Vec<_>>().join(" ").into())]);
    }
    let Some(text) = row.get(part) else { return Ok(Vec::new()) };
    if part == "weak_user_agent" {
        let client = client_of(text).map(|client| (Detail::Client, client.into()));
        let hint = advice::hint(text).map(|hint| (Detail::Hint, hint.into()));
        return Ok(client.into_iter().chain(hint).collect());
    }
    let detail = WEAK_LISTS.iter().find(|(name, _)| *name == part);
    let (_, detail) = detail.ok_or_else(|| BadAnswer(format!("there is a part {part:?}")))?;
    Ok(vec![(*detail, text.into())])
}

fn client_of(user_agent: &str) -> Option<String> {
    client::client(user_agent).map(|client| match client.version {
        "" => client.name.to_owned(),
        version => format!("{}/{version}", client.name),
    })
}

impl Weak {
    fn add(&mut self, row: &Row<'_>) -> Result<(), BadAnswer> {
        let (sum, caller) = (row.sum()?, &mut self.row);
        caller.calls += sum.calls;
        caller.errors += row.number("errors")?;
        caller.presigned += row.number("presigned_calls")?;
        (caller.first_s, caller.last_s) = (caller.first_s.min(sum.first_s), caller.last_s.max(sum.last_s));
        Ok(())
    }

    fn list(&mut self, texts: &[(Detail, std::borrow::Cow<'_, str>)], day: i32, values: usize) {
        for (detail, text) in texts.iter().filter(|(_, text)| !text.is_empty()) {
            let text = &text[..text.floor_char_boundary(MAX_VALUE_BYTES)];
            let list = &mut self.lists[*detail as usize];
            let last = list.entry(text.into()).or_insert(day);
            *last = day.max(*last);
            if list.len() > 2 * values {
                keep_newest(list, values);
            }
        }
    }

    fn finished(self, key: OwnedKey, values: usize) -> WeakCaller {
        WeakCaller::new(key, self.row, self.lists, values)
    }
}
