//! A condition of the rule language, in SQL.
//!
//! A check of what an event does not have is false, `!=` too; so each check here is true or false, never unknown. What a
//! field's value is, is what `trailmeter_rules` says it is: the text as it stands in the event, also an empty or a hidden
//! one, for fields of the event; what its judgement says for our own.

use trailmeter_rules::ast::{Check, Expr, Function, Item, Op, Quantifier, Right, Term};
use trailmeter_rules::event::Known;
use trailmeter_rules::field::{Field, Made, Place, Spec};
use trailmeter_rules::network::Network;
use trailmeter_rules::values::CHANGES;

use super::{Refusal, fields, literal};

/// The condition as SQL, over the columns of `judged`.
///
/// # Errors
/// All parts of it that SQL can't say.
pub fn sql(condition: &Expr) -> Result<String, Vec<Refusal>> {
    let mut refusals = Vec::new();
    let sql = expr(condition, &mut refusals);
    if refusals.is_empty() { Ok(sql) } else { Err(refusals) }
}

fn expr(condition: &Expr, refusals: &mut Vec<Refusal>) -> String {
    let mut joined = |parts: &[Expr], between: &str, of_none: &str| {
        let parts: Vec<String> = parts.iter().map(|part| format!("({})", expr(part, refusals))).collect();
        if parts.is_empty() { of_none.to_owned() } else { parts.join(between) }
    };
    match condition {
        Expr::And(parts) => joined(parts, " AND ", "true"),
        Expr::Or(parts) => joined(parts, " OR ", "false"),
        Expr::Not(inner) => format!("NOT ({})", expr(inner, refusals)),
        Expr::Check(check) => check_sql(check).unwrap_or_else(|refusal| {
            refusals.push(refusal);
            "false".to_owned()
        }),
        // Resolving has put its condition there.
        Expr::Macro(name, _) => {
            refusals.push(Refusal::new(format!("the macro {name}"), "write its condition"));
            "false".to_owned()
        }
    }
}

/// What a check asks about.
enum Asked {
    /// A text, or nothing where there is none.
    Text(String),
    /// The same, of what may be an object or a list, whose text is not that of the rule language: it begins with `{` or
    /// `[`, and no more is known of it.
    Json(String),
    /// The call's weaknesses.
    Weakness,
    /// The networks of an address.
    Network(String),
}

fn check_sql(check: &Check) -> Result<String, Refusal> {
    let refused = |fix: String| Refusal::new(format!("`{check}`"), fix);
    let asked = of_term(&check.left).map_err(|fix| refused(fix.to_owned()))?;
    let sql = match asked {
        Asked::Text(value) => {
            let value = cased(&value);
            of_value(check, |op, text| compare(op, &value, text), &value)
        }
        Asked::Json(value) => {
            let plain = |op: Op, text: &str| match is_plain(op, text) {
                true => compare(op, &value, text),
                false => Err(
                    "what stands there may be an object, of which only `=`, `in`, `startswith`, `endswith` \
                              and `contains` of a plain text are exact: name a text below it"
                        .to_owned(),
                ),
            };
            of_value(check, plain, &value)
        }
        Asked::Weakness => weakness(check),
        Asked::Network(value) => network(check, &value),
    };
    sql.map(|sql| format!("coalesce({sql}, false)")).map_err(refused)
}

const OTHER_OPERATORS: &str =
    "use =, !=, <, >, in, contains, icontains, startswith, endswith, glob, pmatch or exists";

/// A check of one value by a comparison with one text.
fn of_value(
    check: &Check,
    compare: impl Fn(Op, &str) -> Result<String, String>,
    value: &str,
) -> Result<String, String> {
    let each = |op: Op, items: &[Item]| {
        items.iter().map(|item| compare(op, &item.text)).collect::<Result<Vec<_>, _>>()
    };
    let any = |sql: Vec<String>| match sql.as_slice() {
        [] => "false".to_owned(),
        sql => format!("({})", sql.join(" OR ")),
    };
    match (check.op, &check.right) {
        (Op::Exists, _) => Ok(format!("{value} IS NOT NULL")),
        (_, Right::Text(text)) => compare(check.op, text),
        (Op::In | Op::Intersects, Right::List(items, _)) => {
            // Each of them is checked, for some may be refused.
            each(Op::Eq, items)?;
            let texts: Vec<String> = items.iter().map(|item| literal(&item.text)).collect();
            Ok(if texts.is_empty() {
                "false".to_owned()
            } else {
                format!("{value} IN ({})", texts.join(", "))
            })
        }
        (Op::PMatch, Right::List(items, _)) => Ok(any(each(Op::PMatch, items)?)),
        (op, Right::List(items, quantifier)) => match quantifier {
            Quantifier::Any => Ok(any(each(op, items)?)),
            Quantifier::All if items.is_empty() => Ok("false".to_owned()),
            Quantifier::All => Ok(format!("({})", each(op, items)?.join(" AND "))),
            Quantifier::One => {
                let each = each(op, items)?;
                let ones = each.iter().map(|sql| format!("CASE WHEN {sql} THEN 1 ELSE 0 END"));
                let sum = ones.collect::<Vec<_>>().join(" + ");
                Ok(if sum.is_empty() { "false".to_owned() } else { format!("{sum} = 1") })
            }
        },
        (_, Right::Term(_)) => {
            Err("two fields are compared as numbers or as texts, as they come: compare each with a text"
                .to_owned())
        }
        (_, Right::Nothing | Right::Named(..)) => Err(OTHER_OPERATORS.to_owned()),
    }
}

/// A comparison of a text, SQL's unknown where there is none.
fn compare(op: Op, value: &str, text: &str) -> Result<String, String> {
    let wanted = literal(text);
    let is_there = || format!("{value} IS NOT NULL");
    Ok(match op {
        Op::Eq => format!("{value} = {wanted}"),
        Op::Ne => format!("{value} <> {wanted}"),
        Op::Lt => format!("{value} < {wanted}"),
        Op::Le => format!("{value} <= {wanted}"),
        Op::Gt => format!("{value} > {wanted}"),
        Op::Ge => format!("{value} >= {wanted}"),
        Op::Contains | Op::IContains | Op::StartsWith | Op::EndsWith if text.is_empty() => is_there(),
        Op::Contains => format!("strpos({value}, {wanted}) > 0"),
        Op::IContains => {
            format!("strpos({}, {}) > 0", in_small_letters(value), literal(&text.to_ascii_lowercase()))
        }
        Op::StartsWith => format!("starts_with({value}, {wanted})"),
        Op::EndsWith => format!("substr({value}, -{}) = {wanted}", text.chars().count()),
        Op::Glob => format!("{value} LIKE {} ESCAPE '\\'", literal(&like(text)?)),
        Op::PMatch => match text.trim_end_matches('/') {
            "" => format!("({value} = '' OR starts_with({value}, '/'))"),
            path => {
                format!(
                    "({value} = {} OR starts_with({value}, {}))",
                    literal(path),
                    literal(&format!("{path}/"))
                )
            }
        },
        Op::IGlob => return Err("write `tolower(FIELD) glob …` with small letters".to_owned()),
        Op::Regex | Op::Search(_) => {
            return Err(
                "expressions differ from engine to engine: use glob, contains or startswith".to_owned()
            );
        }
        _ => return Err(OTHER_OPERATORS.to_owned()),
    })
}

/// Whether a comparison of an object's text is the same, however it is written.
fn is_plain(op: Op, text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || " -_./@*+=".contains(c);
    match op {
        Op::Eq | Op::Ne | Op::StartsWith => !text.starts_with(['{', '[']) && !text.is_empty(),
        Op::EndsWith => !text.ends_with(['}', ']']) && !text.is_empty(),
        Op::Contains => text.chars().all(is_word),
        _ => false,
    }
}

const CAPITALS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const SMALL: &str = "abcdefghijklmnopqrstuvwxyz";

/// ASCII alone: `lower()` knows all letters.
fn in_small_letters(value: &str) -> String {
    format!("translate({value}, '{CAPITALS}', '{SMALL}')")
}

/// A shell's pattern as one of `LIKE`.
fn like(pattern: &str) -> Result<String, String> {
    let mut like = String::new();
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        let literal = match c {
            '*' => {
                like.push('%');
                continue;
            }
            '?' => {
                like.push('_');
                continue;
            }
            '[' => return Err("write its classes out: `(A glob …) or (A glob …)`".to_owned()),
            '\\' => rest.next().unwrap_or('\\'),
            c => c,
        };
        if matches!(literal, '%' | '_' | '\\') {
            like.push('\\');
        }
        like.push(literal);
    }
    Ok(like)
}

fn of_term(term: &Term) -> Result<Asked, &'static str> {
    match term {
        Term::Field(field) => of_field(field),
        Term::Text(text) => Ok(Asked::Text(literal(text))),
        Term::Call(Function::Val, terms) if terms.len() == 1 => of_term(&terms[0]),
        Term::Call(function @ (Function::ToLower | Function::ToUpper), terms) if terms.len() == 1 => {
            match of_term(&terms[0])? {
                Asked::Text(value) if *function == Function::ToLower => {
                    Ok(Asked::Text(in_small_letters(&value)))
                }
                Asked::Text(value) => Ok(Asked::Text(format!("translate({value}, '{SMALL}', '{CAPITALS}')"))),
                _ => Err("tolower and toupper take a field that is a text"),
            }
        }
        Term::Call(..) | Term::List(_) => Err("of functions there are tolower, toupper and val"),
    }
}

fn of_field(field: &Field) -> Result<Asked, &'static str> {
    match field {
        Field::Named(spec) => of_spec(spec),
        Field::Pointer { path, .. } => pointer(path),
        Field::Path { .. } | Field::Whole => Err("write it in Falco's language"),
    }
}

fn of_spec(spec: &Spec) -> Result<Asked, &'static str> {
    let text = |sql: &str| Ok(Asked::Text(sql.to_owned()));
    if spec.name == "ct.srcip.net" {
        return Ok(Asked::Network("sourceipaddress".to_owned()));
    }
    match &spec.place {
        Place::Known(known, []) => own(*known),
        Place::Known(_, paths) | Place::Text(paths) => of_paths(paths).map(Asked::Text),
        Place::Truth([key]) => {
            let column = column_of(key).ok_or("the table has no such column")?;
            Ok(Asked::Text(truth(&column)))
        }
        Place::Weakness => Ok(Asked::Weakness),
        Place::Made(Made::ShortSource) => text(
            "coalesce(nullif(regexp_extract(eventsource, '(?s)\\A(.+)\\.amazonaws\\.com\\z', 1), ''), eventsource)",
        ),
        Place::Made(Made::ReadOnly) => {
            let verbs = CHANGES.map(|verb| format!("starts_with(eventname, '{verb}')")).join(" OR ");
            text(&format!(
                "CASE WHEN readonly IS NOT NULL THEN {} WHEN {verbs} THEN 'false' WHEN eventname IS NOT NULL THEN 'true' \
                 END",
                truth("readonly")
            ))
        }
        Place::Made(Made::User) => text(USER),
        Place::Made(Made::S3Uri) => {
            let string = |path| fields::string_at("request", path);
            text(&format!(
                "('s3://' || {} || '/' || {})",
                cased(&string("$.bucketName")),
                cased(&string("$.key"))
            ))
        }
        Place::Made(Made::Iso8601) => text("eventtime"),
        Place::Made(Made::Nanoseconds) => Err("use --since and --until"),
        Place::Counts(Some("GetObject")) => Err("write ct.name = GetObject"),
        Place::Counts(Some(_)) => Err("write ct.name = PutObject"),
        Place::Counts(None) => Err("write not ct.name in (GetObject, PutObject)"),
        Place::Json(_) => Err(
            "objects are written otherwise there: name a text below it, as json.value[/requestParameters/key]",
        ),
        Place::Made(_) | Place::Sum(_) | Place::Truth(_) => {
            Err("scan the files without --engine athena, or ask for the fields that it is made of")
        }
    }
}

/// Who called, by the identity's type, as Falco's plugin has it.
const USER: &str = "\
CASE WHEN useridentity.type IN ('Root', 'IAMUser') THEN useridentity.username \
WHEN useridentity.type = 'AWSService' THEN useridentity.invokedby \
WHEN useridentity.type = 'AssumedRole' THEN coalesce(useridentity.sessioncontext.sessionissuer.username, 'AssumedRole') \
WHEN useridentity.type IN ('AWSAccount', 'FederatedUser') THEN useridentity.type END";

/// In parentheses where operators of its own might take what stands beside it.
fn cased(sql: &str) -> String {
    if sql.contains(' ') && !sql.starts_with('(') { format!("({sql})") } else { sql.to_owned() }
}

fn truth(column: &str) -> String {
    format!("CASE WHEN {column} IS NULL THEN NULL WHEN {column} = 'true' THEN 'true' ELSE 'false' END")
}

/// What the judgement says.
fn own(known: Known) -> Result<Asked, &'static str> {
    let column = match known {
        Known::Principal => "principal",
        Known::Account => "account_id",
        Known::Session => "session",
        Known::SignatureVersion => "signature_version",
        Known::Presigned => "CASE WHEN presigned THEN 'true' ELSE 'false' END",
        Known::TlsVersion => "tls_version",
        Known::KeyId => "key_id",
        Known::KeyKind => "key_kind",
        Known::Bucket => "bucket",
        _ => {
            return Err(
                "clients are told from user agents by a table that SQL does not have: use ct.useragent with \
                        startswith or contains, or --group-by client,client_version without it",
            );
        }
    };
    Ok(Asked::Text(column.to_owned()))
}

/// The value at the first of these paths at which something stands; an empty one if that is no string.
fn of_paths(paths: &[&[&str]]) -> Result<String, &'static str> {
    let each = paths.iter().map(|path| of_path(path).ok_or("the table has no such column"));
    let each = each.collect::<Result<Vec<_>, _>>()?;
    Ok(match each.as_slice() {
        [one] => one.clone(),
        each => format!("coalesce({})", each.join(", ")),
    })
}

fn of_path(path: &[&str]) -> Option<String> {
    match path {
        [column] => column_of(column),
        ["userIdentity", rest @ ..] => identity(rest),
        ["addendum", key @ ("reason" | "updatedFields" | "originalRequestID" | "originalEventID")]
        | ["tlsDetails", key @ ("tlsVersion" | "cipherSuite" | "clientProvidedHostHeader")] => {
            Some(format!("{}.{}", path[0].to_ascii_lowercase(), key.to_ascii_lowercase()))
        }
        [column, key] => {
            let (json, path) = (json_of(column)?, json_path(&[(*key).to_owned()])?);
            let string = fields::string_at(json, &path);
            Some(format!(
                "CASE WHEN json_extract({json}, {}) IS NOT NULL THEN coalesce({string}, '') END",
                literal(&path)
            ))
        }
        _ => None,
    }
}

/// A column that holds a text.
fn column_of(key: &str) -> Option<String> {
    const TEXTS: [&str; 21] = [
        "eventVersion",
        "eventTime",
        "eventSource",
        "eventName",
        "awsRegion",
        "sourceIPAddress",
        "userAgent",
        "errorCode",
        "errorMessage",
        "requestID",
        "eventID",
        "readOnly",
        "eventType",
        "apiVersion",
        "managementEvent",
        "recipientAccountId",
        "sharedEventID",
        "vpcEndpointId",
        "vpcEndpointAccountId",
        "eventCategory",
        "sessionCredentialFromConsole",
    ];
    TEXTS.contains(&key).then(|| key.to_ascii_lowercase())
}

fn identity(path: &[&str]) -> Option<String> {
    let is_known = matches!(
        path,
        ["type"
            | "principalId"
            | "arn"
            | "accountId"
            | "invokedBy"
            | "accessKeyId"
            | "userName"
            | "identityProvider"]
            | ["onBehalfOf", "userId" | "identityStoreArn"]
            | ["sessionContext", "ec2RoleDelivery"]
            | ["sessionContext", "attributes", "mfaAuthenticated" | "creationDate"]
            | ["sessionContext", "sessionIssuer", "type" | "principalId" | "arn" | "accountId" | "userName"]
            | ["sessionContext", "webIdFederationData", "federatedProvider"]
    );
    is_known.then(|| format!("useridentity.{}", path.join(".").to_ascii_lowercase()))
}

/// What was read of a column that holds JSON.
fn json_of(key: &str) -> Option<&'static str> {
    match key {
        "requestParameters" => Some("request"),
        "responseElements" => Some("response"),
        "additionalEventData" => Some("additional"),
        "serviceEventDetails" => Some("service_details"),
        _ => None,
    }
}

/// Keys as a path; none if one of them may be a list's index, or can't be written.
fn json_path(keys: &[String]) -> Option<String> {
    let is_plain = |key: &&String| {
        let is_key = |c: char| c.is_ascii_alphanumeric() || "_-: /.@".contains(c);
        !key.is_empty() && key.chars().all(is_key) && !key.starts_with(|c: char| c.is_ascii_digit())
    };
    if !keys.iter().all(|key| is_plain(&key)) {
        return None;
    }
    let is_name = |key: &str| key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let step = |key: &String| if is_name(key) { format!(".{key}") } else { format!("[\"{key}\"]") };
    Some(format!("${}", keys.iter().map(step).collect::<String>()))
}

/// What stands at a pointer.
fn pointer(path: &[String]) -> Result<Asked, &'static str> {
    const FIX: &str = "the table has texts for this no more: name a key below requestParameters, responseElements, \
                       additionalEventData, serviceEventDetails or userIdentity, without a list's index";
    let keys: Vec<&str> = path.iter().map(String::as_str).collect();
    let (first, rest) = path.split_first().ok_or(FIX)?;
    let Some(json) = json_of(first) else { return of_path(&keys).map(Asked::Text).ok_or(FIX) };
    if rest.is_empty() {
        return Err(FIX);
    }
    let path = literal(&json_path(rest).ok_or(FIX)?);
    Ok(Asked::Json(format!(
        "coalesce(json_extract_scalar({json}, {path}), json_format(json_extract({json}, {path})))"
    )))
}

/// The column of a weakness.
fn is_weak(name: &str) -> Option<&'static str> {
    match name {
        "sigv2" => Some("is_sigv2"),
        "tls10" => Some("is_tls10"),
        "tls11" => Some("is_tls11"),
        "long_term_key" => Some("is_long_term_key"),
        _ => None,
    }
}

/// A call may have several weaknesses, or none, in which case no check holds.
fn weakness(check: &Check) -> Result<String, String> {
    const ALL: [&str; 4] = ["sigv2", "tls10", "tls11", "long_term_key"];
    let any = |names: &mut dyn Iterator<Item = &str>| {
        let columns: Vec<&str> = names.filter_map(is_weak).collect();
        if columns.is_empty() { "false".to_owned() } else { format!("({})", columns.join(" OR ")) }
    };
    let is_there = any(&mut ALL.into_iter());
    match (check.op, &check.right) {
        (Op::Exists, _) => Ok(is_there),
        (Op::Eq, Right::Text(text)) => Ok(any(&mut [text.as_str()].into_iter())),
        (Op::Ne, Right::Text(text)) => {
            Ok(format!("{is_there} AND NOT {}", any(&mut [text.as_str()].into_iter())))
        }
        (Op::Intersects, Right::List(items, _)) => Ok(any(&mut items.iter().map(|item| item.text.as_str()))),
        (Op::In, Right::List(items, _)) => {
            let is_named = |name: &&str| items.iter().any(|item| item.text == *name);
            let others = any(&mut ALL.into_iter().filter(|name| !is_named(name)));
            Ok(format!("{is_there} AND NOT {others}"))
        }
        _ => Err("of weaknesses there are =, !=, in, intersects and exists".to_owned()),
    }
}

/// An IPv4 address as it is read: without leading zeros.
const IPV4: &str = r"\A(0|[1-9][0-9]{0,2})(\.(0|[1-9][0-9]{0,2})){3}\z";

fn network(check: &Check, value: &str) -> Result<String, String> {
    let items = match (check.op, &check.right) {
        (Op::Eq, Right::Text(text)) => vec![text.as_str()],
        (Op::In | Op::Intersects, Right::List(items, _)) | (Op::Eq, Right::List(items, Quantifier::Any)) => {
            items.iter().map(|item| item.text.as_str()).collect()
        }
        (Op::Ne, _) => return Err("write `not ct.srcip.net = …`".to_owned()),
        _ => return Err("of networks there are = and in".to_owned()),
    };
    let part = |nth: usize| format!("TRY_CAST(split_part({value}, '.', {nth}) AS bigint)");
    let parts = [1, 2, 3, 4].map(part);
    let number =
        format!("{} * 16777216 + {} * 65536 + {} * 256 + {}", parts[0], parts[1], parts[2], parts[3]);
    let mut networks = Vec::new();
    for text in items {
        let bounds = Network::parse(text).and_then(|network| network.v4_bounds());
        let (first, last) =
            bounds.ok_or_else(|| format!("{text} is not IPv4: ask for it without --engine athena"))?;
        networks.push(format!("{number} BETWEEN {first} AND {last}"));
    }
    if networks.is_empty() {
        return Ok("false".to_owned());
    }
    let bytes = parts.map(|part| format!("{part} <= 255")).join(" AND ");
    // What is no address must not get as far as the numbers, which it may be too large for.
    Ok(format!("CASE WHEN regexp_like({value}, '{IPV4}') THEN {bytes} AND ({}) END", networks.join(" OR ")))
}
