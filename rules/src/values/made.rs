//! Fields that Falco's plugin makes of several values.

use super::{Value, Visit, at, first_text, known_text, sum};
use crate::event::{Event, Json, JsonKind, Known};
use crate::field::Made;

pub(super) fn any<E: Event>(made: Made, event: &E, visit: &mut Visit<'_>) -> bool {
    let mut text = |text: Option<&str>| text.is_some_and(|text| visit(Value::Text(text)));
    match made {
        Made::ShortSource => text(known_text(event, Known::EventSource, &["eventSource"]).map(short)),
        Made::User => text(user(event)),
        Made::OriginalUser => text(original_user(event)),
        Made::Info => text(Some(&info(event))),
        Made::ReadOnly => text(read_only(event)),
        Made::S3Uri => text(s3_uri(event).as_deref()),
        Made::InstanceName => text(instance_name(event)),
        Made::ImageId => text(image_ids(event).first().copied()),
        Made::ImageIds => image_ids(event).iter().any(|id| visit(Value::Text(id))),
        Made::Number => visit(Value::Number(event.number().min(i64::MAX as u64).cast_signed())),
        Made::Nanoseconds => visit(Value::Number(event.time_s().saturating_mul(1_000_000_000))),
        Made::Iso8601 => text(first_text(event, &[&["eventTime"]])),
    }
}

fn short(source: &str) -> &str {
    source.strip_suffix(".amazonaws.com").filter(|short| !short.is_empty()).unwrap_or(source)
}

fn string_at<'e, E: Event>(event: &'e E, path: &[&str]) -> Option<&'e str> {
    match at(event.root(), path)?.kind() {
        JsonKind::Text(text) => Some(text),
        _ => None,
    }
}

fn user<E: Event>(event: &E) -> Option<&str> {
    match string_at(event, &["userIdentity", "type"])? {
        "Root" | "IAMUser" => string_at(event, &["userIdentity", "userName"]),
        "AWSService" => string_at(event, &["userIdentity", "invokedBy"]),
        "AssumedRole" => {
            let issuer = string_at(event, &["userIdentity", "sessionContext", "sessionIssuer", "userName"]);
            Some(issuer.unwrap_or("AssumedRole"))
        }
        "AWSAccount" => Some("AWSAccount"),
        "FederatedUser" => Some("FederatedUser"),
        _ => None,
    }
}

fn original_user<E: Event>(event: &E) -> Option<&str> {
    if string_at(event, &["userIdentity", "type"])? != "AssumedRole" {
        return string_at(event, &["userIdentity", "userName"]);
    }
    let mut parts = string_at(event, &["userIdentity", "arn"]).unwrap_or_default().split('/').skip(2);
    match (parts.next(), parts.next()) {
        (Some(session), None) => Some(session),
        _ => string_at(event, &["userIdentity", "principalId"])?.split(':').nth(1),
    }
}

/// Who, from where, what, and on what.
fn info<E: Event>(event: &E) -> String {
    let Some(user) = user(event) else {
        return "<invalid cloudtrail event: userIdentity field missing>".to_owned();
    };
    let Some(ip) = first_text(event, &[&["sourceIPAddress"]]) else {
        return "<invalid cloudtrail event: sourceIPAddress field missing>".to_owned();
    };
    let Some(name) = first_text(event, &[&["eventName"]]) else {
        return "<invalid cloudtrail event: eventName field missing>".to_owned();
    };
    let failed = if first_text(event, &[&["errorCode"]]).is_some() { "!" } else { "" };
    let direction = if read_only(event) == Some("false") { "→" } else { "←" };
    let mut info = format!("{user} via {ip} {failed}{direction} {name}");
    if let Some(bytes) = sum(
        event,
        &[&["additionalEventData", "bytesTransferredIn"], &["additionalEventData", "bytesTransferredOut"]],
    ) {
        info += &format!(" Size={bytes}");
    }
    let request = |key| string_at(event, &["requestParameters", key]);
    let object = s3_uri(event).map(|uri| format!(" URI={uri}"));
    let object = object.or_else(|| request("bucketName").map(|bucket| format!(" Bucket={bucket}")));
    let object = object.or_else(|| request("key").map(|key| format!(" Key={key}")));
    let object = object.or_else(|| request("Host").map(|host| format!(" Host={host}")));
    info + &object.unwrap_or_default()
}

/// Verbs of calls that change something, for events that do not say.
pub const CHANGES: [&str; 44] = [
    "Activate",
    "Add",
    "Admin",
    "Assign",
    "Associate",
    "Attach",
    "Cancel",
    "Close",
    "Create",
    "Delete",
    "Deregister",
    "Destroy",
    "Detach",
    "Disable",
    "Disassociate",
    "Enable",
    "Initialize",
    "Modify",
    "Open",
    "Purchase",
    "Put",
    "Reboot",
    "Register",
    "Remove",
    "Run",
    "Set",
    "Start",
    "Stop",
    "Suspend",
    "Terminate",
    "Unassign",
    "Unlink",
    "Update",
    "Upgrade",
    "Wipe",
    "Import",
    "Restore",
    "Revoke",
    "Authorize",
    "Grant",
    "Tag",
    "Untag",
    "Send",
    "Invoke",
];

fn read_only<E: Event>(event: &E) -> Option<&str> {
    match at(event.root(), &["readOnly"]).map(Json::kind) {
        Some(JsonKind::Truth(true) | JsonKind::Text("true")) => Some("true"),
        Some(_) => Some("false"),
        None => {
            let name = first_text(event, &[&["eventName"]])?;
            let changes = CHANGES.iter().any(|verb| name.starts_with(verb));
            Some(if changes { "false" } else { "true" })
        }
    }
}

fn s3_uri<E: Event>(event: &E) -> Option<String> {
    let bucket = string_at(event, &["requestParameters", "bucketName"])?;
    let key = string_at(event, &["requestParameters", "key"])?;
    Some(format!("s3://{bucket}/{key}"))
}

fn instance_name<E: Event>(event: &E) -> Option<&str> {
    let mut name = None;
    at(event.root(), &["requestParameters", "tagSpecificationSet", "items"])?.any_element(&mut |item| {
        let is_instance = item.member("resourceType").map(Json::kind) == Some(JsonKind::Text("instance"));
        is_instance
            && item.member("tags").is_some_and(|tags| {
                tags.any_element(&mut |tag| {
                    let is_name = tag.member("key").map(Json::kind) == Some(JsonKind::Text("Name"));
                    let value = tag.member("value").map(Json::kind);
                    if let (true, Some(JsonKind::Text(value))) = (is_name, value) {
                        name = Some(value);
                    }
                    name.is_some()
                })
            })
    });
    name.filter(|name| !name.is_empty())
}

fn image_ids<E: Event>(event: &E) -> Vec<&str> {
    let mut ids = Vec::new();
    for place in
        [["responseElements", "instancesSet", "items"], ["requestParameters", "instancesSet", "items"]]
    {
        let Some(items) = at(event.root(), &place) else { continue };
        items.any_element(&mut |item| {
            if let Some(JsonKind::Text(id)) = item.member("imageId").map(Json::kind)
                && !ids.contains(&id)
            {
                ids.push(id);
            }
            false
        });
    }
    ids
}
