//! The query: one pass over the files, whatever is wanted of them.
//!
//! Enters: what to count. Leaves: SQL in layers (`raw` to `judged`, see `fields`; `asked`; `shown`), and sums of `shown` by
//! several sets of columns at once, for Athena's price is by the bytes that are read. Its column `part` says of which
//! set a row is. What a user agent tells is asked of a table that SQL does not have: it is grouped by as it is, and told
//! when the rows are read.

use super::{Asked, Days, Place, Refusal, TableName, condition, fields, literal};
use crate::callers::Detail;
use crate::event::time;
use crate::scan::field::Field;

/// Bytes of a query that Athena takes ("Service Quotas", Athena user guide).
const MAX_BYTES: usize = 262_144;

/// What of the counts is wanted: what is not costs nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// The accounting, and the coverage.
    pub accounting: bool,
    /// Calls over time.
    pub trend: bool,
    /// Weak callers.
    pub weak: bool,
    /// What weak callers called with, from where …
    pub lists: bool,
}

/// A query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The SQL.
    pub sql: String,
}

/// The columns that hold a field's value, or what it is told by.
pub fn columns_of(field: Field) -> &'static str {
    match field {
        Field::Client | Field::ClientVersion | Field::UserAgent => "user_agent",
        Field::LikelySigv2 => "unsigned_s3_agent",
        field => field.name(),
    }
}

/// What weak callers are told with: the name of its part and column, and the list that it goes to.
pub const WEAK_LISTS: [(&str, Detail); 9] = [
    // Of a user agent the client is listed.
    ("weak_user_agent", Detail::Client),
    ("weak_source_ip", Detail::SourceIp),
    ("weak_session", Detail::Session),
    ("weak_event_source", Detail::EventSource),
    ("weak_event_name", Detail::EventName),
    ("weak_aws_region", Detail::Region),
    ("weak_vpc_endpoint_id", Detail::VpcEndpoint),
    ("weak_bucket", Detail::Bucket),
    ("weak_key_id", Detail::KeyId),
];
/// What opened presigned links: two columns that belong together.
const OPENED: [(&str, &str); 2] = [
    ("weak_opened_by_ip", "CASE WHEN presigned THEN coalesce(source_ip, '') END"),
    ("weak_opened_by_agent", "CASE WHEN presigned THEN coalesce(user_agent, '') END"),
];
/// How a call is weak, a bit each in the order of [`crate::event::judge::Weakness::ALL`].
const WEAK: &str = "CASE WHEN is_sigv2 THEN 1 ELSE 0 END + CASE WHEN is_tls10 THEN 2 ELSE 0 END \
                    + CASE WHEN is_tls11 THEN 4 ELSE 0 END + CASE WHEN is_long_term_key THEN 8 ELSE 0 END";

impl Query {
    /// What asks for it of this table, over the files of these days.
    ///
    /// # Errors
    /// All that SQL can't say.
    pub fn new(asked: &Asked, table: &TableName, place: &Place, days: &Days) -> Result<Self, Vec<Refusal>> {
        let condition = asked.only.as_ref().map(condition::sql).transpose()?;
        let mut accounts: Vec<&str> = asked.policy.accounts.iter().map(String::as_str).collect();
        accounts.sort_unstable();
        let (shown, sets) = shown(asked);
        let sql = format!(
            "\
-- One pass over the files, summed up in several ways at once: `part` tells by which. Of the part 'rows', those with
-- is_asked = true are what --group-by asks for; clients are told from user_agent by whoever reads the rows.
WITH raw AS (
  SELECT *,
{raw}
  FROM {table}{files}
),
event AS (
  SELECT *,
{event}
  FROM raw
),
told AS (
  SELECT *,
{told}
  FROM event
),
sound AS (
  SELECT *,
{sound}
  FROM told
),
judged AS (
  SELECT *,
{judged}
  FROM sound
),
asked AS (
  SELECT *,
    {is_asked} AS is_asked,
    {WEAK} AS weak_bits
  FROM judged
),
shown AS (
  SELECT
{shown}
  FROM asked
)
{sums}",
            raw = fields::raw(),
            table = table.quoted(),
            files = files(place, days),
            event = fields::event(),
            told = fields::told(),
            sound = fields::sound(asked.now_s.saturating_add(asked.policy.future_s)),
            judged = fields::judged(&accounts),
            is_asked = is_asked(asked, condition.as_deref()),
            shown = shown.iter().map(|(name, sql)| format!("    {sql} AS {name}")).collect::<Vec<_>>().join(",\n"),
            sums = sums(&shown, &sets),
        );
        if sql.len() > MAX_BYTES {
            let what =
                format!("so much at once: the query has {} bytes, Athena takes {MAX_BYTES}", sql.len());
            return Err(vec![Refusal::new(
                what,
                "use shorter lists in --where, or fewer accounts in the config",
            )]);
        }
        Ok(Self { sql })
    }
}

/// Which files are read, by their names alone.
fn files(place: &Place, days: &Days) -> String {
    let mut conditions = Vec::new();
    for (column, values) in [("account", &place.accounts), ("region", &place.regions)] {
        let values: Vec<String> = values.iter().map(|value| literal(value)).collect();
        conditions.extend((!values.is_empty()).then(|| format!("\"{column}\" IN ({})", values.join(", "))));
    }
    conditions.extend(days.first.as_ref().map(|day| format!("\"day\" >= {}", literal(day))));
    conditions.extend(days.last.as_ref().map(|day| format!("\"day\" <= {}", literal(day))));
    match conditions.as_slice() {
        [] => String::new(),
        conditions => format!("\n  WHERE {}", conditions.join(" AND ")),
    }
}

/// Which calls are asked for. Times are of one length, so that they are in the order of their texts.
fn is_asked(asked: &Asked, condition: Option<&str>) -> String {
    let mut conditions = vec!["verdict = 'call'".to_owned()];
    conditions.extend(asked.since_s.map(|s| format!("seen_at >= {}", literal(&time::format(s)))));
    conditions.extend(asked.until_s.map(|s| format!("seen_at < {}", literal(&time::format(s)))));
    conditions.extend(condition.map(|condition| format!("({condition})")));
    conditions.join(" AND ")
}

/// A set of columns by which sums are made: the part's name, the column that no other set has, and the others.
type Set = (&'static str, String, Vec<String>);

/// The columns of `shown`, and the sets.
fn shown(asked: &Asked) -> (Vec<(String, String)>, Vec<Set>) {
    let mut shown: Vec<(String, String)> = Vec::new();
    let mut sets: Vec<Set> = Vec::new();
    let mut add = |name: &str, sql: String| shown.push((name.to_owned(), sql));
    add("is_asked", "is_asked".to_owned());
    let mut by: Vec<&str> = asked.group_by.iter().map(|field| columns_of(*field)).collect();
    by.sort_unstable();
    by.dedup();
    for column in &by {
        let value = match *column {
            "unsigned_s3_agent" => "CASE WHEN is_unsigned_s3 THEN coalesce(user_agent, '') ELSE '' END",
            "presigned" => "CASE WHEN presigned THEN 'true' ELSE 'false' END",
            column => &format!("coalesce({column}, '')"),
        };
        add(column, format!("CASE WHEN is_asked THEN {value} END"));
    }
    sets.push(("rows", "is_asked".to_owned(), by.into_iter().map(str::to_owned).collect()));
    if asked.parts.accounting {
        add("verdict", "verdict".to_owned());
        sets.push(("accounting", "verdict".to_owned(), Vec::new()));
        add("signature_coverage", "CASE WHEN verdict = 'call' THEN signature_coverage END".to_owned());
        add("tls_coverage", "CASE WHEN verdict = 'call' THEN tls_coverage END".to_owned());
        sets.push(("coverage", "signature_coverage".to_owned(), vec!["tls_coverage".to_owned()]));
        add("unsigned_agent", "CASE WHEN verdict = 'call' AND is_unsigned_s3 THEN user_agent END".to_owned());
        sets.push(("unsigned", "unsigned_agent".to_owned(), Vec::new()));
    }
    if asked.parts.trend {
        add("hour", "CASE WHEN is_asked THEN substr(seen_at, 1, 13) END".to_owned());
        add("trend_signature", "CASE WHEN is_asked THEN signature_version END".to_owned());
        add("trend_tls", "CASE WHEN is_asked THEN tls_version END".to_owned());
        sets.push(("trend", "hour".to_owned(), vec!["trend_signature".to_owned(), "trend_tls".to_owned()]));
    }
    if asked.parts.weak || asked.parts.lists {
        let weak = |sql: &str| format!("CASE WHEN is_asked AND weak_bits > 0 THEN {sql} END");
        add("weak", weak("weak_bits"));
        add("weak_account_id", weak("account_id"));
        add("weak_principal", weak("principal"));
        let caller = ["weak", "weak_account_id", "weak_principal"].map(str::to_owned).to_vec();
        if asked.parts.lists {
            for (name, detail) in WEAK_LISTS {
                let column = name.trim_start_matches("weak_");
                // What opened a presigned link is listed apart.
                let is_of_opener = matches!(detail, Detail::Client | Detail::SourceIp);
                let presigned = if is_of_opener { " AND NOT presigned" } else { "" };
                add(name, format!("CASE WHEN is_asked AND weak_bits > 0{presigned} THEN {column} END"));
                sets.push((name, name.to_owned(), caller.clone()));
            }
            for (name, sql) in OPENED {
                add(name, weak(sql));
            }
            let [(ip, _), (agent, _)] = OPENED;
            sets.push(("weak_opened_by", ip.to_owned(), [caller.clone(), vec![agent.to_owned()]].concat()));
        }
        // The last, for it has no column of its own.
        sets.push(("weak", String::new(), caller));
    }
    for (name, sql) in [("seen_at", "CASE WHEN rejected IS NULL THEN seen_at END"), ("failed", "failed")] {
        add(name, sql.to_owned());
    }
    add("is_presigned", "presigned".to_owned());
    (shown, sets)
}

/// The sums.
fn sums(shown: &[(String, String)], sets: &[Set]) -> String {
    let is_measure = |name: &str| matches!(name, "seen_at" | "failed" | "is_presigned");
    let keys = shown.iter().map(|(name, _)| name.as_str()).filter(|name| !is_measure(name));
    let part = match sets {
        [(part, ..)] => literal(part),
        sets => {
            let cases = sets.iter().map(|(part, own, _)| match own.as_str() {
                "" => format!("ELSE {}", literal(part)),
                own => format!("WHEN grouping({own}) = 0 THEN {}", literal(part)),
            });
            format!("CASE\n    {}\n  END", cases.collect::<Vec<_>>().join("\n    "))
        }
    };
    let sets = sets.iter().map(|(_, own, others)| {
        let own = (!own.is_empty()).then_some(own);
        format!("({})", own.into_iter().chain(others).cloned().collect::<Vec<_>>().join(", "))
    });
    format!(
        "\
SELECT
  {part} AS part,
  {keys},
  count(*) AS calls,
  min(seen_at) AS first_seen,
  max(seen_at) AS last_seen,
  count_if(failed) AS errors,
  count_if(is_presigned) AS presigned_calls
FROM shown
GROUP BY GROUPING SETS (
  {sets}
)",
        keys = keys.collect::<Vec<_>>().join(", "),
        sets = sets.collect::<Vec<_>>().join(",\n  "),
    )
}
