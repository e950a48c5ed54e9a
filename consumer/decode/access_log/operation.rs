//! What CloudTrail calls an operation of an access log ("Amazon S3 CloudTrail events"; the operations as they stand in
//! logs).

use std::borrow::Cow;

/// An operation by the name of its event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation<'a> {
    /// Such as `GetObject`; the operation itself if it is none that is known.
    pub event_name: Cow<'a, str>,
    /// It reads or writes objects, so that CloudTrail has it among data events.
    pub is_data: bool,
    /// It changes nothing.
    pub is_read_only: bool,
    /// It is part of a request that has a line of its own.
    pub is_part: bool,
}

impl<'a> Operation<'a> {
    /// Of the operation as the log names it; `has_key` tells an object's from a bucket's.
    pub fn of(operation: &'a str, has_key: bool) -> Self {
        let mut parts = operation.splitn(3, '.');
        let (protocol, method, resource) =
            (parts.next(), parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let is_request = matches!(protocol, Some("REST" | "WEBSITE"));
        let is_read_only = is_request && matches!(method, "GET" | "HEAD" | "OPTIONS");
        let is_part = operation == "BATCH.DELETE.OBJECT";
        let of_objects = if is_request { of_objects(method, resource, has_key) } else { None };
        let name = match of_objects {
            Some(name) => Some(Cow::Borrowed(name)),
            None if is_part => Some(Cow::Borrowed("DeleteObject")),
            None if is_request => of_bucket(method, resource).map(Cow::Owned),
            None => None,
        };
        let is_data =
            is_part || of_objects.is_some_and(|name| !matches!(name, "CreateBucket" | "DeleteBucket"));
        Self { event_name: name.unwrap_or(Cow::Borrowed(operation)), is_data, is_read_only, is_part }
    }
}

/// Of objects, and of a bucket as a whole.
fn of_objects(method: &str, resource: &str, has_key: bool) -> Option<&'static str> {
    Some(match (method, resource) {
        ("GET", "OBJECT") => "GetObject",
        ("HEAD", "OBJECT") => "HeadObject",
        ("PUT", "OBJECT") => "PutObject",
        ("DELETE", "OBJECT") => "DeleteObject",
        ("COPY", "OBJECT" | "OBJECT_GET") => "CopyObject",
        ("POST", "MULTI_OBJECT_DELETE") => "DeleteObjects",
        ("POST", "RESTORE") => "RestoreObject",
        ("POST", "UPLOADS") => "CreateMultipartUpload",
        ("PUT", "PART") => "UploadPart",
        ("COPY", "PART" | "PART_GET") => "UploadPartCopy",
        ("POST", "UPLOAD") => "CompleteMultipartUpload",
        ("DELETE", "UPLOAD") => "AbortMultipartUpload",
        ("GET", "UPLOAD") => "ListParts",
        ("GET", "UPLOADS") => "ListMultipartUploads",
        ("GET", "OBJECT_TAGGING") => "GetObjectTagging",
        ("PUT", "OBJECT_TAGGING") => "PutObjectTagging",
        ("DELETE", "OBJECT_TAGGING") => "DeleteObjectTagging",
        ("GET", "OBJECT_ATTRIBUTES") => "GetObjectAttributes",
        ("GET", "ACL") if has_key => "GetObjectAcl",
        ("PUT", "ACL") if has_key => "PutObjectAcl",
        ("GET", "BUCKET") => "ListObjects",
        ("GET", "BUCKETVERSIONS") => "ListObjectVersions",
        ("HEAD", "BUCKET") => "HeadBucket",
        ("PUT", "BUCKET") => "CreateBucket",
        ("DELETE", "BUCKET") => "DeleteBucket",
        _ => return None,
    })
}

/// Of what a bucket is set to.
fn of_bucket(method: &str, resource: &str) -> Option<String> {
    let verb = match method {
        "GET" => "Get",
        "PUT" => "Put",
        "DELETE" => "Delete",
        _ => return None,
    };
    let setting = match resource {
        "ACCELERATE" => return Some(format!("{verb}AccelerateConfiguration")),
        "ACL" => "Acl",
        "BUCKETPOLICY" => "Policy",
        "CORS" => "Cors",
        "ENCRYPTION" => "Encryption",
        "LIFECYCLE" => "Lifecycle",
        "LOCATION" => "Location",
        "LOGGING_STATUS" => "Logging",
        "NOTIFICATION" => "Notification",
        "OBJECT_LOCK_CONFIGURATION" => "ObjectLockConfiguration",
        "OWNERSHIP_CONTROLS" => "OwnershipControls",
        "POLICY_STATUS" => "PolicyStatus",
        "PUBLIC_ACCESS_BLOCK" => "PublicAccessBlock",
        "REPLICATION" => "Replication",
        "REQUEST_PAYMENT" => "RequestPayment",
        "TAGGING" => "Tagging",
        "VERSIONING" => "Versioning",
        "WEBSITE" => "Website",
        _ => return None,
    };
    Some(format!("{verb}Bucket{setting}"))
}
