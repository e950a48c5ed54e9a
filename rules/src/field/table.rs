//! The named fields. Names and meanings of `ct.`, `s3.`, `ec2.`, `ecr.`, `iam.` and `evt.` are those of Falco's
//! cloudtrail plugin; the last block is our own.

use super::Kind;
use crate::event::Known;

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
    /// The same; and the event may know it. Without a path only the event knows it.
    Known(Known, &'static [&'static [&'static str]]),
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
    /// The call's weaknesses.
    Weakness,
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

const fn known(name: &'static str, known: Known, paths: &'static [&'static [&'static str]]) -> Spec {
    Spec { name, kind: Kind::Text, place: Place::Known(known, paths) }
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

const fn own(name: &'static str, own: Known) -> Spec {
    known(name, own, &[])
}

/// All named fields.
pub const FIELDS: &[Spec] = &[
    text("ct.id", &[&["eventID"]]),
    known("ct.error", Known::ErrorCode, &[&["errorCode"]]),
    text("ct.errormessage", &[&["errorMessage"]]),
    text("ct.time", &[&["eventTime"]]),
    known("ct.src", Known::EventSource, &[&["eventSource"]]),
    made("ct.shortsrc", Made::ShortSource),
    known("ct.name", Known::EventName, &[&["eventName"]]),
    made("ct.user", Made::User),
    made("ct.originaluser", Made::OriginalUser),
    text("ct.user.accountid", &[&["userIdentity", "accountId"], &["recipientAccountId"]]),
    known("ct.user.identitytype", Known::IdentityType, &[&["userIdentity", "type"]]),
    text("ct.user.principalid", &[&["userIdentity", "principalId"]]),
    known("ct.user.arn", Known::Arn, &[&["userIdentity", "arn"]]),
    known("ct.region", Known::Region, &[&["awsRegion"]]),
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
    known("ct.srcip", Known::SourceIp, &[&["sourceIPAddress"]]),
    known("ct.useragent", Known::UserAgent, &[&["userAgent"]]),
    made("ct.info", Made::Info),
    truth("ct.managementevent", &["managementEvent"]),
    truth("ct.sessioncredentialfromconsole", &["sessionCredentialFromConsole"]),
    made("ct.readonly", Made::ReadOnly),
    text("ct.requestid", &[&["requestID"]]),
    known("ct.eventtype", Known::EventType, &[&["eventType"]]),
    text("ct.apiversion", &[&["apiVersion"]]),
    json("ct.resources", &["resources"]),
    known("ct.recipientaccountid", Known::RecipientAccount, &[&["recipientAccountId"]]),
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
    own("ct.principal", Known::Principal),
    own("ct.session", Known::Session),
    own("ct.account", Known::Account),
    own("ct.signature.version", Known::SignatureVersion),
    own("ct.signature.presigned", Known::Presigned),
    own("ct.tls.version", Known::TlsVersion),
    own("ct.accesskey.id", Known::KeyId),
    own("ct.accesskey.kind", Known::KeyKind),
    own("ct.client.name", Known::ClientName),
    Spec { name: "ct.client.version", kind: Kind::Version, place: Place::Known(Known::ClientVersion, &[]) },
    own("ct.client.sigv4_default", Known::ClientSignsWithSigV4),
    Spec { name: "ct.weakness", kind: Kind::Text, place: Place::Weakness },
    own("ct.bucket", Known::Bucket),
    known("ct.invokedby", Known::InvokedBy, &[&["userIdentity", "invokedBy"]]),
    Spec {
        name: "ct.srcip.net",
        kind: Kind::Network,
        place: Place::Known(Known::SourceIp, &[&["sourceIPAddress"]]),
    },
];

/// The field of this name.
pub fn spec(name: &str) -> Option<&'static Spec> {
    FIELDS.iter().find(|spec| spec.name == name)
}
