//! The fields of an event that are read, each where CloudTrail puts it.
//!
//! Two steps: [`find`] looks for the values by their keys, [`tell`] reads them. The first depends on keys and brackets
//! alone, so that its result serves all events of the same layout. Of a key that stands twice the last counts.

use super::Document;
use super::node::{Form, Leaf, Node};
use crate::event::{Event, Identity, Odd, Reported, SignatureVersion, TlsVersion};

/// Names and numbers that AWS leaves out of failed sign-ins.
const HIDDEN: &str = "HIDDEN_DUE_TO_SECURITY_REASONS";

/// A value that is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Place {
    Id,
    AggregatedId,
    /// `addendum.originalEventID`.
    OriginalId,
    Time,
    Name,
    Region,
    UserAgent,
    ErrorCode,
    /// `responseElements.errorCode`: some services say there that a call failed, and nowhere else.
    ResponseError,
    EventType,
    Source,
    Category,
    VpcEndpoint,
    Insight,
    SourceIp,
    Recipient,
    FromConsole,
    /// `requestParameters.bucketName`.
    Bucket,
    /// `additionalEventData`, an object or, of some services, the text of one.
    Additional,
    /// `additionalEventData.SignatureVersion`.
    Signature,
    /// `additionalEventData.AuthenticationMethod`.
    Authentication,
    /// `tlsDetails.tlsVersion`.
    Tls,
    LogFiles,
    DigestObject,
    DigestStart,
    IdentityType,
    PrincipalId,
    Arn,
    IdentityAccount,
    AccessKeyId,
    UserName,
    InvokedBy,
    IdentityProvider,
    /// `userIdentity.onBehalfOf.userId`.
    OnBehalfOf,
    /// `userIdentity.sessionContext.sessionIssuer.arn`.
    IssuerArn,
    /// `userIdentity.sessionContext.sessionIssuer.type`.
    IssuerType,
    /// What of `userIdentity`, its `sessionContext` and the `sessionIssuer` of that is an array.
    IdentityList,
}

/// How many places there are.
pub const PLACES: usize = Place::IdentityList as usize + 1;

/// Where the fields of an event are.
pub struct Fields<V> {
    /// The value at each place.
    pub at: [Option<V>; PLACES],
    /// Of each of `resources`: `ARN` and `arn`.
    pub resources: Vec<[Option<V>; 2]>,
}

impl<V: Copy> Fields<V> {
    fn set(&mut self, place: Place, value: Option<V>) {
        self.at[place as usize] = value;
    }

    /// The value at a place.
    pub fn get(&self, place: Place) -> Option<V> {
        self.at[place as usize]
    }
}

/// Looks for the fields of `event`.
pub fn find<'a, V: Node<'a>>(event: V) -> Fields<V> {
    let mut fields = Fields { at: [None; PLACES], resources: Vec::new() };
    event.each_member(|key, value| {
        let place = match key {
            "eventID" => Place::Id,
            "eventId" => Place::AggregatedId,
            "eventTime" => Place::Time,
            "eventName" => Place::Name,
            "awsRegion" => Place::Region,
            "userAgent" => Place::UserAgent,
            "errorCode" => Place::ErrorCode,
            "eventType" => Place::EventType,
            "eventSource" => Place::Source,
            "eventCategory" => Place::Category,
            "vpcEndpointId" => Place::VpcEndpoint,
            "insightDetails" => Place::Insight,
            "sourceIPAddress" => Place::SourceIp,
            "recipientAccountId" => Place::Recipient,
            "sessionCredentialFromConsole" => Place::FromConsole,
            "logFiles" => Place::LogFiles,
            "digestS3Object" => Place::DigestObject,
            "digestStartTime" => Place::DigestStart,
            _ => {
                find_within(key, value, &mut fields);
                return true;
            }
        };
        fields.set(place, Some(value));
        true
    });
    fields
}

fn find_within<'a, V: Node<'a>>(key: &str, value: V, fields: &mut Fields<V>) {
    match key {
        "addendum" => fields.set(Place::OriginalId, value.member("originalEventID")),
        "responseElements" => fields.set(Place::ResponseError, value.member("errorCode")),
        "requestParameters" => fields.set(Place::Bucket, value.member("bucketName")),
        "tlsDetails" => fields.set(Place::Tls, value.member("tlsVersion")),
        "additionalEventData" => {
            let [signature, authentication] = signing(value);
            fields.set(Place::Additional, Some(value));
            fields.set(Place::Signature, signature);
            fields.set(Place::Authentication, authentication);
        }
        "resources" => {
            fields.resources.clear();
            value.each_element(|resource| {
                fields.resources.push([resource.member("ARN"), resource.member("arn")]);
            });
        }
        "userIdentity" => find_identity(value, fields),
        _ => {}
    }
}

fn find_identity<'a, V: Node<'a>>(identity: V, fields: &mut Fields<V>) {
    fields.at[Place::IdentityType as usize..].fill(None);
    let lists = |value: V| value.form() == Form::Array;
    fields.set(Place::IdentityList, Some(identity).filter(|value| lists(*value)));
    identity.each_member(|key, value| {
        let place = match key {
            "type" => Place::IdentityType,
            "principalId" => Place::PrincipalId,
            "arn" => Place::Arn,
            "accountId" => Place::IdentityAccount,
            "accessKeyId" => Place::AccessKeyId,
            "userName" => Place::UserName,
            "invokedBy" => Place::InvokedBy,
            "identityProvider" => Place::IdentityProvider,
            "onBehalfOf" => {
                fields.set(Place::OnBehalfOf, value.member("userId"));
                return true;
            }
            "sessionContext" => {
                let issuer = value.member("sessionIssuer");
                fields.set(Place::IssuerArn, issuer.and_then(|issuer| issuer.member("arn")));
                fields.set(Place::IssuerType, issuer.and_then(|issuer| issuer.member("type")));
                let list = [Some(value), issuer].into_iter().flatten().find(|value| lists(*value));
                fields.set(Place::IdentityList, list);
                return true;
            }
            _ => return true,
        };
        fields.set(place, Some(value));
        true
    });
}

/// `SignatureVersion` and `AuthenticationMethod` of `additionalEventData`.
fn signing<'a, V: Node<'a>>(additional: V) -> [Option<V>; 2] {
    let mut found = [None; 2];
    additional.each_member(|key, value| {
        match key {
            "SignatureVersion" => found[0] = Some(value),
            "AuthenticationMethod" => found[1] = Some(value),
            _ => {}
        }
        true
    });
    found
}

/// Reads what was found into `event`. `at` gives the value at a place.
#[inline]
pub fn tell<'a, V: Leaf<'a>>(
    at: impl Fn(Place) -> Option<V>,
    mut resources: impl Iterator<Item = [Option<V>; 2]>,
    fragment: &mut Document,
    event: &mut Event<'a>,
) {
    let text = |place| at(place).and_then(says);
    let mut odd = Odd::default();
    // A text that says something; anything else that is there is odd.
    let mut told = |place, which| {
        let value = at(place)?;
        let told = says(value);
        if told.is_none() {
            odd.add(which);
        }
        told
    };
    event.name = told(Place::Name, Odd::EVENT_NAME);
    event.region = told(Place::Region, Odd::REGION);
    event.user_agent = told(Place::UserAgent, Odd::USER_AGENT);
    event.error_code = told(Place::ErrorCode, Odd::ERROR_CODE);
    event.event_type = told(Place::EventType, Odd::EVENT_TYPE);
    event.source = told(Place::Source, Odd::EVENT_SOURCE);
    event.source_ip = told(Place::SourceIp, Odd::SOURCE_IP);
    event.recipient_account_id = told(Place::Recipient, Odd::RECIPIENT);
    event.identity = Identity {
        kind: told(Place::IdentityType, Odd::IDENTITY_TYPE),
        arn: told(Place::Arn, Odd::ARN),
        account_id: told(Place::IdentityAccount, Odd::IDENTITY_ACCOUNT),
        invoked_by: told(Place::InvokedBy, Odd::INVOKED_BY),
        principal_id: text(Place::PrincipalId),
        access_key_id: text(Place::AccessKeyId),
        user_name: text(Place::UserName),
        identity_provider: text(Place::IdentityProvider),
        on_behalf_of: text(Place::OnBehalfOf),
        issuer_arn: text(Place::IssuerArn),
        issuer_type: told(Place::IssuerType, Odd::ISSUER_TYPE),
    };
    if at(Place::IdentityList).is_some() {
        odd.add(Odd::IDENTITY);
    }
    event.odd = odd;
    event.id = text(Place::Id);
    event.aggregated_id = text(Place::AggregatedId);
    event.time = text(Place::Time);
    event.category = text(Place::Category);
    event.vpc_endpoint_id = text(Place::VpcEndpoint);
    event.bucket = text(Place::Bucket);
    event.resource_arn = resources.find_map(|[upper, lower]| {
        let arn = upper.and_then(says).or_else(|| lower.and_then(says));
        arn.filter(|arn| arn.starts_with("arn:"))
    });
    event.tls = text(Place::Tls).map_or(Reported::Missing, TlsVersion::read);
    let form = |place| at(place).map(Leaf::form);
    (event.signature, event.is_presigned) = match at(Place::Additional).map(|value| (value.form(), value)) {
        Some((Form::Text, value)) => signed_within(value.text().unwrap_or_default(), fragment),
        _ => signed(text(Place::Signature), text(Place::Authentication)),
    };
    event.has_insight = form(Place::Insight) == Some(Form::Object);
    event.is_correction = text(Place::OriginalId).is_some();
    event.is_failed = event.error_code.or_else(|| text(Place::ResponseError)).is_some();
    event.from_console =
        at(Place::FromConsole).is_some_and(|value| value.is_true() || value.text() == Some("true"));
    event.is_digest = event.time.is_none()
        && form(Place::LogFiles) == Some(Form::Array)
        && (at(Place::DigestObject).is_some() || at(Place::DigestStart).is_some());
}

/// `additionalEventData` that is the text of an object.
fn signed_within(text: &str, fragment: &mut Document) -> (Reported<SignatureVersion>, bool) {
    let signed = fragment.read(text.as_bytes(), |additional| {
        let [signature, authentication] = signing(additional);
        signed(signature.and_then(says), authentication.and_then(says))
    });
    signed.unwrap_or_default()
}

fn signed(signature: Option<&str>, authentication: Option<&str>) -> (Reported<SignatureVersion>, bool) {
    (signature.map_or(Reported::Missing, SignatureVersion::read), authentication == Some("QueryString"))
}

/// A string that says something.
#[inline]
fn says<'a>(value: impl Leaf<'a>) -> Option<&'a str> {
    value.text().filter(|text| !text.is_empty() && *text != HIDDEN)
}
