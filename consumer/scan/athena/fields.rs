//! What an event tells, in SQL: the counterpart of `decode/json/fields.rs` and [`crate::event`], rule by rule.
//!
//! Layers, each a query over the one before: `raw` has the table's columns, `event` its fields as texts that say
//! something, `told` what they tell, `sound` why it is not sound, `judged` what becomes of the event. Spellings are compared by expressions without
//! regard to ASCII case; `\z` is the end of a text in all engines, `$` is not.

use super::literal;
use crate::event::time;

/// Names and numbers that AWS leaves out of failed sign-ins.
const HIDDEN: &str = "HIDDEN_DUE_TO_SECURITY_REASONS";
/// RFC 3339 with `T` and `Z`; whether there is such a day is asked of a date.
const TIME: &str = r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]+)?Z\z";
/// The second by which a day may be longer.
const LEAP: &str = r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}T23:59:60(\.[0-9]+)?Z\z";
/// `arn:P:sts::A:assumed-role/R/S`.
const ASSUMED: &str = r"(?s)\Aarn:([^:]*):sts:[^:]*:([^:]*):assumed-role/([^/]+)/.+\z";
const SIG_V2: &str = r"\A([Ss][Ii][Gg][Vv])?2\z";
const SIG_V4: &str = r"\A([Ss][Ii][Gg][Vv])?4\z";
const SIG_V4A: &str = r"\A[Ss][Ii][Gg][Vv]4[Aa]\z";
const TLS: [(&str, &str); 4] = [
    (r"\A[Tt][Ll][Ss][Vv]1(\.0)?\z", "TLSv1"),
    (r"\A[Tt][Ll][Ss][Vv]1\.1\z", "TLSv1.1"),
    (r"\A[Tt][Ll][Ss][Vv]1\.2\z", "TLSv1.2"),
    (r"\A[Tt][Ll][Ss][Vv]1\.3\z", "TLSv1.3"),
];

/// A text that says something, or nothing.
fn text(sql: &str) -> String {
    format!("nullif(nullif({sql}, ''), '{HIDDEN}')")
}

/// The string at a path of a JSON value; nothing if there is none, or something else.
pub fn string_at(json: &str, path: &str) -> String {
    let path = literal(path);
    format!(
        "CASE WHEN substr(json_format(json_extract({json}, {path})), 1, 1) = '\"' \
         THEN json_extract_scalar({json}, {path}) END"
    )
}

/// The columns of `raw`, beside the table's own.
pub fn raw() -> String {
    let parsed = [
        ("requestparameters", "request"),
        ("responseelements", "response"),
        ("additionaleventdata", "additional"),
        ("serviceeventdetails", "service_details"),
    ];
    columns(parsed.map(|(column, name)| (name, format!("TRY(json_parse({column}))"))))
}

/// The columns of `event`.
pub fn event() -> String {
    let first_arn = "element_at(filter(transform(resources, r -> r.arn), a -> starts_with(a, 'arn:')), 1)";
    columns([
        ("event_id", text("eventid")),
        ("event_time", text("eventtime")),
        ("event_source", text("eventsource")),
        ("event_name", text("eventname")),
        ("aws_region", text("awsregion")),
        ("source_ip", text("sourceipaddress")),
        ("user_agent", text("useragent")),
        ("error_code", text("errorcode")),
        ("event_type", text("eventtype")),
        ("event_category", text("eventcategory")),
        ("recipient_account_id", text("recipientaccountid")),
        ("vpc_endpoint_id", text("vpcendpointid")),
        ("identity_type", text("useridentity.type")),
        ("principal_id", text("useridentity.principalid")),
        ("arn", text("useridentity.arn")),
        ("identity_account_id", text("useridentity.accountid")),
        ("key_id", text("useridentity.accesskeyid")),
        ("user_name", text("useridentity.username")),
        ("invoked_by", text("useridentity.invokedby")),
        ("identity_provider", text("useridentity.identityprovider")),
        ("on_behalf_of", text("useridentity.onbehalfof.userid")),
        ("issuer_arn", text("useridentity.sessioncontext.sessionissuer.arn")),
        ("correction_of", text("addendum.originaleventid")),
        ("tls_text", text("tlsdetails.tlsversion")),
        ("resource_arn", first_arn.to_owned()),
        ("request_bucket", text(&string_at("request", "$.bucketName"))),
        ("response_error", text(&string_at("response", "$.errorCode"))),
        ("signature_text", text(&string_at("additional", "$.SignatureVersion"))),
        ("authentication", text(&string_at("additional", "$.AuthenticationMethod"))),
    ])
}

/// What an event is that is not a call.
const NOT_CALL: &str = "\
CASE
      WHEN event_category = 'Insight' THEN 'insight'
      WHEN event_category = 'Aggregated' THEN 'aggregated'
      WHEN event_category = 'NetworkActivity' AND coalesce(error_code <> 'VpceAccessDenied', true) THEN 'network_activity'
      WHEN event_type = 'AwsCloudTrailInsight' THEN 'insight'
      WHEN event_type = 'AwsAggregatedEvent' THEN 'aggregated'
      WHEN starts_with(insightdetails, '{') THEN 'insight'
    END";
const ACCOUNT_ID: &str = "coalesce(identity_account_id, recipient_account_id, 'unknown')";

/// The columns of `told`.
pub fn told() -> String {
    columns([
        ("account_id", ACCOUNT_ID.to_owned()),
        ("principal", principal()),
        ("session", r"nullif(regexp_extract(arn, '(?s):assumed-role/[^/]*/(.+)\z', 1), '')".to_owned()),
        (
            "bucket",
            "coalesce(request_bucket, nullif(regexp_extract(resource_arn, ':s3:::([^/]*)', 1), ''))"
                .to_owned(),
        ),
        (
            "signature_version",
            spelled("signature_text", &[(SIG_V2, "SigV2"), (SIG_V4, "SigV4"), (SIG_V4A, "SigV4A")]),
        ),
        ("tls_version", spelled("tls_text", &TLS)),
        ("presigned", "coalesce(authentication = 'QueryString', false)".to_owned()),
        ("failed", "coalesce(error_code, response_error) IS NOT NULL".to_owned()),
        (
            "key_kind",
            "CASE WHEN key_id IS NULL THEN 'none' WHEN starts_with(key_id, 'AKIA') THEN 'long_term' \
             WHEN starts_with(key_id, 'ASIA') THEN 'temporary' ELSE 'other' END"
                .to_owned(),
        ),
        ("seen_at", "substr(event_time, 1, 19) || 'Z'".to_owned()),
        ("not_call", NOT_CALL.to_owned()),
    ])
}

fn principal() -> String {
    let partition = |arn: &str| format!(r"nullif(regexp_extract({arn}, '\Aarn:([^:]+)', 1), '')");
    let partitions = ["arn", "issuer_arn", "resource_arn"].map(partition).join(", ");
    format!(
        "\
coalesce(
      CASE
        WHEN identity_type IN ('IAMUser', 'Role') THEN arn
        WHEN identity_type = 'AssumedRole' THEN coalesce(
          issuer_arn,
          CASE WHEN regexp_like(arn, '{ASSUMED}') THEN
            'arn:' || regexp_extract(arn, '{ASSUMED}', 1)
            || ':iam::' || regexp_extract(arn, '{ASSUMED}', 2)
            || ':role/' || regexp_extract(arn, '{ASSUMED}', 3)
          END)
        WHEN identity_type = 'Root' THEN
          'arn:' || coalesce({partitions}, 'aws') || ':iam::' || {ACCOUNT_ID} || ':root'
        WHEN identity_type = 'FederatedUser' THEN coalesce(issuer_arn, arn)
        WHEN identity_type = 'AWSService' THEN invoked_by
        WHEN identity_type = 'AWSAccount' THEN
          CASE
            WHEN identity_account_id IN ('anonymous', 'ANONYMOUS_PRINCIPAL') THEN 'anonymous'
            ELSE coalesce(nullif(split_part(principal_id, ':', 1), ''), 'account:' || {ACCOUNT_ID})
          END
        WHEN identity_type IN ('WebIdentityUser', 'SAMLUser') THEN
          coalesce(identity_provider || '/' || user_name, principal_id)
        WHEN identity_type = 'IdentityCenterUser' THEN
          coalesce('identitycenter:' || on_behalf_of, principal_id)
      END,
      arn, user_name, principal_id, invoked_by, 'unknown')"
    )
}

/// Which of these spellings a text is.
fn spelled(text: &str, spellings: &[(&str, &str)]) -> String {
    let cases: Vec<String> = spellings
        .iter()
        .map(|(expression, label)| format!("WHEN regexp_like({text}, '{expression}') THEN '{label}'"))
        .collect();
    format!("CASE {} ELSE 'unknown' END", cases.join(" "))
}

/// The column of `sound`: why an event does not count; nothing if it is sound. Events after `latest_s` are of the future.
pub fn sound(latest_s: i64) -> String {
    let latest = literal(&time::format(latest_s));
    let rejected = format!(
        "\
CASE
      WHEN not_call IS NOT NULL THEN NULL
      WHEN event_time IS NULL THEN 'no_time'
      WHEN NOT (regexp_like(event_time, '{TIME}') OR regexp_like(event_time, '{LEAP}')) THEN 'bad_time'
      WHEN TRY_CAST(substr(event_time, 1, 10) AS date) IS NULL THEN 'bad_time'
      WHEN seen_at > {latest} THEN 'future_time'
      WHEN event_source IS NULL THEN 'no_source'
      WHEN event_name IS NULL THEN 'no_name'
    END"
    );
    columns([("rejected", rejected)])
}

/// The columns of `judged`. With `accounts` the resource owner's copy of a call by one of them is none.
pub fn judged(accounts: &[&str]) -> String {
    let shared_copy = match accounts {
        [] => String::new(),
        accounts => {
            let accounts: Vec<String> = accounts.iter().map(|account| literal(account)).collect();
            format!(
                "\n      WHEN identity_account_id IN ({}) AND identity_account_id <> recipient_account_id THEN \
                 'dropped shared_copy'",
                accounts.join(", ")
            )
        }
    };
    let verdict = format!(
        "\
CASE
      WHEN rejected IS NOT NULL THEN 'rejected ' || rejected
      WHEN event_id IS NOT NULL
        AND row_number() OVER (PARTITION BY event_id, rejected IS NULL ORDER BY event_time) > 1
        THEN 'dropped duplicate'
      WHEN correction_of IS NOT NULL THEN 'dropped correction'
      WHEN not_call IS NOT NULL THEN 'not_call ' || not_call{shared_copy}
      ELSE 'call'
    END"
    );
    let own_tls = |version: &str| format!("tls_version = '{version}' AND NOT presigned");
    let weak = |sql: String| format!("invoked_by IS NULL AND {sql}");
    columns([
        ("verdict", verdict),
        ("is_sigv2", weak("signature_version = 'SigV2'".to_owned())),
        ("is_tls10", weak(own_tls("TLSv1"))),
        ("is_tls11", weak(own_tls("TLSv1.1"))),
        ("is_long_term_key", weak("key_kind = 'long_term'".to_owned())),
        ("signature_coverage", coverage("signature_version", "signature_text")),
        ("tls_coverage", coverage("tls_version", "tls_text")),
        (
            "is_unsigned_s3",
            "coalesce(event_source = 's3.amazonaws.com' AND signature_version = 'unknown', false)".to_owned(),
        ),
    ])
}

/// `known`, or why a version is unknown.
fn coverage(version: &str, text: &str) -> String {
    format!(
        "\
CASE
      WHEN {version} <> 'unknown' THEN 'known'
      WHEN invoked_by IS NOT NULL OR event_type = 'AwsServiceEvent' OR identity_type = 'AWSService' THEN 'service'
      WHEN sessioncredentialfromconsole = 'true' THEN 'console'
      WHEN {text} IS NOT NULL THEN 'other'
      ELSE 'not_reported'
    END"
    )
}

fn columns<'n>(columns: impl IntoIterator<Item = (&'n str, String)>) -> String {
    let columns: Vec<String> =
        columns.into_iter().map(|(name, sql)| format!("    {sql} AS {name}")).collect();
    columns.join(",\n")
}
