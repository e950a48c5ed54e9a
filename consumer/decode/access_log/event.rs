//! The event of a line, as CloudTrail would have written it.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use serde::Serialize;

use super::line::Line;
use super::operation::Operation;
use crate::event::principal::ANONYMOUS;
use crate::event::time;

/// What acts where nobody asked: lifecycle rules and the like.
const SERVICE: &str = "s3.amazonaws.com";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    event_version: &'static str,
    user_identity: Identity<'a>,
    event_time: Cow<'a, str>,
    event_source: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aws_region: Option<&'a str>,
    #[serde(rename = "sourceIPAddress", skip_serializing_if = "Option::is_none")]
    source_ip: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<&'a str>,
    request_parameters: Parameters<'a>,
    additional_event_data: Additional<'a>,
    #[serde(rename = "requestID", skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(rename = "eventID", skip_serializing_if = "Option::is_none")]
    event_id: Option<Cow<'a, str>>,
    read_only: bool,
    resources: Vec<Resource>,
    event_type: &'static str,
    management_event: bool,
    event_category: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    addendum: Option<Addendum<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_details: Option<Tls<'a>>,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Identity<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arn: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_key_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    invoked_by: Option<&'a str>,
}

#[derive(Serialize)]
struct Parameters<'a> {
    #[serde(rename = "bucketName", skip_serializing_if = "Option::is_none")]
    bucket: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Cow<'a, str>>,
    #[serde(rename = "versionId", skip_serializing_if = "Option::is_none")]
    version_id: Option<&'a str>,
    #[serde(rename = "Host", skip_serializing_if = "Option::is_none")]
    host: Option<&'a str>,
}

#[derive(Serialize)]
struct Additional<'a> {
    #[serde(rename = "SignatureVersion", skip_serializing_if = "Option::is_none")]
    signature: Option<&'a str>,
    #[serde(rename = "CipherSuite", skip_serializing_if = "Option::is_none")]
    cipher: Option<&'a str>,
    #[serde(rename = "AuthenticationMethod", skip_serializing_if = "Option::is_none")]
    authentication: Option<&'a str>,
    #[serde(rename = "x-amz-id-2", skip_serializing_if = "Option::is_none")]
    host_id: Option<&'a str>,
}

#[derive(Serialize)]
struct Resource {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "ARN")]
    arn: String,
}

#[derive(Serialize)]
struct Addendum<'a> {
    #[serde(rename = "originalEventID")]
    original: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Tls<'a> {
    tls_version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cipher_suite: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_provided_host_header: Option<&'a str>,
}

/// Writes the event of a line.
pub fn write(line: &Line<'_>, out: &mut Vec<u8>) {
    let operation = line.operation.map(|operation| Operation::of(operation, line.key.is_some()));
    let is_part = operation.as_ref().is_some_and(|operation| operation.is_part);
    let is_data = operation.as_ref().is_some_and(|operation| operation.is_data);
    let key = line.key.map(|key| percent_decode_str(key).decode_utf8_lossy());
    let event = Event {
        event_version: "1.11",
        user_identity: identity(line),
        event_time: rfc3339(line.time).map_or(Cow::Borrowed(line.time), Cow::Owned),
        event_source: SERVICE,
        event_name: operation.as_ref().map(|operation| &*operation.event_name),
        aws_region: line.host.and_then(region),
        source_ip: line.remote_ip,
        user_agent: line.user_agent,
        error_code: line.error_code.or(line.status.filter(|status| status.starts_with(['4', '5']))),
        resources: resources(line.bucket, key.as_deref()),
        request_parameters: Parameters {
            bucket: line.bucket,
            key,
            version_id: line.version_id,
            host: line.host,
        },
        additional_event_data: Additional {
            signature: line.signature,
            cipher: line.cipher,
            authentication: line.authentication,
            host_id: line.host_id,
        },
        request_id: line.request_id,
        event_id: line.request_id.map(|id| match line.key {
            Some(key) if is_part => Cow::Owned(format!("{id}/{key}")),
            _ => Cow::Borrowed(id),
        }),
        read_only: operation.as_ref().is_some_and(|operation| operation.is_read_only),
        event_type: "AwsApiCall",
        management_event: !is_data,
        event_category: if is_data { "Data" } else { "Management" },
        addendum: line.request_id.filter(|_| is_part).map(|original| Addendum { original }),
        tls_details: line.tls.map(|tls_version| Tls {
            tls_version,
            cipher_suite: line.cipher,
            client_provided_host_header: line.host,
        }),
    };
    // Writing plain values into memory has no way to fail.
    serde_json::to_writer(out, &event).ok();
}

/// Who asked, as far as the requester tells.
fn identity<'a>(line: &Line<'a>) -> Identity<'a> {
    let access_key_id = line.request.filter(|_| line.authentication == Some("QueryString")).and_then(key_id);
    let Some(requester) = line.requester else {
        // What S3 does by its own rules comes from nowhere.
        return match line.operation {
            Some(operation) if operation.starts_with("S3.") => service(SERVICE),
            _ => Identity { kind: "AWSAccount", account_id: Some(ANONYMOUS), ..Identity::default() },
        };
    };
    if let Some(name) = requester.strip_prefix("svc:") {
        return service(name);
    }
    if requester == "AmazonS3" {
        return service(SERVICE);
    }
    let mut parts = requester.splitn(6, ':');
    let (prefix, account, resource) = (parts.next(), parts.nth(3), parts.next().unwrap_or_default());
    if prefix != Some("arn") {
        // A canonical user id: an account, of which the number is not told.
        return Identity {
            kind: "AWSAccount",
            principal_id: Some(requester),
            access_key_id,
            ..Identity::default()
        };
    }
    let (kind, name) = resource.split_once('/').unwrap_or((resource, ""));
    let kind = match kind {
        "user" => "IAMUser",
        "assumed-role" => "AssumedRole",
        "federated-user" => "FederatedUser",
        "role" => "Role",
        "root" => "Root",
        _ => "Unknown",
    };
    Identity {
        kind,
        arn: Some(requester),
        account_id: account.filter(|account| !account.is_empty()),
        access_key_id,
        user_name: name.rsplit('/').next().filter(|name| kind == "IAMUser" && !name.is_empty()),
        ..Identity::default()
    }
}

fn service(name: &str) -> Identity<'_> {
    Identity { kind: "AWSService", invoked_by: Some(name), ..Identity::default() }
}

/// The id of the key that a presigned link names. Nothing else of a link is kept: its signature is as good as a password.
fn key_id(request: &str) -> Option<&str> {
    let (_, query) = request.split_once('?')?;
    let value = query.split(['&', ' ']).find_map(|pair| {
        pair.strip_prefix("X-Amz-Credential=").or_else(|| pair.strip_prefix("AWSAccessKeyId="))
    })?;
    let end = value.find(|character: char| !character.is_ascii_alphanumeric()).unwrap_or(value.len());
    Some(&value[..end]).filter(|id| !id.is_empty())
}

/// The object, if there is one, and its bucket.
fn resources(bucket: Option<&str>, key: Option<&str>) -> Vec<Resource> {
    let Some(bucket) = bucket else { return Vec::new() };
    let object =
        key.map(|key| Resource { kind: "AWS::S3::Object", arn: format!("arn:aws:s3:::{bucket}/{key}") });
    let bucket = Resource { kind: "AWS::S3::Bucket", arn: format!("arn:aws:s3:::{bucket}") };
    object.into_iter().chain([bucket]).collect()
}

/// The region in the name of one of S3's own hosts ("Amazon Simple Storage Service endpoints and quotas").
fn region(host: &str) -> Option<&str> {
    let host = host.strip_suffix(".cn").unwrap_or(host).strip_suffix(".amazonaws.com")?;
    let last = host.rsplit('.').next()?;
    let named = last.strip_prefix("s3-website-").or_else(|| last.strip_prefix("s3-")).unwrap_or(last);
    let (area, number) = (named.split('-').next()?, named.rsplit('-').next()?);
    let is_region =
        area.len() == 2 && named.matches('-').count() >= 2 && number.bytes().all(|b| b.is_ascii_digit());
    is_region.then_some(named)
}

/// `06/Feb/2019:00:00:38 +0000` as `2019-02-06T00:00:38Z`; none if it is no time.
fn rfc3339(text: &str) -> Option<String> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (date, clock) = text.split_once(':')?;
    let (clock, zone) = clock.split_once(' ')?;
    let mut date = date.split('/');
    let (day, month, year) = (date.next()?, date.next()?, date.next()?);
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    let local = format!("{year}-{month:02}-{day}T{clock}Z");
    let local_s = time::parse(&local)?;
    // As S3 writes all of them.
    if zone == "+0000" {
        return Some(local);
    }
    let minutes = |at: usize| zone.get(at..at + 2)?.parse::<i64>().ok();
    let ahead_s = (minutes(1)? * 60 + minutes(3)?) * 60;
    Some(time::format(match zone.as_bytes() {
        [b'+', ..] => local_s - ahead_s,
        [b'-', ..] => local_s + ahead_s,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, expect) in [
            ("06/Feb/2019:00:00:38 +0000", Some("2019-02-06T00:00:38Z")),
            ("31/Dec/2024:23:30:00 -0130", Some("2025-01-01T01:00:00Z")),
            ("31/Feb/2019:00:00:38 +0000", None),
            ("06/Fev/2019:00:00:38 +0000", None),
            ("06/Feb/2019:00:00:38", None),
            ("06/Feb/2019:00:00:38 +00é", None),
        ] {
            assert_eq!(rfc3339(text).as_deref(), expect, "{text}");
        }
    }

    #[test]
    fn regions() {
        for (host, expect) in [
            ("logs.s3.us-west-1.amazonaws.com", Some("us-west-1")),
            ("s3.dualstack.eu-central-1.amazonaws.com", Some("eu-central-1")),
            ("logs.s3-ap-southeast-2.amazonaws.com", Some("ap-southeast-2")),
            ("site.s3-website-us-east-1.amazonaws.com", Some("us-east-1")),
            ("ap-1.s3-accesspoint.us-gov-west-1.amazonaws.com", Some("us-gov-west-1")),
            ("logs.s3.cn-north-1.amazonaws.com.cn", Some("cn-north-1")),
            ("logs.s3.amazonaws.com", None),
            ("s3.amazonaws.com", None),
            ("cdn.example.com", None),
        ] {
            assert_eq!(region(host), expect, "{host}");
        }
    }

    #[test]
    fn requesters() {
        let of = |requester: &'static str| {
            let line = Line { requester: Some(requester), ..Line::default() };
            let Identity { kind, principal_id, arn, account_id, user_name, invoked_by, .. } = identity(&line);
            (kind, arn.or(principal_id).or(invoked_by), account_id, user_name)
        };
        for (requester, kind, account, user) in [
            ("arn:aws:iam::111122223333:user/ops/ann", "IAMUser", Some("111122223333"), Some("ann")),
            ("arn:aws:sts::111122223333:assumed-role/r/s", "AssumedRole", Some("111122223333"), None),
            ("arn:aws:sts::111122223333:federated-user/f", "FederatedUser", Some("111122223333"), None),
            ("arn:aws:iam::111122223333:root", "Root", Some("111122223333"), None),
            ("arn:aws:x", "Unknown", None, None),
            ("3e57427f33a59f07", "AWSAccount", None, None),
        ] {
            assert_eq!(of(requester), (kind, Some(requester), account, user));
        }
        assert_eq!(
            of("svc:logging.s3.amazonaws.com"),
            ("AWSService", Some("logging.s3.amazonaws.com"), None, None)
        );
        assert_eq!(of("AmazonS3"), ("AWSService", Some("s3.amazonaws.com"), None, None));
        let anonymous = Identity { kind: "AWSAccount", account_id: Some("anonymous"), ..Identity::default() };
        assert_eq!(identity(&Line::default()), anonymous);
        let expired = Line { operation: Some("S3.EXPIRE.OBJECT"), ..Line::default() };
        assert_eq!(identity(&expired), service("s3.amazonaws.com"));
    }

    #[test]
    fn keys_of_links() {
        for (request, expect) in [
            ("GET /k?AWSAccessKeyId=AKIAEXAMPLE&Expires=1&Signature=x HTTP/1.1", Some("AKIAEXAMPLE")),
            ("GET /k?a=b&X-Amz-Credential=ASIAEXAMPLE%2F20250701%2Fus-east-1 HTTP/1.1", Some("ASIAEXAMPLE")),
            ("GET /k?X-Amz-Credential=AKIAEXAMPLE/20250701 HTTP/1.1", Some("AKIAEXAMPLE")),
            ("GET /k?AWSAccessKeyId= HTTP/1.1", None),
            ("GET /AWSAccessKeyId=AKIAEXAMPLE HTTP/1.1", None),
        ] {
            assert_eq!(key_id(request), expect, "{request}");
        }
    }
}
