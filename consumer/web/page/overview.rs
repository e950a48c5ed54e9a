//! The overview: how much is weak, who, since when, and how much can't be judged.

use maud::{Markup, html};

use super::super::Web;
use super::super::error::ApiError;
use super::super::inventory::{self, Asked, Listed, Seen, Sort};
use super::super::parameters::Parameters;
use super::super::summary::Summary;
use super::View;
use super::callers;
use crate::callers::advice::gather;
use crate::event::time;
use crate::html::parts::{Column, ago, instant, link, row_with_id, section, stamp, table, weakness_mark};
use crate::html::text::{number, share};
use crate::html::{advice, chart, coverage};
use crate::window::{Grain, WindowSize};

/// Rows of each list: all of them are a click away.
const ROWS: usize = 6;
/// Callers whose advice is gathered.
const ADVISED: usize = 500;
/// The lists.
const LISTS: [Seen; 3] = [Seen::New, Seen::Now, Seen::Quiet];
/// Pieces of advice: those that serve most callers.
const ADVICE_ROWS: usize = 5;

/// The view.
pub fn view(web: &Web, parameters: &Parameters, now_ms: u64) -> Result<View, ApiError> {
    let window = if parameters.has("window") { parameters.window()? } else { WindowSize::Hour };
    let at_s = web.views.now_s(now_ms);
    let [new, now, quiet] = inventory::find_each(web, &LISTS.map(asked), at_s)?;
    let totals = web.views.totals();
    let counts = &new.callers;
    let main = html! {
        (clock(web, window, at_s))
        (figures(&Summary::of(&web.views, window, at_s), window, counts))
        (super::troubles(web))
        div.columns {
            (list(web, "new", "New today", Seen::New, &new, at_s)?)
            (list(web, "now", "Calling now", Seen::Now, &now, at_s)?)
        }
        (calls(web, window, at_s))
        (what_to_do(web, &now)?)
        @if !quiet.rows.is_empty() { (list(web, "quiet", "Gone quiet", Seen::Quiet, &quiet, at_s)?) }
        (coverage::section_of(&totals, "Of all calls since the state began."))
    };
    Ok(View { title: format!("Overview · {}", window.label()), tools: switch(window), main })
}

/// Links to the three windows.
fn switch(current: WindowSize) -> Markup {
    html! {
        nav.switch aria-label="Window" {
            @for window in WindowSize::ALL {
                @let label = window.label();
                a id=(format!("window-{label}")) href=(link("/", &[("window", label)]))
                    aria-current=[(window == current).then_some("true")] { (label) }
            }
        }
    }
}

/// What is wrong with the time, if something is.
fn clock(web: &Web, window: WindowSize, at_s: i64) -> Markup {
    match web.views.earliest_at_s(window).filter(|earliest_at_s| at_s < *earliest_at_s) {
        None => html! {},
        Some(earliest_at_s) => html! {
            p.alarm {
                "This machine's clock is behind the events: windows begin at " (instant(&time::format(earliest_at_s)))
                ". Set it."
            }
        },
    }
}

fn figures(summary: &Summary, window: WindowSize, counts: &[usize]) -> Markup {
    let known = |known: u64| share(known, summary.calls);
    let callers = |seen: Seen| link("/callers", &[("seen", seen.label())]);
    let count = |seen: Seen| number(counts[seen as usize] as u64);
    html! {
        dl.figures {
            div.figure { dt { "calls in " (window.label()) } dd { (number(summary.calls)) } }
            div.figure.bad[summary.weak_calls > 0] {
                dt { "with SigV2 or old TLS" }
                dd { (number(summary.weak_calls)) " " small { (share(summary.weak_calls, summary.calls)) } }
            }
            div.figure.bad[counts[Seen::New as usize] > 0] {
                dt { a href=(callers(Seen::New)) { "new weak callers today" } }
                dd { (count(Seen::New)) }
            }
            div.figure {
                dt { a href=(callers(Seen::Now)) { "weak callers, last hour" } }
                dd { (count(Seen::Now)) }
            }
            div.figure {
                dt { a href=(callers(Seen::Quiet)) { "gone quiet for a day" } }
                dd { (count(Seen::Quiet)) }
            }
            div.figure {
                dt { a href="#coverage" { "signature / TLS known" } }
                dd { (known(summary.signature_known)) " " small { "/ " (known(summary.tls_known)) } }
            }
        }
    }
}

/// The charts: minutes for the short windows, hours for the day.
fn calls(web: &Web, window: WindowSize, at_s: i64) -> Markup {
    let (grain, buckets) = match window {
        WindowSize::FiveMinutes => (Grain::Minute, 30),
        WindowSize::Hour => (Grain::Minute, 60),
        WindowSize::Day => (Grain::Hour, 48),
    };
    let trend = web.views.trend(grain, buckets, at_s);
    let span = match window {
        WindowSize::FiveMinutes => "The last 30 minutes.",
        WindowSize::Hour => "The last hour.",
        WindowSize::Day => "The last 48 hours.",
    };
    section(
        "calls",
        "Calls over time",
        html! { (span) " By event time; each trend on a scale of its own." },
        chart::both(&trend),
    )
}

fn asked(seen: Seen) -> Asked {
    let (sort, is_descending) = Sort::first_for(seen);
    Asked { text: String::new(), weakness: None, seen, sort, is_descending, skip: 0, limit: ADVISED }
}

const COLUMNS: [Column; 4] = [
    Column::text("Principal"),
    Column::text("Weakness, client"),
    Column::number("First seen"),
    Column::number("Last call"),
];

fn list(
    web: &Web,
    id: &str,
    title: &str,
    seen: Seen,
    found: &inventory::Found,
    at_s: i64,
) -> Result<Markup, ApiError> {
    if found.rows.is_empty() {
        let is_read = web.views.all().iter().all(|view| view.status().error().is_none());
        let note = match seen {
            _ if !is_read => "Nobody as far as was read: some shards can't be read now.",
            Seen::New => {
                "Nobody. Whoever calls with SigV2, old TLS or a long-lived key for the first time appears here."
            }
            _ => "Nobody of our own called with SigV2, old TLS or a long-lived key in the last hour.",
        };
        return Ok(section(id, title, html! { (note) }, html! {}));
    }
    let shown = &found.rows[..found.rows.len().min(ROWS)];
    let lists = callers::lists(web, shown)?;
    let rows: Vec<Markup> = shown
        .iter()
        .zip(&lists)
        .map(|(listed, lists)| {
            let Listed { key, row } = listed;
            row_with_id(
                &format!("{id}-{}", callers::row_id(key)),
                &COLUMNS,
                vec![
                    callers::name(key),
                    html! { (weakness_mark(key.weakness)) span.account { (callers::clients(lists)) } },
                    stamp(row.first_s),
                    ago(row.last_s, at_s),
                ],
            )
        })
        .collect();
    let all = link("/callers", &[("seen", seen.label())]);
    let note = html! {
        a id=(format!("{id}-all")) href=(all) { "All " (number(found.matching as u64)) }
    };
    Ok(section(id, title, note, table(id, &COLUMNS, &rows)))
}

/// What to do about those who call now.
fn what_to_do(web: &Web, now: &inventory::Found) -> Result<Markup, ApiError> {
    let lists = callers::lists(web, &now.rows)?;
    let callers =
        now.rows.iter().zip(&lists).map(|(listed, lists)| (listed.key.borrow(), &listed.row, lists));
    let note = html! { "For those calling now, by their clients; each caller's page has its own." };
    Ok(advice::section_of(&gather(callers), ADVICE_ROWS, note))
}
