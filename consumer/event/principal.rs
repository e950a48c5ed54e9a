//! Who called: the durable identity behind an event, without what changes from session to session.

use super::{Event, Identity, UNKNOWN};

/// The principal of anonymous requests.
pub const ANONYMOUS: &str = "anonymous";

/// The principal of an event. Most stand in the event as they are; the others are written to `scratch`.
pub fn principal<'s, 'a: 's>(event: &Event<'a>, scratch: &'s mut String) -> &'s str {
    scratch.clear();
    let identity = &event.identity;
    let named = match identity.kind {
        Some("IAMUser" | "Role") => identity.arn,
        Some("AssumedRole") if identity.issuer_arn.is_some() => identity.issuer_arn,
        Some("AssumedRole") => assumed_role(identity.arn).map(|role| {
            write(scratch, &["arn:", role.partition, ":iam::", role.account, ":role/", role.name])
        }),
        Some("Root") => {
            Some(write(scratch, &["arn:", partition(event), ":iam::", event.account_id(), ":root"]))
        }
        Some("FederatedUser") => identity.issuer_arn.or(identity.arn),
        Some("AWSService") => identity.invoked_by,
        Some("AWSAccount") => Some(account(event, scratch)),
        Some("WebIdentityUser" | "SAMLUser") => match (identity.identity_provider, identity.user_name) {
            (Some(provider), Some(user)) => Some(write(scratch, &[provider, "/", user])),
            _ => identity.principal_id,
        },
        Some("IdentityCenterUser") => match identity.on_behalf_of {
            Some(user) => Some(write(scratch, &["identitycenter:", user])),
            None => identity.principal_id,
        },
        _ => None,
    };
    named.unwrap_or_else(|| fallback(identity))
}

/// The name of an assumed role's session.
pub fn session<'a>(identity: &Identity<'a>) -> Option<&'a str> {
    let (_, rest) = identity.arn?.split_once(":assumed-role/")?;
    rest.split_once('/').map(|(_, session)| session).filter(|session| !session.is_empty())
}

/// Whether the caller is anonymous: outside every organisation.
pub fn is_anonymous(identity: &Identity<'_>) -> bool {
    identity.kind == Some("AWSAccount")
        && matches!(identity.account_id, Some("anonymous" | "ANONYMOUS_PRINCIPAL"))
}

fn fallback<'a>(identity: &Identity<'a>) -> &'a str {
    identity.arn.or(identity.user_name).or(identity.principal_id).or(identity.invoked_by).unwrap_or(UNKNOWN)
}

fn account<'s, 'a: 's>(event: &Event<'a>, scratch: &'s mut String) -> &'s str {
    if is_anonymous(&event.identity) {
        return ANONYMOUS;
    }
    let before_colon = |id: &'a str| id.split(':').next().filter(|part| !part.is_empty());
    match event.identity.principal_id.and_then(before_colon) {
        Some(principal_id) => principal_id,
        None => write(scratch, &["account:", event.account_id()]),
    }
}

struct AssumedRole<'a> {
    partition: &'a str,
    account: &'a str,
    name: &'a str,
}

/// Takes `arn:P:sts::A:assumed-role/R/S` apart; none if it is not of that form.
fn assumed_role(arn: Option<&str>) -> Option<AssumedRole<'_>> {
    let mut parts = arn?.splitn(6, ':');
    let (prefix, partition, service) = (parts.next()?, parts.next()?, parts.next()?);
    let (_region, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
    let (name, session) = resource.strip_prefix("assumed-role/")?.split_once('/')?;
    let is_whole = prefix == "arn" && service == "sts" && !name.is_empty() && !session.is_empty();
    is_whole.then_some(AssumedRole { partition, account, name })
}

/// The partition of the ARNs in the event.
fn partition<'a>(event: &Event<'a>) -> &'a str {
    let of_arn = |arn: &'a str| arn.strip_prefix("arn:")?.split(':').next().filter(|part| !part.is_empty());
    let arns = [event.identity.arn, event.identity.issuer_arn, event.resource_arn];
    arns.into_iter().flatten().find_map(of_arn).unwrap_or("aws")
}

fn write<'s>(scratch: &'s mut String, parts: &[&str]) -> &'s str {
    parts.iter().for_each(|part| scratch.push_str(part));
    scratch
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The identity as `key=value` pairs.
    fn check(fields: &str, expect: &str) {
        let mut event = Event::default();
        for (key, value) in fields.split_whitespace().filter_map(|pair| pair.split_once('=')) {
            let value = Some(value);
            match key {
                "type" => event.identity.kind = value,
                "arn" => event.identity.arn = value,
                "issuer" => event.identity.issuer_arn = value,
                "account" => event.identity.account_id = value,
                "principal" => event.identity.principal_id = value,
                "user" => event.identity.user_name = value,
                "provider" => event.identity.identity_provider = value,
                "behalf" => event.identity.on_behalf_of = value,
                "invoked" => event.identity.invoked_by = value,
                "recipient" => event.recipient_account_id = value,
                "resource" => event.resource_arn = value,
                _ => panic!("{key}"),
            }
        }
        assert_eq!(principal(&event, &mut String::new()), expect, "{fields}");
    }

    #[test]
    fn users_and_roles() {
        check("type=IAMUser arn=arn:aws:iam::1:user/a user=a", "arn:aws:iam::1:user/a");
        check("type=IAMUser user=a principal=AIDA", "a");
        check("type=Role arn=arn:aws:iam::1:role/r", "arn:aws:iam::1:role/r");
        check(
            "type=AssumedRole arn=arn:aws:sts::1:assumed-role/r/s issuer=arn:aws:iam::1:role/p/r",
            "arn:aws:iam::1:role/p/r",
        );
        check("type=AssumedRole arn=arn:aws-cn:sts::1:assumed-role/r/s", "arn:aws-cn:iam::1:role/r");
        check("type=AssumedRole arn=arn:aws:sts::1:assumed-role/r", "arn:aws:sts::1:assumed-role/r");
        check("type=AssumedRole principal=AROA:s", "AROA:s");
        check("type=FederatedUser arn=arn:f issuer=arn:i", "arn:i");
        check("type=FederatedUser arn=arn:f", "arn:f");
    }

    #[test]
    fn root_takes_the_partition_of_the_events_arns() {
        check("type=Root account=1 arn=arn:aws-us-gov:iam::1:root", "arn:aws-us-gov:iam::1:root");
        check("type=Root account=1", "arn:aws:iam::1:root");
        check("type=Root recipient=2 resource=arn:aws-cn:s3:::b", "arn:aws-cn:iam::2:root");
    }

    #[test]
    fn services_and_accounts() {
        check("type=AWSService invoked=ec2.amazonaws.com", "ec2.amazonaws.com");
        check("type=AWSService principal=p", "p");
        check("type=AWSAccount account=1 principal=AIDA:s", "AIDA");
        check("type=AWSAccount account=1 principal=:s", "account:1");
        check("type=AWSAccount account=1", "account:1");
        check("type=AWSAccount account=anonymous principal=x", "anonymous");
        check("type=AWSAccount account=ANONYMOUS_PRINCIPAL", "anonymous");
    }

    #[test]
    fn people_from_elsewhere() {
        check(
            "type=WebIdentityUser provider=accounts.google.com user=u principal=p",
            "accounts.google.com/u",
        );
        check("type=SAMLUser provider=saml principal=p", "p");
        check("type=IdentityCenterUser behalf=u principal=p", "identitycenter:u");
        check("type=IdentityCenterUser principal=p", "p");
    }

    #[test]
    fn what_no_row_names() {
        check("type=Directory user=u", "u");
        check("type=Unknown principal=p invoked=i", "p");
        check("invoked=i", "i");
        check("type=IAMUser", "unknown");
        check("", "unknown");
    }

    #[test]
    fn sessions() {
        let of = |arn| session(&Identity { arn: Some(arn), ..Identity::default() });
        assert_eq!(of("arn:aws:sts::1:assumed-role/r/i-0abc"), Some("i-0abc"));
        assert_eq!(of("arn:aws:sts::1:assumed-role/r"), None);
        assert_eq!(of("arn:aws:iam::1:user/a"), None);
    }
}
