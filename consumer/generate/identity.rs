//! Who called, as `userIdentity` says it.

use super::caller::{Caller, Kind};
use super::draw::mix2;
use super::{name, outside, text};

/// How a call reached AWS, which shapes its identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Via {
    Direct,
    Console,
    OnBehalf,
    Service,
    Root,
    Anonymous,
}

/// What of a call the identity needs.
pub(super) struct Who<'a> {
    pub(super) caller: &'a Caller,
    pub(super) session: u64,
    pub(super) via: Via,
    pub(super) signed_in: bool,
    pub(super) time_s: i64,
    pub(super) invoked_by: &'a str,
}

pub(super) fn write(out: &mut Vec<u8>, who: &Who) {
    match who.via {
        Via::Service => return service(out, who),
        Via::Root => return root(out, who),
        Via::Anonymous => {
            return text::text(out, r#"{"type":"AWSAccount","principalId":"","accountId":"anonymous"}"#);
        }
        Via::Direct | Via::Console | Via::OnBehalf => {}
    }
    match who.caller.kind {
        Kind::User => user(out, who),
        Kind::Federated => outside::federated(out, who),
        Kind::WebIdentity | Kind::Saml => outside::provided(out, who),
        Kind::IdentityCenter => outside::identity_center(out, who),
        Kind::CrossAccount => outside::cross_account(out, who),
        _ => assumed_role(out, who),
    }
    if who.via == Via::OnBehalf {
        text::text(out, ",\"invokedBy\":\"");
        text::text(out, who.invoked_by);
        out.push(b'"');
    }
    out.push(b'}');
}

/// The name of a caller's role or user.
pub(super) fn write_name(out: &mut Vec<u8>, caller: &Caller) {
    let suffix = match caller.kind {
        Kind::User if caller.is_person() => return name::person(out, caller.index),
        Kind::User => "svc-",
        Kind::SsoRole => {
            let set = ["AdministratorAccess", "ReadOnlyAccess", "PowerUserAccess", "Billing"];
            text::text(out, "AWSReservedSSO_");
            text::text(out, set[caller.bits as usize % 4]);
            out.push(b'_');
            return text::hex(out, mix2(caller.index, 7), 16);
        }
        Kind::InstanceRole => "instance-",
        Kind::FunctionRole => "lambda-",
        Kind::TaskRole => "task-",
        Kind::PipelineRole => "deploy-",
        _ => "operator-",
    };
    text::text(out, suffix);
    name::application(out, caller.index);
}

fn service(out: &mut Vec<u8>, who: &Who) {
    text::text(out, r#"{"type":"AWSService","invokedBy":""#);
    text::text(out, who.invoked_by);
    text::text(out, "\"}");
}

fn root(out: &mut Vec<u8>, who: &Who) {
    let account = who.caller.recipient;
    text::text(out, r#"{"type":"Root","principalId":""#);
    text::number(out, account);
    text::text(out, r#"","arn":"arn:aws:iam::"#);
    text::number(out, account);
    text::text(out, r#":root","accountId":""#);
    text::number(out, account);
    text::text(out, r#"","accessKeyId":"","sessionContext":{"sessionIssuer":{},"webIdFederationData":{},"#);
    attributes(out, who, true);
    text::text(out, "}}");
}

fn user(out: &mut Vec<u8>, who: &Who) {
    let caller = who.caller;
    text::text(out, r#"{"type":"IAMUser","principalId":""#);
    name::id(out, "AIDA", caller.bits, 21);
    text::text(out, r#"","arn":"arn:aws:iam::"#);
    text::number(out, caller.account);
    text::text(out, ":user/");
    write_name(out, caller);
    account_id(out, caller.account);
    let long_term = caller.weak.long_term_key && who.via == Via::Direct && !who.signed_in;
    key(out, who, long_term);
    text::text(out, r#","userName":""#);
    write_name(out, caller);
    out.push(b'"');
    if !long_term {
        text::text(out, r#","sessionContext":{"sessionIssuer":{},"webIdFederationData":{},"#);
        attributes(out, who, caller.is_person() && who.via == Via::Console);
        out.push(b'}');
    }
}

fn assumed_role(out: &mut Vec<u8>, who: &Who) {
    let caller = who.caller;
    text::text(out, r#"{"type":"AssumedRole","principalId":""#);
    name::id(out, "AROA", caller.bits, 21);
    out.push(b':');
    session_name(out, who);
    text::text(out, r#"","arn":"arn:aws:sts::"#);
    text::number(out, caller.account);
    text::text(out, ":assumed-role/");
    write_name(out, caller);
    out.push(b'/');
    session_name(out, who);
    account_id(out, caller.account);
    key(out, who, false);
    text::text(out, r#","sessionContext":{"sessionIssuer":{"type":"Role","principalId":""#);
    name::id(out, "AROA", caller.bits, 21);
    text::text(out, r#"","arn":"arn:aws:iam::"#);
    text::number(out, caller.account);
    text::text(
        out,
        if caller.kind == Kind::SsoRole { ":role/aws-reserved/sso.amazonaws.com/" } else { ":role/" },
    );
    write_name(out, caller);
    account_id(out, caller.account);
    text::text(out, r#","userName":""#);
    write_name(out, caller);
    text::text(out, r#""},"webIdFederationData":{},"#);
    attributes(out, who, caller.kind == Kind::SsoRole);
    if caller.kind == Kind::InstanceRole {
        let delivery = if caller.bits & 7 == 0 { "1.0" } else { "2.0" };
        text::text(out, r#","ec2RoleDelivery":""#);
        text::text(out, delivery);
        out.push(b'"');
    }
    out.push(b'}');
}

fn session_name(out: &mut Vec<u8>, who: &Who) {
    let bits = mix2(who.caller.bits, who.session);
    match who.caller.kind {
        Kind::InstanceRole => {
            text::text(out, "i-0");
            text::hex(out, bits, 16);
        }
        Kind::FunctionRole => {
            name::application(out, who.caller.index);
            out.push(b'-');
            text::number(out, who.session);
        }
        Kind::TaskRole => {
            text::hex(out, bits, 16);
            text::hex(out, mix2(bits, 1), 16);
        }
        Kind::PipelineRole => {
            text::text(out, "build-");
            text::number(out, 1000 + who.session);
        }
        _ => {
            name::person(out, bits % 576);
            text::text(out, "@example.com");
        }
    }
}

pub(super) fn account_id(out: &mut Vec<u8>, account: u64) {
    text::text(out, r#"","accountId":""#);
    text::number(out, account);
    out.push(b'"');
}

pub(super) fn key(out: &mut Vec<u8>, who: &Who, long_term: bool) {
    text::text(out, r#","accessKeyId":""#);
    if long_term {
        name::id(out, "AKIA", mix2(who.caller.bits, 5), 20);
    } else {
        name::id(out, "ASIA", who.caller.session_bits(who.session, who.time_s), 20);
    }
    out.push(b'"');
}

pub(super) fn attributes(out: &mut Vec<u8>, who: &Who, mfa: bool) {
    text::text(out, r#""attributes":{"creationDate":""#);
    text::time(out, who.time_s - who.time_s.rem_euclid(3600) + (who.session % 40) as i64 - 60);
    text::text(out, r#"","mfaAuthenticated":""#);
    text::text(out, if mfa { "true" } else { "false" });
    text::text(out, "\"}");
}
