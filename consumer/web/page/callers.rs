//! The weak callers: searched, filtered, sorted and paged by the server, so that a million of them are no burden to the
//! browser, and each state of the list has an address.

use maud::{Markup, html};
use xxhash_rust::xxh3::xxh3_64;

use super::super::Web;
use super::super::error::ApiError;
use super::super::inventory::{self, Asked, Found, Listed, Seen, Sort};
use super::super::parameters::Parameters;
use super::View;
use crate::callers::{CallerState, Detail, OwnedKey};
use crate::event::judge::Weakness;
use crate::html::chart::spark;
use crate::html::parts::{
    Column, ago, caller_link, first_of, link, plain, row_with_id, section, shown, stamp, table_with,
    weakness_mark, weakness_name,
};
use crate::html::text::number;
use crate::window::{Grain, Trend, Versions};

/// Rows at once.
const ROWS: usize = 50;
/// Later pages than this are searched for, not turned to.
const MOST_PAGES: usize = 1000;
/// Hours in a sparkline.
const SPARK_HOURS: i32 = 24;

/// The texts of a caller's lists.
pub type Lists = [Vec<String>; Detail::COUNT];

/// What an address asks for, and what its links keep.
struct Filter {
    text: String,
    weakness: Option<Weakness>,
    seen: Seen,
    sort: Option<(Sort, bool)>,
    page: usize,
}

impl Filter {
    fn read(parameters: &Parameters) -> Result<Self, ApiError> {
        Ok(Self {
            text: parameters.text("q").unwrap_or_default().trim().chars().take(256).collect(),
            weakness: parameters.weakness()?,
            seen: one_of("seen", parameters, &Seen::ALL, Seen::label)?.unwrap_or_default(),
            sort: sort(parameters)?,
            page: page(parameters)?,
        })
    }

    fn order(&self) -> (Sort, bool) {
        self.sort.unwrap_or_else(|| Sort::first_for(self.seen))
    }

    /// The address of this list.
    fn link(&self) -> String {
        let sort = self.sort.map_or(String::new(), |(sort, is_descending)| {
            format!("{}{}", if is_descending { "-" } else { "" }, sort.label())
        });
        let page = if self.page > 1 { self.page.to_string() } else { String::new() };
        let weakness = self.weakness.map_or("", Weakness::label);
        let parameters = [
            ("q", self.text.as_str()),
            ("weakness", weakness),
            ("seen", self.seen.label()),
            ("sort", &sort),
            ("page", &page),
        ];
        link("/callers", &parameters)
    }

    /// The address of the first page of a list that differs.
    fn but(&self, change: impl FnOnce(&mut Self)) -> String {
        let mut filter = Self { text: self.text.clone(), page: 1, ..*self };
        change(&mut filter);
        filter.link()
    }
}

fn one_of<T: Copy>(
    name: &str,
    parameters: &Parameters,
    all: &[T],
    label: impl Fn(T) -> &'static str,
) -> Result<Option<T>, ApiError> {
    let Some(text) = parameters.text(name) else { return Ok(None) };
    let found = all.iter().copied().find(|one| label(*one) == text);
    found.map(Some).ok_or_else(|| {
        let names: Vec<String> = all
            .iter()
            .map(|one| label(*one))
            .filter(|name| !name.is_empty())
            .map(|name| format!("`{name}`"))
            .collect();
        ApiError::bad_request(format!("`{name}` must be one of {}, or left out", names.join(", ")))
    })
}

fn sort(parameters: &Parameters) -> Result<Option<(Sort, bool)>, ApiError> {
    let Some(text) = parameters.text("sort") else { return Ok(None) };
    let (name, is_descending) = text.strip_prefix('-').map_or((text.as_str(), false), |name| (name, true));
    let found = Sort::ALL.into_iter().find(|sort| sort.label() == name);
    found.map(|sort| Some((sort, is_descending))).ok_or_else(|| {
        let names = Sort::ALL.map(|sort| format!("`{}`", sort.label())).join(", ");
        ApiError::bad_request(format!(
            "`sort` must be one of {names}, with `-` before it for the greatest first"
        ))
    })
}

fn page(parameters: &Parameters) -> Result<usize, ApiError> {
    let Some(text) = parameters.text("page") else { return Ok(1) };
    let page = text.parse().ok().filter(|page| (1..=MOST_PAGES).contains(page));
    page.ok_or_else(|| {
        ApiError::bad_request(format!("`page` must be a number from 1 to {MOST_PAGES}: search instead"))
    })
}

/// The view.
pub fn view(web: &Web, parameters: &Parameters, now_ms: u64) -> Result<View, ApiError> {
    let filter = Filter::read(parameters)?;
    let at_s = web.views.now_s(now_ms);
    let (sort, is_descending) = filter.order();
    let asked = Asked {
        text: filter.text.clone(),
        weakness: filter.weakness,
        seen: filter.seen,
        sort,
        is_descending,
        skip: (filter.page - 1) * ROWS,
        limit: ROWS,
    };
    let found = inventory::find(web, &asked, at_s)?;
    let main = html! {
        (super::troubles(web))
        (choices(&filter, &found))
        (list(web, &filter, &found, at_s)?)
    };
    Ok(View { title: "Weak callers".to_owned(), tools: html! {}, main })
}

/// The search field and the filters with their counts.
fn choices(filter: &Filter, found: &Found) -> Markup {
    html! {
        form.search id="search" action="/callers" role="search" data-live {
            label.hidden for="q" { "Search weak callers" }
            input id="q" name="q" type="search" value=(plain(&filter.text)) autocomplete="off" spellcheck="false"
                placeholder="Search principal, account, client, IP, bucket, key id …" aria-keyshortcuts="/";
            @if let Some(weakness) = filter.weakness { input type="hidden" name="weakness" value=(weakness.label()); }
            @if filter.seen != Seen::Ever { input type="hidden" name="seen" value=(filter.seen.label()); }
            button.quiet type="submit" { "Search" }
        }
        div.choices {
            nav aria-label="By time" {
                @for seen in Seen::ALL {
                    (choice(&format!("seen-{}", seen.label()), &filter.but(|filter| { filter.seen = seen; filter.sort = None }),
                        seen == filter.seen, seen_name(seen), found.seen[seen as usize]))
                }
            }
            nav aria-label="By weakness" {
                (choice("weakness-all", &filter.but(|filter| filter.weakness = None), filter.weakness.is_none(), "All",
                    found.weaknesses.iter().sum()))
                @for weakness in Weakness::ALL {
                    (choice(&format!("weakness-{}", weakness.label()), &filter.but(|filter| filter.weakness = Some(weakness)),
                        filter.weakness == Some(weakness), weakness_name(weakness), found.weaknesses[weakness as usize]))
                }
            }
        }
    }
}

fn choice(id: &str, href: &str, is_chosen: bool, name: &str, count: usize) -> Markup {
    html! {
        a id=(id) href=(href) aria-current=[is_chosen.then_some("true")] { (name) " " span.count { (number(count as u64)) } }
    }
}

fn seen_name(seen: Seen) -> &'static str {
    match seen {
        Seen::Ever => "All",
        Seen::Now => "Calling now",
        Seen::New => "New today",
        Seen::Quiet => "Quiet for a day",
    }
}

const COLUMNS: [(Column, Option<Sort>); 7] = [
    (Column::text("Principal"), Some(Sort::Principal)),
    (Column::text("Weakness"), Some(Sort::Weakness)),
    (Column::number("First seen"), Some(Sort::FirstSeen)),
    (Column::number("Last call"), Some(Sort::LastSeen)),
    (Column::number("Calls"), Some(Sort::Calls)),
    (Column::wide("Clients, source IPs"), None),
    (Column::wide("Buckets, key ids"), None),
];

fn list(web: &Web, filter: &Filter, found: &Found, at_s: i64) -> Result<Markup, ApiError> {
    if found.rows.is_empty() {
        return Ok(section("callers", "Weak callers", nothing(filter, found), html! {}));
    }
    let lists = lists(web, &found.rows)?;
    let names: Vec<(&str, &str)> =
        found.rows.iter().map(|listed| (&*listed.key.account_id, &*listed.key.principal)).collect();
    let trends = web.views.trends_of(&names, Grain::Hour, SPARK_HOURS, at_s);
    let columns = COLUMNS.map(|(column, _)| column);
    let rows = found.rows.iter().zip(&lists).zip(&trends);
    let rows: Vec<Markup> = rows
        .map(|((listed, lists), trend)| {
            row_with_id(&row_id(&listed.key), &columns, cells(listed, lists, trend, at_s))
        })
        .collect();
    let body = html! {
        (table_with("callers", heads(filter), &rows))
        (pages(filter, found.matching))
    };
    Ok(section("callers", "Weak callers", range(filter, found), body))
}

fn nothing(filter: &Filter, found: &Found) -> Markup {
    if found.matching > 0 {
        return html! { "There is no page " (filter.page) ". " a href=(filter.but(|_| ())) { "The first" } };
    }
    let is_filtered = !filter.text.is_empty() || filter.weakness.is_some() || filter.seen != Seen::Ever;
    html! {
        @if is_filtered { "Nobody. " a href="/callers" { "All weak callers" } }
        @else { "None so far. Callers are listed once they called with SigV2, old TLS or a long-lived key." }
    }
}

fn range(filter: &Filter, found: &Found) -> Markup {
    let first = (filter.page - 1) * ROWS + 1;
    let last = first + found.rows.len() - 1;
    html! {
        (number(first as u64)) " to " (number(last as u64)) " of " (number(found.matching as u64))
        ". A sparkline has the calls of that kind in each of the last " (SPARK_HOURS) " hours, on its own scale. "
        a id="callers-json" href="/api/v1/callers" { "JSON" }
    }
}

fn heads(filter: &Filter) -> Markup {
    let (sort, is_descending) = filter.order();
    html! {
        @for (column, sorts) in &COLUMNS {
            @match sorts {
                Some(by) if *by == sort => {
                    (column.head(Some(if is_descending { "descending" } else { "ascending" }), html! {
                        a id=(format!("sort-{}", by.label())) href=(filter.but(|filter| filter.sort = Some((*by, !is_descending)))) {
                            (column.name()) span aria-hidden="true" { @if is_descending { " ↓" } @else { " ↑" } }
                        }
                    }))
                }
                Some(by) => {
                    // Numbers and times are wanted from the greatest on, names from the first letter.
                    @let first = !matches!(by, Sort::Principal | Sort::Weakness);
                    (column.head(None, html! {
                        a id=(format!("sort-{}", by.label())) href=(filter.but(|filter| filter.sort = Some((*by, first)))) {
                            (column.name())
                        }
                    }))
                }
                None => { (column.head(None, html! { (column.name()) })) }
            }
        }
    }
}

fn cells(listed: &Listed, lists: &Lists, trend: &Trend, at_s: i64) -> Vec<Markup> {
    let Listed { key, row } = listed;
    let list = |detail: Detail| first_of(&lists[detail as usize]);
    vec![
        name(key),
        html! { (weakness_mark(key.weakness)) span.account { (state(row.state)) } },
        stamp(row.first_s),
        ago(row.last_s, at_s),
        html! { (number(row.calls)) " " (spark(&calls_of(key.weakness, trend), class_of(key.weakness))) },
        html! { (clients(lists)) br; (list(Detail::SourceIp)) },
        html! { (list(Detail::Bucket)) br; (list(Detail::KeyId)) },
    ]
}

fn pages(filter: &Filter, matching: usize) -> Markup {
    let last = matching.div_ceil(ROWS).min(MOST_PAGES);
    let to = |page: usize| filter.but(|filter| filter.page = page);
    html! {
        @if last > 1 {
            nav.pages aria-label="Pages" {
                @if filter.page > 1 { a id="page-before" rel="prev" href=(to(filter.page - 1)) { "← Before" } }
                span { "Page " (filter.page) " of " (last) }
                @if filter.page < last { a id="page-next" rel="next" href=(to(filter.page + 1)) { "Next →" } }
            }
        }
    }
}

/// A caller's name, which leads to its own page, over its account. Of an ARN in that account the part that tells it
/// from others is shown; the whole of it on hovering, and on its page.
pub fn name(key: &OwnedKey) -> Markup {
    let href = caller_link(&key.account_id, &key.principal);
    html! {
        a.principal href=(href) title=(plain(&key.principal)) { (shown(short_name(&key.account_id, &key.principal))) }
        span.account { (shown(&key.account_id)) }
    }
}

/// `role/builder` of `arn:aws:iam::123456789012:role/builder` in the account 123456789012.
fn short_name<'a>(account_id: &str, principal: &'a str) -> &'a str {
    let resource = || {
        let (_, rest) = principal.strip_prefix("arn:")?.split_once(":iam::")?;
        rest.strip_prefix(account_id)?.strip_prefix(':').filter(|resource| !resource.is_empty())
    };
    resource().unwrap_or(principal)
}

/// Its clients; of presigned links, who opened them.
pub fn clients(lists: &Lists) -> Markup {
    let clients = &lists[Detail::Client as usize];
    html! {
        @if clients.is_empty() && !lists[Detail::OpenedBy as usize].is_empty() { span.more { "presigned links" } }
        @else { (first_of(clients)) }
    }
}

/// What became of a caller.
pub fn state(state: CallerState) -> Markup {
    html! { span.state.(state.label()) { (state.label()) } }
}

/// Calls by hour that have the weakness, as far as windows tell: of a long-lived key, all calls of the caller.
pub fn calls_of(weakness: Weakness, trend: &Trend) -> Vec<u64> {
    trend.of(|versions: Versions| match weakness {
        Weakness::SigV2 => versions.signature() == "SigV2",
        Weakness::Tls10 => versions.tls() == "TLSv1",
        Weakness::Tls11 => versions.tls() == "TLSv1.1",
        Weakness::LongTermKey => true,
    })
}

/// The colour of a weakness.
pub fn class_of(weakness: Weakness) -> &'static str {
    match weakness {
        Weakness::SigV2 | Weakness::Tls10 => "weak",
        Weakness::Tls11 => "weaker",
        Weakness::LongTermKey => "key",
    }
}

/// By which a refreshed page finds a caller's row again.
pub fn row_id(key: &OwnedKey) -> String {
    let name = format!("{}\t{}\t{}", key.weakness.label(), key.account_id, key.principal);
    format!("c{:016x}", xxh3_64(name.as_bytes()))
}

/// The lists of these callers.
pub fn lists(web: &Web, rows: &[Listed]) -> Result<Vec<Lists>, ApiError> {
    let numbers = rows.iter().map(|listed| listed.row.number);
    web.state.caller_lists(numbers).map_err(|error| ApiError::of_state(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_of_the_account_is_shown_short() {
        for (account_id, principal, expect) in [
            ("123456789012", "arn:aws:iam::123456789012:role/builder", "role/builder"),
            ("123456789012", "arn:aws-cn:iam::123456789012:user/a/b", "user/a/b"),
            ("123456789012", "arn:aws:iam::123456789012:root", "root"),
            (
                "123456789012",
                "arn:aws:iam::999999999999:role/builder",
                "arn:aws:iam::999999999999:role/builder",
            ),
            ("123456789012", "arn:aws:iam::123456789012:", "arn:aws:iam::123456789012:"),
            ("", "arn:aws:iam:::role/x", "role/x"),
            ("123456789012", "anonymous", "anonymous"),
        ] {
            assert_eq!(short_name(account_id, principal), expect);
        }
    }
}
