//! A call that was made, and the event it leaves.

use super::action::Action;
use super::caller::Caller;
use super::draw::mix2;
use super::identity::Via;
use super::{Options, name, text};

/// All that decides what an event says.
#[derive(Clone, Copy)]
pub(super) struct Call {
    pub(super) seed: u64,
    pub(super) time_s: i64,
    pub(super) caller: u64,
    pub(super) session: u64,
    pub(super) burst: u64,
    pub(super) via: Via,
    /// A user with temporary credentials.
    pub(super) signed_in: bool,
    pub(super) action: &'static Action,
    pub(super) presigned: bool,
    /// Another account has a copy of it.
    pub(super) shared: bool,
    /// Bytes to add to the request.
    pub(super) fill: u32,
}

/// The event itself, or what may follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edition {
    Original,
    Correction,
    OwnersCopy,
}

/// The event's id, a UUID.
pub(super) fn id(call: &Call, edition: Edition) -> String {
    let mut out = Vec::with_capacity(36);
    write_id(&mut out, call, edition);
    String::from_utf8_lossy(&out).into_owned()
}

/// Whether a weak caller's call tells so: it may be one that reports neither TLS nor signature.
pub(super) fn shows_weakness(options: &Options, call: &Call) -> bool {
    let weak = Caller::new(options, call.caller).weak;
    let reports = call.action.reports_tls && call.via == Via::Direct;
    let old_tls = (weak.tls10 || weak.tls11) && reports && !call.presigned;
    (weak.long_term_key && !call.signed_in) || old_tls || weak.sigv2 || (weak.sigv2_links && call.presigned)
}

/// The account an event is delivered to.
pub(super) fn delivered_to(options: &Options, call: &Call, edition: Edition) -> u64 {
    let account = Caller::new(options, call.caller).recipient;
    match edition {
        Edition::OwnersCopy => owner(options, account),
        _ => account,
    }
}

pub(super) fn region(action: &Action, caller: &Caller) -> &'static str {
    match action.service {
        "iam" | "account" | "organizations" => "us-east-1",
        _ => caller.region,
    }
}

fn owner(options: &Options, account: u64) -> u64 {
    name::account((account - name::account(0) + 1) % u64::from(options.accounts.max(2)))
}

pub(super) fn write_id(out: &mut Vec<u8>, call: &Call, edition: Edition) {
    text::uuid(out, mix2(call.seed, edition as u64), mix2(call.seed, 16));
}
