//! The fields of an event that are read, each where CloudTrail puts it.
//!
//! Keys are told apart by their length first, which costs one comparison for most; of a key that stands twice the
//! last counts.

use super::Document;
use super::tape::Value;
use crate::event::{Event, Identity, Odd, Reported, SignatureVersion, TlsVersion};

/// Names and numbers that AWS leaves out of failed sign-ins.
const HIDDEN: &str = "HIDDEN_DUE_TO_SECURITY_REASONS";

/// Reads the fields of `value` into `event`.
pub fn read<'a>(value: Value<'_, 'a>, fragment: &mut Document, event: &mut Event<'a>) {
    let mut digest = Digest::default();
    // Some services say there that a call failed, and nowhere else.
    let mut response_error = None;
    for (key, value) in value.members() {
        match key.len() {
            7 if key == "eventID" => event.id = text(value),
            7 if key == "eventId" => event.aggregated_id = text(value),
            8 if key == "addendum" => {
                event.is_correction = value.member("originalEventID").and_then(text).is_some()
            }
            9 if key == "eventTime" => event.time = text(value),
            9 if key == "eventName" => event.name = told(value, Odd::EVENT_NAME, &mut event.odd),
            9 if key == "awsRegion" => event.region = told(value, Odd::REGION, &mut event.odd),
            9 if key == "userAgent" => event.user_agent = told(value, Odd::USER_AGENT, &mut event.odd),
            9 if key == "errorCode" => event.error_code = told(value, Odd::ERROR_CODE, &mut event.odd),
            9 if key == "eventType" => event.event_type = told(value, Odd::EVENT_TYPE, &mut event.odd),
            9 if key == "resources" => event.resource_arn = first_arn(value),
            8 if key == "logFiles" => digest.log_files = value.elements().is_some(),
            10 if key == "tlsDetails" => event.tls = tls(value),
            11 if key == "eventSource" => event.source = told(value, Odd::EVENT_SOURCE, &mut event.odd),
            12 if key == "userIdentity" => event.identity = identity(value, &mut event.odd),
            13 if key == "eventCategory" => event.category = text(value),
            13 if key == "vpcEndpointId" => event.vpc_endpoint_id = text(value),
            14 if key == "insightDetails" => event.has_insight = value.is_object(),
            14 if key == "digestS3Object" => digest.object = true,
            15 if key == "sourceIPAddress" => event.source_ip = told(value, Odd::SOURCE_IP, &mut event.odd),
            15 if key == "digestStartTime" => digest.start = true,
            16 if key == "responseElements" => response_error = value.member("errorCode").and_then(text),
            17 if key == "requestParameters" => event.bucket = value.member("bucketName").and_then(text),
            18 if key == "recipientAccountId" => {
                event.recipient_account_id = told(value, Odd::RECIPIENT, &mut event.odd)
            }
            19 if key == "additionalEventData" => additional(value, fragment, event),
            28 if key == "sessionCredentialFromConsole" => event.from_console = is_true(value),
            _ => {}
        }
    }
    event.is_failed = event.error_code.or(response_error).is_some();
    event.is_digest = event.time.is_none() && digest.log_files && (digest.object || digest.start);
}

#[derive(Default)]
struct Digest {
    log_files: bool,
    object: bool,
    start: bool,
}

fn identity<'a>(value: Value<'_, 'a>, odd: &mut Odd) -> Identity<'a> {
    let mut identity = Identity::default();
    for (key, value) in value.members() {
        match key.len() {
            3 if key == "arn" => identity.arn = told(value, Odd::ARN, odd),
            4 if key == "type" => identity.kind = told(value, Odd::IDENTITY_TYPE, odd),
            8 if key == "userName" => identity.user_name = text(value),
            9 if key == "accountId" => identity.account_id = told(value, Odd::IDENTITY_ACCOUNT, odd),
            9 if key == "invokedBy" => identity.invoked_by = told(value, Odd::INVOKED_BY, odd),
            10 if key == "onBehalfOf" => identity.on_behalf_of = value.member("userId").and_then(text),
            11 if key == "principalId" => identity.principal_id = text(value),
            11 if key == "accessKeyId" => identity.access_key_id = text(value),
            14 if key == "sessionContext" => {
                let issuer = value.member("sessionIssuer");
                identity.issuer_arn = issuer.and_then(|issuer| issuer.member("arn")).and_then(text);
            }
            16 if key == "identityProvider" => identity.identity_provider = text(value),
            _ => {}
        }
    }
    identity
}

/// `additionalEventData` is an object or, of some services, the text of one.
fn additional(value: Value<'_, '_>, fragment: &mut Document, event: &mut Event<'_>) {
    match value.as_str() {
        None => (event.signature, event.is_presigned) = signing(value),
        Some(text) => {
            let signing = fragment.read(text.as_bytes(), signing);
            (event.signature, event.is_presigned) = signing.unwrap_or_default();
        }
    }
}

fn signing(value: Value<'_, '_>) -> (Reported<SignatureVersion>, bool) {
    let (mut signature, mut is_presigned) = (Reported::Missing, false);
    for (key, value) in value.members() {
        match key {
            "SignatureVersion" => signature = text(value).map_or(Reported::Missing, SignatureVersion::read),
            "AuthenticationMethod" => is_presigned = text(value) == Some("QueryString"),
            _ => {}
        }
    }
    (signature, is_presigned)
}

fn tls(value: Value<'_, '_>) -> Reported<TlsVersion> {
    value.member("tlsVersion").and_then(text).map_or(Reported::Missing, TlsVersion::read)
}

fn first_arn<'a>(value: Value<'_, 'a>) -> Option<&'a str> {
    value.elements()?.find_map(|resource| {
        let arn = resource.member("ARN").and_then(text);
        arn.or_else(|| resource.member("arn").and_then(text)).filter(|arn| arn.starts_with("arn:"))
    })
}

fn is_true(value: Value<'_, '_>) -> bool {
    value.as_bool() == Some(true) || value.as_str() == Some("true")
}

/// A string that says something; anything else that is there is odd.
fn told<'a>(value: Value<'_, 'a>, which: Odd, odd: &mut Odd) -> Option<&'a str> {
    let told = text(value);
    if told.is_none() {
        odd.add(which);
    }
    told
}

/// A string that says something.
fn text<'a>(value: Value<'_, 'a>) -> Option<&'a str> {
    value.as_str().filter(|text| !text.is_empty() && *text != HIDDEN)
}
