//! Callers whose identity is kept elsewhere: federated, by web identity or SAML, of Identity Center, of another
//! account. The member's closing brace is the caller's to write.

use super::caller::{Caller, Kind};
use super::draw::mix2;
use super::identity::{Who, account_id, attributes, key};
use super::{name, text};

pub(super) fn federated(out: &mut Vec<u8>, who: &Who) {
    let account = who.caller.account;
    text::text(out, r#"{"type":"FederatedUser","principalId":""#);
    text::number(out, account);
    out.push(b':');
    name::person(out, who.session);
    text::text(out, r#"","arn":"arn:aws:sts::"#);
    text::number(out, account);
    text::text(out, ":federated-user/");
    name::person(out, who.session);
    account_id(out, account);
    key(out, who, false);
    text::text(out, r#","sessionContext":{"sessionIssuer":{"type":"IAMUser","principalId":""#);
    name::id(out, "AIDA", who.caller.bits, 21);
    text::text(out, r#"","arn":"arn:aws:iam::"#);
    text::number(out, account);
    text::text(out, ":user/broker-");
    name::application(out, who.caller.index);
    account_id(out, account);
    text::text(out, r#","userName":"broker-"#);
    name::application(out, who.caller.index);
    text::text(out, r#""},"webIdFederationData":{},"#);
    attributes(out, who, false);
    out.push(b'}');
}

/// Web identity and SAML: what `AssumeRoleWith…` itself is called with.
pub(super) fn provided(out: &mut Vec<u8>, who: &Who) {
    let (kind, provider) = match who.caller.kind {
        Kind::Saml => ("SAMLUser", "https://sso.example.com/saml"),
        _ => ("WebIdentityUser", "token.actions.githubusercontent.com"),
    };
    text::text(out, r#"{"type":""#);
    text::text(out, kind);
    text::text(out, r#"","principalId":""#);
    text::text(out, provider);
    text::text(out, ":sts.amazonaws.com:");
    provided_name(out, who.caller);
    text::text(out, r#"","userName":""#);
    provided_name(out, who.caller);
    text::text(out, r#"","identityProvider":""#);
    text::text(out, provider);
    out.push(b'"');
}

fn provided_name(out: &mut Vec<u8>, caller: &Caller) {
    if caller.kind == Kind::Saml {
        name::person(out, caller.index);
        return text::text(out, "@example.com");
    }
    text::text(out, "repo:example/");
    name::application(out, caller.index);
    text::text(out, ":ref:refs/heads/main");
}

pub(super) fn identity_center(out: &mut Vec<u8>, who: &Who) {
    text::text(out, r#"{"type":"IdentityCenterUser","accountId":""#);
    text::number(out, who.caller.account);
    text::text(out, r#"","onBehalfOf":{"userId":""#);
    text::uuid(out, who.caller.bits, mix2(who.caller.index, 3));
    text::text(out, r#"","identityStoreArn":"arn:aws:identitystore::"#);
    text::number(out, name::account(0));
    text::text(out, r#":identitystore/d-99synthetic"},"credentialId":""#);
    text::uuid(out, who.caller.session_bits(who.session, who.time_s), who.session);
    out.push(b'"');
}

pub(super) fn cross_account(out: &mut Vec<u8>, who: &Who) {
    text::text(out, r#"{"type":"AWSAccount","principalId":""#);
    name::id(out, "AROA", who.caller.bits, 21);
    text::text(out, ":session-");
    text::number(out, who.session);
    account_id(out, who.caller.account);
}
