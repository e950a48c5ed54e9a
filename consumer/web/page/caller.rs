//! One weak caller: how it is weak, since when, from where, what to do about it, and whether it is gone.

use axum::http::StatusCode;
use maud::{Markup, html};

use super::super::Web;
use super::super::error::ApiError;
use super::super::parameters::Parameters;
use super::View;
use super::callers::{calls_of, class_of, state};
use super::matches;
use crate::callers::{Detail, advice};
use crate::event::time::DAY_S;
use crate::html::chart::{self, spark};
use crate::html::parts::{Column, ago, link, plain, row, section, shown, stamp, table, weakness_mark};
use crate::html::text::{duration, number, share};
use crate::state::embedded::ListedCaller;
use crate::window::Trend;
use crate::window::{Grain, HOUR_S, HOURS_KEPT};

/// More of a name is not in the window's title.
const TITLE_CHARACTERS: usize = 120;
/// A shard that was not read for so many seconds says nothing about them.
const UNREAD_S: i64 = 600;
/// Matches that are looked through for the caller's.
const MATCHES_SEEN: usize = 5000;
/// Matches that are shown.
const MATCHES: usize = 10;

/// The view.
pub fn view(web: &Web, parameters: &Parameters, now_ms: u64) -> Result<View, ApiError> {
    let needed = |name: &str| {
        parameters.text(name).ok_or_else(|| {
            ApiError::bad_request(format!("`{name}` is needed: a caller is an account and a principal"))
        })
    };
    let (account_id, principal) = (needed("account_id")?, needed("principal")?);
    let found = web.state.caller(&account_id, &principal).map_err(|error| ApiError::of_state(&error))?;
    if found.is_empty() {
        let why = "no weak caller of this name is remembered: look for it under Callers";
        return Err(ApiError::new(StatusCode::NOT_FOUND, why));
    }
    let at_s = web.views.now_s(now_ms);
    let names = [(account_id.as_str(), principal.as_str())];
    let trend = web.views.trends_of(&names, Grain::Hour, HOURS_KEPT, at_s).remove(0);
    let main = html! {
        div.head {
            h2 #who tabindex="0" { (shown(&principal)) }
            p.note { "Account " a href=(link("/callers", &[("q", account_id.as_str())])) { (shown(&account_id)) } @for caller in &found { " " (weakness_mark(caller.key.weakness)) } }
        }
        (super::troubles(web))
        (weaknesses(&found, &trend, at_s))
        (to_do(&found))
        (gone(web, &found, at_s))
        (calls(&trend))
        (details(&found))
        (rule_matches(web, &principal, at_s)?)
    };
    let title = principal.chars().take(TITLE_CHARACTERS).collect();
    Ok(View { title, tools: back(), main })
}

fn back() -> Markup {
    html! { nav.switch aria-label="Back" { a href="/callers" { "← All weak callers" } } }
}

const WEAKNESSES: [Column; 7] = [
    Column::text("Weakness"),
    Column::number("First seen"),
    Column::number("Last call"),
    Column::number("Calls"),
    Column::number("Failed"),
    Column::wide("Presigned"),
    Column::text("State"),
];

fn weaknesses(found: &[ListedCaller], trend: &Trend, at_s: i64) -> Markup {
    let rows: Vec<Markup> = found
        .iter()
        .map(|ListedCaller { key, row: caller, .. }| {
            let weakness = key.weakness;
            row(
                &WEAKNESSES,
                vec![
                    weakness_mark(weakness),
                    stamp(caller.first_s),
                    ago(caller.last_s, at_s),
                    html! { (number(caller.calls)) " " (spark(&calls_of(weakness, trend), class_of(weakness))) },
                    html! { (share(caller.errors, caller.calls)) },
                    html! { (share(caller.presigned, caller.calls)) },
                    html! {
                        (state(caller.state))
                        @if let Some(ms) = caller.paged_ms { " " (stamp((ms / 1000).cast_signed())) }
                    },
                ],
            )
        })
        .collect();
    section("weaknesses", "How it is weak", html! {}, table("weaknesses", &WEAKNESSES, &rows))
}

fn to_do(found: &[ListedCaller]) -> Markup {
    let pieces = |caller: &ListedCaller| advice::of_caller(caller.key.borrow(), &caller.row, &caller.details);
    let body = html! {
        @for caller in found {
            @for piece in pieces(caller) {
                p.advice { (weakness_mark(caller.key.weakness)) " " (plain(&piece)) }
            }
        }
    };
    section("advice", "What to do", html! {}, body)
}

/// Whether it may be believed that the caller is gone.
fn gone(web: &Web, found: &[ListedCaller], at_s: i64) -> Markup {
    let last_s = found.iter().map(|caller| caller.row.last_s).max().unwrap_or(at_s);
    let silent_s = at_s - last_s;
    // What every shard has read without a gap lies between the latest of the beginnings and the earliest of the ends.
    let stretches = web
        .views
        .all()
        .iter()
        .map(|view| view.read(|committed| committed.header.stretches.last().copied()))
        .try_fold((0, u64::MAX), |(from, to), stretch| {
            let (begin, end) = stretch?;
            Some((begin.max(from), end.min(to)))
        });
    let complete = stretches
        .filter(|(from_ms, _)| *from_ms > 0)
        .map(|(from_ms, to_ms)| ((from_ms / 1000).cast_signed(), ((to_ms / 1000).cast_signed()).min(at_s)));
    let body = html! {
        p {
            "Its last weak call was " (ago(last_s, at_s)) ", at " (stamp(last_s)) ". "
            @if silent_s < HOUR_S { "It still calls." }
            @else if silent_s < DAY_S { "That is too short a silence to say more." }
            @else {
                @match complete {
                    None => { "Whether everything since then was read is not known." }
                    Some((from_s, _)) if from_s > last_s => {
                        "Records have been read without a gap since " (stamp(from_s))
                        " only: calls between the two may have been missed."
                    }
                    Some((_, to_s)) if at_s - to_s > UNREAD_S => {
                        "Until " (stamp(to_s)) ", for " (duration((to_s - last_s).max(0) as f64))
                        ", everything that arrived was read, and nothing of it was this caller's. What came after that has not been read."
                    }
                    Some(_) => {
                        "Since then, for " (duration(silent_s as f64))
                        ", everything that arrived was read, and nothing of it was this caller's."
                    }
                }
            }
        }
    };
    section("silence", "Is it gone?", html! {}, body)
}

fn calls(trend: &Trend) -> Markup {
    section(
        "calls",
        "All its calls",
        html! { "The last 48 hours, by event time; each trend on a scale of its own." },
        chart::both(trend),
    )
}

/// A name for each list.
const LISTS: [(Detail, &str); 10] = [
    (Detail::Client, "Clients"),
    (Detail::SourceIp, "Source IPs"),
    (Detail::KeyId, "Access keys"),
    (Detail::Bucket, "Buckets"),
    (Detail::EventSource, "Services"),
    (Detail::EventName, "Calls"),
    (Detail::Region, "Regions"),
    (Detail::VpcEndpoint, "VPC endpoints"),
    (Detail::Session, "Sessions"),
    (Detail::OpenedBy, "Presigned links opened by"),
];

fn details(found: &[ListedCaller]) -> Markup {
    let texts = |detail: Detail| {
        let mut texts: Vec<&String> =
            found.iter().flat_map(|caller| &caller.details[detail as usize]).collect();
        texts.sort_unstable();
        texts.dedup();
        texts
    };
    let body = html! {
        dl.details {
            @for (detail, name) in LISTS {
                @let texts = texts(detail);
                @if !texts.is_empty() {
                    div {
                        dt { (name) " " span.count { (texts.len()) } }
                        dd { ul { @for text in texts { li { (shown(text)) } } } }
                    }
                }
            }
        }
    };
    section(
        "details",
        "With what, from where, to what",
        html! { "Of its weak calls; of each kind the latest are kept." },
        body,
    )
}

fn rule_matches(web: &Web, principal: &str, at_s: i64) -> Result<Markup, ApiError> {
    let found =
        web.state.matches(None, u64::MAX, MATCHES_SEEN).map_err(|error| ApiError::of_state(&error))?;
    let is_its = |labels: &[(String, String)]| {
        labels.iter().any(|(name, value)| name == "principal" && value == principal)
    };
    let its: Vec<_> =
        found.into_iter().filter(|(_, stored)| is_its(&stored.found.labels)).take(MATCHES).collect();
    if its.is_empty() {
        return Ok(html! {});
    }
    Ok(section(
        "matches",
        "Rules that matched its calls",
        html! { "The latest." },
        matches::table_of(&its, at_s),
    ))
}
