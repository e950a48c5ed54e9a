"""S3 server access logs, as the check on trailmeter: a line becomes the event that CloudTrail would have written of the request."""

import datetime
import re
import urllib.parse

HEAD = re.compile(r"[!-~]+ [!-~]+ \[[0-9]{2}/[A-Za-z]{3}/[0-9]{4}:[0-9]{2}:[0-9]{2}:[0-9]{2} [+-][0-9]{4}\] ")
# Request, referer and user agent are the caller's words and may have quotes in them; what S3 says stands behind the last one.
LINE = re.compile(
    r"(\S+) (?P<bucket>\S+) \[(?P<time>[^\]]*)\] (?P<ip>\S+) (?P<requester>\S+) (?P<id>\S+) (?P<operation>\S+) (?P<key>\S+) "
    r'(?P<request>".*?"|[^" ]\S*) (?P<status>[0-9]{3}|-) (?P<error>\S+) (\S+) (\S+) (\S+) (\S+) '
    r'(?P<referer>".*?"|[^" ]\S*) (?P<agent>".*"|[^" ]\S*)(?P<behind>[^"]*)')
BEHIND = ("version", "host_id", "signature", "cipher", "authentication", "host", "tls")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
TIME = re.compile(r"([0-9]{2})/([A-Za-z]{3})/([0-9]{4}):([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})")

# Operation -> the name of CloudTrail's event: of an object (or of no key in particular).
NAMES = {
    "GET.OBJECT": "GetObject", "HEAD.OBJECT": "HeadObject", "PUT.OBJECT": "PutObject", "DELETE.OBJECT": "DeleteObject",
    "COPY.OBJECT": "CopyObject", "COPY.OBJECT_GET": "CopyObject", "POST.MULTI_OBJECT_DELETE": "DeleteObjects",
    "POST.RESTORE": "RestoreObject", "POST.UPLOADS": "CreateMultipartUpload", "PUT.PART": "UploadPart",
    "COPY.PART": "UploadPartCopy", "COPY.PART_GET": "UploadPartCopy", "POST.UPLOAD": "CompleteMultipartUpload",
    "DELETE.UPLOAD": "AbortMultipartUpload", "GET.UPLOAD": "ListParts", "GET.UPLOADS": "ListMultipartUploads",
    "GET.OBJECT_TAGGING": "GetObjectTagging", "PUT.OBJECT_TAGGING": "PutObjectTagging",
    "DELETE.OBJECT_TAGGING": "DeleteObjectTagging", "GET.OBJECT_ATTRIBUTES": "GetObjectAttributes", "GET.BUCKET": "ListObjects",
    "GET.BUCKETVERSIONS": "ListObjectVersions", "HEAD.BUCKET": "HeadBucket", "PUT.BUCKET": "CreateBucket",
    "DELETE.BUCKET": "DeleteBucket"}
SETTINGS = {
    "ACL": "BucketAcl", "BUCKETPOLICY": "BucketPolicy", "CORS": "BucketCors", "ENCRYPTION": "BucketEncryption",
    "LIFECYCLE": "BucketLifecycle", "LOCATION": "BucketLocation", "LOGGING_STATUS": "BucketLogging",
    "NOTIFICATION": "BucketNotification", "OBJECT_LOCK_CONFIGURATION": "BucketObjectLockConfiguration",
    "OWNERSHIP_CONTROLS": "BucketOwnershipControls", "POLICY_STATUS": "BucketPolicyStatus",
    "PUBLIC_ACCESS_BLOCK": "BucketPublicAccessBlock", "REPLICATION": "BucketReplication",
    "REQUEST_PAYMENT": "BucketRequestPayment", "TAGGING": "BucketTagging", "VERSIONING": "BucketVersioning",
    "WEBSITE": "BucketWebsite", "ACCELERATE": "AccelerateConfiguration"}


def begins(string):
    """Is this the text of an access log?"""
    return HEAD.match(string) is not None


def event_name(operation, key):
    if operation == "BATCH.DELETE.OBJECT":
        return "DeleteObject"
    protocol, _, rest = operation.partition(".")
    if protocol not in ("REST", "WEBSITE"):
        return operation
    if rest in NAMES:
        return NAMES[rest]
    verb, _, setting = rest.partition(".")
    if verb not in ("GET", "PUT", "DELETE") or setting not in SETTINGS:
        return operation
    if setting == "ACL" and key and verb != "DELETE":
        return verb.capitalize() + "ObjectAcl"
    return verb.capitalize() + SETTINGS[setting]


def event_time(string):
    """In UTC, as CloudTrail writes it; what is no time stays as it is."""
    found = TIME.fullmatch(string)
    try:
        day, month, year, hour, minute, second = (
            MONTHS.index(part) + 1 if part.isalpha() else int(part) for part in found.groups()[:6])
        at = datetime.datetime(year, month, day, hour, minute, second)
    except (AttributeError, ValueError):
        return string
    ahead = datetime.timedelta(hours=int(found[8]), minutes=int(found[9]))
    at = at - ahead if found[7] == "+" else at + ahead
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def identity(requester, operation, key_id):
    if requester is None:
        if (operation or "").startswith("S3."):
            return {"type": "AWSService", "invokedBy": "s3.amazonaws.com"}
        return {"type": "AWSAccount", "accountId": "anonymous"}
    if requester.startswith("svc:"):
        return {"type": "AWSService", "invokedBy": requester[4:]}
    if requester == "AmazonS3":
        return {"type": "AWSService", "invokedBy": "s3.amazonaws.com"}
    parts = requester.split(":", 5)
    if parts[0] != "arn":
        return {"type": "AWSAccount", "principalId": requester, "accessKeyId": key_id}
    kinds = {"user": "IAMUser", "assumed-role": "AssumedRole", "federated-user": "FederatedUser", "role": "Role", "root": "Root"}
    resource = parts[5] if len(parts) == 6 else ""
    kind = kinds.get(resource.split("/")[0], "Unknown")
    account = parts[4] if len(parts) > 4 else ""
    name = resource.rsplit("/", 1)[1] if kind == "IAMUser" and "/" in resource else None
    return {"type": kind, "arn": requester, "accountId": account, "accessKeyId": key_id, "userName": name}


def region(host):
    found = re.fullmatch(r"(?:.*\.)?(?:s3-website-|s3-)?([a-z]{2}(?:-[a-z]+)+-[0-9]+)\.amazonaws\.com(?:\.cn)?", host or "")
    return found and found[1]


def event(string):
    """The event of a line, None if it is not one."""
    found = LINE.fullmatch(string)
    if not found:
        return None
    said = {name: None if value in (None, "-", "") else value for name, value in found.groupdict().items()}
    for name in ("request", "referer", "agent"):
        if said[name] and said[name].startswith('"'):
            said[name] = said[name][1:-1]
        said[name] = None if said[name] in (None, "-", "") else said[name]
    behind = [None if word == "-" else word for word in found["behind"].split()]
    said |= dict(zip(BEHIND, behind + [None] * len(BEHIND)))
    key_id = None
    if said["authentication"] == "QueryString":
        link = re.search(r"\?(?:.*[&])?(?:X-Amz-Credential|AWSAccessKeyId)=([A-Za-z0-9]+)", said["request"] or "")
        key_id = link and link[1]
    operation = said["operation"]
    is_part = operation == "BATCH.DELETE.OBJECT"
    status = said["status"] if said["status"] and said["status"][0] in "45" else None
    identifier = said["id"]
    if identifier and is_part and said["key"]:
        identifier += "/" + said["key"]
    made = {
        "eventID": identifier,
        "eventTime": event_time(found["time"]),
        "eventSource": "s3.amazonaws.com",
        "eventName": operation and event_name(operation, said["key"]),
        "eventType": "AwsApiCall",
        "awsRegion": region(said["host"]),
        "sourceIPAddress": said["ip"],
        "userAgent": said["agent"],
        "errorCode": said["error"] or status,
        "userIdentity": identity(said["requester"], operation, key_id),
        "requestParameters": {"bucketName": said["bucket"], "key": said["key"] and urllib.parse.unquote(said["key"])},
        "additionalEventData": {"SignatureVersion": said["signature"], "AuthenticationMethod": said["authentication"]},
        "tlsDetails": {"tlsVersion": said["tls"]},
    }
    if is_part and said["id"]:
        made["addendum"] = {"originalEventID": said["id"]}
    return made
