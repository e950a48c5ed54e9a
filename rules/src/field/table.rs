//! The named fields. Names and meanings of `ct.`, `s3.`, `ec2.`, `ecr.`, `iam.` and `evt.` are those of Falco's
//! cloudtrail plugin; the last block is our own.

use super::Kind;
use crate::event::{AtHand, Own};

/// A named field.
#[derive(Debug, PartialEq)]
pub struct Spec {
    /// The name.
    pub name: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// Where its values come from.
    pub place: Place,
}

/// Where a field's values come from.
#[derive(Debug, PartialEq)]
pub enum Place {
    /// The string at one of these paths, the first that is there. A value that is not a string is an empty one.
    Text(&'static [&'static [&'static str]]),
    /// The same; and the event may have it at hand.
    AtHand(AtHand, &'static [&'static [&'static str]]),
    /// Whatever stands there, as compact JSON.
    Json(&'static [&'static str]),
    /// `true` or `false`, written as a truth value or as text.
    Truth(&'static [&'static str]),
    /// The sum of the numbers at these paths.
    Sum(&'static [&'static [&'static str]]),
    /// 1 if the call has this name, else nothing; `None`: any that is neither GetObject nor PutObject.
    Counts(Option<&'static str>),
    /// Made of several.
    Made(Made),
    /// What the event's own judgement says.
    Own(Own),
}

/// Fields that are made of several values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// `eventSource` without `.amazonaws.com`.
    ShortSource,
    /// Who called, by the identity's type.
    User,
    /// Who called before a role was assumed.
    OriginalUser,
    /// Who, from where, what.
    Info,
    /// Whether the call only reads; where it is not said, by its name.
    ReadOnly,
    /// `s3://BUCKET/KEY`.
    S3Uri,
    /// The `Name` tag of instances.
    InstanceName,
    /// The first image of instances.
    ImageId,
    /// All images of instances.
    ImageIds,
    /// The number of the call in its shard since the start.
    Number,
    /// Event time in nanoseconds since 1970.
    Nanoseconds,
    /// Event time as RFC 3339.
    Iso8601,
}

const fn text(name: &'static str, paths: &'static [&'static [&'static str]]) -> Spec {
    Spec { name, kind: Kind::Text, place: Place::Text(paths) }
}

const fn at_hand(name: &'static str, at_hand: AtHand, paths: &'static [&'static [&'static str]]) -> Spec {
    Spec { name, kind: Kind::Text, place: Place::AtHand(at_hand, paths) }
}

const fn json(name: &'static str, path: &'static [&'static str]) -> Spec {
    Spec { name, kind: Kind::Text, place: Place::Json(path) }
}

const fn truth(name: &'static str, path: &'static [&'static str]) -> Spec {
    Spec { name, kind: Kind::Text, place: Place::Truth(path) }
}

const fn sum(name: &'static str, paths: &'static [&'static [&'static str]]) -> Spec {
    Spec { name, kind: Kind::Number, place: Place::Sum(paths) }
}

const fn made(name: &'static str, made: Made) -> Spec {
    Spec { name, kind: Kind::Text, place: Place::Made(made) }
}

const fn own(name: &'static str, own: Own) -> Spec {
    Spec { name, kind: Kind::Text, place: Place::Own(own) }
}

/// All named fields.
pub const FIELDS: &[Spec] = &[
    text("ct.id", &[&["eventID"]]),
    at_hand("ct.error", AtHand::ErrorCode, &[&["errorCode"]]),
    text("ct.errormessage", &[&["errorMessage"]]),
    text("ct.time", &[&["eventTime"]]),
    at_hand("ct.src", AtHand::EventSource, &[&["eventSource"]]),
    made("ct.shortsrc", Made::ShortSource),
    at_hand("ct.name", AtHand::EventName, &[&["eventName"]]),
    made("ct.user", Made::User),
    made("ct.originaluser", Made::OriginalUser),
    at_hand(
        "ct.user.accountid",
        AtHand::AccountId,
        &[&["userIdentity", "accountId"], &["recipientAccountId"]],
    ),
    at_hand("ct.user.identitytype", AtHand::IdentityType, &[&["userIdentity", "type"]]),
    text("ct.user.principalid", &[&["userIdentity", "principalId"]]),
    at_hand("ct.user.arn", AtHand::Arn, &[&["userIdentity", "arn"]]),
    at_hand("ct.region", AtHand::Region, &[&["awsRegion"]]),
    text("ct.response.subnetid", &[&["responseElements", "subnetId"]]),
    text("ct.response.reservationid", &[&["responseElements", "reservationId"]]),
    json("ct.response", &["responseElements"]),
    json("ct.request", &["requestParameters"]),
    json("ct.additionaleventdata", &["additionalEventData"]),
    text("ct.request.availabilityzone", &[&["requestParameters", "availabilityZone"]]),
    text("ct.request.cluster", &[&["requestParameters", "cluster"]]),
    text("ct.request.functionname", &[&["requestParameters", "functionName"]]),
    text("ct.request.groupname", &[&["requestParameters", "groupName"]]),
    text("ct.request.host", &[&["requestParameters", "Host"]]),
    text("ct.request.name", &[&["requestParameters", "name"]]),
    text("ct.request.policy", &[&["requestParameters", "policy"]]),
    text("ct.request.reason", &[&["requestParameters", "reason"]]),
    text("ct.request.target", &[&["requestParameters", "target"]]),
    text("ct.request.serialnumber", &[&["requestParameters", "serialNumber"]]),
    text("ct.request.servicename", &[&["requestParameters", "serviceName"]]),
    text("ct.request.subnetid", &[&["requestParameters", "subnetId"]]),
    text("ct.request.taskdefinition", &[&["requestParameters", "taskDefinition"]]),
    text("ct.request.username", &[&["requestParameters", "userName"]]),
    text("ct.request.documentname", &[&["requestParameters", "documentName"]]),
    at_hand("ct.srcip", AtHand::SourceIp, &[&["sourceIPAddress"]]),
    at_hand("ct.useragent", AtHand::UserAgent, &[&["userAgent"]]),
    made("ct.info", Made::Info),
    truth("ct.managementevent", &["managementEvent"]),
    truth("ct.sessioncredentialfromconsole", &["sessionCredentialFromConsole"]),
    made("ct.readonly", Made::ReadOnly),
    text("ct.requestid", &[&["requestID"]]),
    text("ct.eventtype", &[&["eventType"]]),
    text("ct.apiversion", &[&["apiVersion"]]),
    json("ct.resources", &["resources"]),
    text("ct.recipientaccountid", &[&["recipientAccountId"]]),
    json("ct.serviceeventdetails", &["serviceEventDetails"]),
    text("ct.sharedeventid", &[&["sharedEventID"]]),
    text("ct.vpcendpointid", &[&["vpcEndpointId"]]),
    text("ct.eventcategory", &[&["eventCategory"]]),
    text("ct.addendum.reason", &[&["addendum", "reason"]]),
    text("ct.addendum.updatedfields", &[&["addendum", "updatedFields"]]),
    text("ct.addendum.originalrequestid", &[&["addendum", "originalRequestID"]]),
    text("ct.addendum.originaleventid", &[&["addendum", "originalEventID"]]),
    json("ct.edgedevicedetails", &["edgeDeviceDetails"]),
    text("ct.tlsdetails.tlsversion", &[&["tlsDetails", "tlsVersion"]]),
    text("ct.tlsdetails.ciphersuite", &[&["tlsDetails", "cipherSuite"]]),
    text("ct.tlsdetails.clientprovidedhostheader", &[&["tlsDetails", "clientProvidedHostHeader"]]),
    made("s3.uri", Made::S3Uri),
    text("s3.bucket", &[&["requestParameters", "bucketName"]]),
    text("s3.key", &[&["requestParameters", "key"]]),
    sum(
        "s3.bytes",
        &[&["additionalEventData", "bytesTransferredIn"], &["additionalEventData", "bytesTransferredOut"]],
    ),
    sum("s3.bytes.in", &[&["additionalEventData", "bytesTransferredIn"]]),
    sum("s3.bytes.out", &[&["additionalEventData", "bytesTransferredOut"]]),
    Spec { name: "s3.cnt.get", kind: Kind::Number, place: Place::Counts(Some("GetObject")) },
    Spec { name: "s3.cnt.put", kind: Kind::Number, place: Place::Counts(Some("PutObject")) },
    Spec { name: "s3.cnt.other", kind: Kind::Number, place: Place::Counts(None) },
    made("ec2.name", Made::InstanceName),
    made("ec2.imageid", Made::ImageId),
    made("ec2.imageids", Made::ImageIds),
    text("ecr.repository", &[&["requestParameters", "repositoryName"]]),
    text("ecr.imagetag", &[&["requestParameters", "imageTag"]]),
    text("ecr.image.tag", &[&["requestParameters", "imageTag"]]),
    text("iam.role", &[&["requestParameters", "roleName"]]),
    text("iam.policy", &[&["requestParameters", "policyName"], &["requestParameters", "policyArn"]]),
    Spec { name: "evt.num", kind: Kind::Number, place: Place::Made(Made::Number) },
    Spec { name: "evt.time", kind: Kind::Number, place: Place::Made(Made::Nanoseconds) },
    made("evt.time.iso8601", Made::Iso8601),
    made("evt.plugininfo", Made::Info),
    // Our own.
    own("ct.principal", Own::Principal),
    own("ct.session", Own::Session),
    own("ct.account", Own::Account),
    own("ct.signature.version", Own::SignatureVersion),
    own("ct.signature.presigned", Own::Presigned),
    own("ct.tls.version", Own::TlsVersion),
    own("ct.accesskey.id", Own::KeyId),
    own("ct.accesskey.kind", Own::KeyKind),
    own("ct.client.name", Own::ClientName),
    Spec { name: "ct.client.version", kind: Kind::Version, place: Place::Own(Own::ClientVersion) },
    own("ct.client.sigv4_default", Own::ClientSignsWithSigV4),
    own("ct.weakness", Own::Weakness),
    own("ct.bucket", Own::Bucket),
    Spec { name: "ct.srcip.net", kind: Kind::Network, place: Place::Own(Own::SourceNetwork) },
];

/// The field of this name.
pub fn spec(name: &str) -> Option<&'static Spec> {
    FIELDS.iter().find(|spec| spec.name == name)
}
