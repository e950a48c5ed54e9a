//! Who calls: everything about a caller follows from its number, so a million of them take no memory.

use super::draw::mix2;
use super::{Options, name};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    User,
    InstanceRole,
    FunctionRole,
    TaskRole,
    PipelineRole,
    OperatorRole,
    SsoRole,
    Federated,
    WebIdentity,
    Saml,
    IdentityCenter,
    CrossAccount,
}

/// Callers without a long-term key: each kind as often as it stands here.
const KINDS: [Kind; 32] = {
    use Kind::*;
    [
        User,
        User,
        InstanceRole,
        FunctionRole,
        TaskRole,
        PipelineRole,
        SsoRole,
        InstanceRole,
        FunctionRole,
        TaskRole,
        SsoRole,
        WebIdentity,
        OperatorRole,
        CrossAccount,
        FunctionRole,
        PipelineRole,
        InstanceRole,
        TaskRole,
        SsoRole,
        FunctionRole,
        Federated,
        InstanceRole,
        OperatorRole,
        TaskRole,
        Saml,
        PipelineRole,
        SsoRole,
        InstanceRole,
        IdentityCenter,
        FunctionRole,
        WebIdentity,
        SsoRole,
    ]
};

/// How a caller is weak; several may hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Weak {
    pub(super) sigv2: bool,
    pub(super) sigv2_links: bool,
    pub(super) tls10: bool,
    pub(super) tls11: bool,
    pub(super) long_term_key: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Caller {
    pub(super) index: u64,
    pub(super) kind: Kind,
    pub(super) weak: Weak,
    /// The caller's own account, and the one it calls in.
    pub(super) account: u64,
    pub(super) recipient: u64,
    pub(super) region: &'static str,
    pub(super) terraform: bool,
    /// Where all else about it comes from.
    pub(super) bits: u64,
}

// Each property deals its shares out by another prime, so that they are exact and independent.
const BY_KIND: u64 = 2_654_435_761;
const BY_SIGNATURE: u64 = 2_246_822_519;
const BY_TLS: u64 = 3_266_489_917;
const BY_CLIENT: u64 = 668_265_263;

impl Caller {
    /// Numbers from `options.callers` on are newcomers, each weak in one way, in turn.
    pub(super) fn new(options: &Options, index: u64) -> Caller {
        let bits = mix2(options.seed, index);
        let (kind, weak) = match index.checked_sub(u64::from(options.callers)) {
            Some(nth) => newcomer(nth),
            None => member(options, index),
        };
        let recipient = name::account(home(bits, options.accounts));
        let account = match kind {
            Kind::CrossAccount => name::outside_account(bits % 7),
            _ => recipient,
        };
        let region = name::REGIONS[(bits >> 20) as usize % options.regions.clamp(1, 8) as usize];
        let terraform = dealt(options, index, BY_CLIENT) < count(options, options.mix.terraform);
        Caller { index, kind, weak, account, recipient, region, terraform, bits }
    }

    /// Bits that change with the session, and every 12 hours.
    pub(super) fn session_bits(&self, session: u64, time_s: i64) -> u64 {
        mix2(self.bits ^ session, time_s.div_euclid(12 * 3600) as u64)
    }

    /// Whether the identity carries an account of the organisation.
    pub(super) fn names_our_account(&self) -> bool {
        !matches!(self.kind, Kind::CrossAccount | Kind::WebIdentity | Kind::Saml)
    }

    pub(super) fn is_person(&self) -> bool {
        match self.kind {
            Kind::User => !self.weak.long_term_key || self.bits & 3 == 0,
            Kind::SsoRole | Kind::OperatorRole | Kind::Saml | Kind::IdentityCenter => true,
            _ => false,
        }
    }
}

/// The low accounts get most callers.
fn home(bits: u64, accounts: u32) -> u64 {
    let accounts = u64::from(accounts.max(1));
    ((bits >> 4) % accounts).min((bits >> 34) % accounts)
}

fn member(options: &Options, index: u64) -> (Kind, Weak) {
    let callers = u64::from(options.callers.max(1));
    let with_key = count(options, options.weak.long_term_key);
    let at = dealt(options, index, BY_KIND);
    let kind = match at.checked_sub(with_key) {
        None => Kind::User,
        Some(rest) => KINDS[(rest * KINDS.len() as u64 / (callers - with_key)) as usize],
    };
    let by_signature = dealt(options, index, BY_SIGNATURE);
    let sigv2 = count(options, options.weak.sigv2);
    let tls10 = count(options, options.weak.tls10);
    let by_tls = dealt(options, index, BY_TLS);
    let weak = Weak {
        sigv2: by_signature < sigv2.div_ceil(2),
        sigv2_links: (sigv2.div_ceil(2)..sigv2).contains(&by_signature),
        tls10: by_tls < tls10,
        tls11: (tls10..tls10 + count(options, options.weak.tls11)).contains(&by_tls),
        long_term_key: at < with_key,
    };
    (kind, weak)
}

fn newcomer(nth: u64) -> (Kind, Weak) {
    let none = Weak::default();
    let round = nth / 5;
    let roles = [Kind::InstanceRole, Kind::TaskRole, Kind::FunctionRole, Kind::PipelineRole];
    let role = roles[(round % 4) as usize];
    match nth % 5 {
        0 => (role, Weak { sigv2: true, ..none }),
        1 => (Kind::User, Weak { long_term_key: true, ..none }),
        2 => (role, Weak { tls10: true, ..none }),
        3 => (role, Weak { sigv2_links: true, ..none }),
        _ => (role, Weak { tls11: true, ..none }),
    }
}

/// Where a caller stands when they are shuffled: each place is taken once. Number 0, the busiest, is in the
/// middle, so that no small share meets it.
fn dealt(options: &Options, index: u64, prime: u64) -> u64 {
    let callers = u64::from(options.callers.max(1));
    ((u128::from(index) * u128::from(prime) + u128::from(callers / 2)) % u128::from(callers)) as u64
}

/// How many callers a share is: at least one, unless it is 0.
fn count(options: &Options, share: f64) -> u64 {
    let callers = u64::from(options.callers.max(1));
    let exact = (share.clamp(0.0, 1.0) * callers as f64).round() as u64;
    exact.max(u64::from(share > 0.0)).min(callers)
}
