//! The names of a made-up organisation. All ids are visibly synthetic: accounts count up from 990000000000
//! (outsiders from 880000000000), keys and principal ids carry `SYN` after their prefix, addresses are from
//! the documentation ranges (RFC 5737) and private networks.

use super::draw::mix;
use super::text;

const TEAMS: [&str; 16] = [
    "payments",
    "search",
    "catalogue",
    "logistics",
    "identity",
    "billing",
    "media",
    "analytics",
    "support",
    "pricing",
    "mobile",
    "partners",
    "fraud",
    "warehouse",
    "messaging",
    "platform",
];
const APPS: [&str; 16] = [
    "api",
    "worker",
    "importer",
    "export",
    "scheduler",
    "backup",
    "indexer",
    "gateway",
    "reports",
    "sync",
    "frontend",
    "archive",
    "notifier",
    "audit",
    "trainer",
    "cleaner",
];
const FIRST: [&str; 24] = [
    "ada", "bilal", "chen", "dora", "emil", "farah", "goran", "hana", "ivo", "joana", "kofi", "lena",
    "mateo", "nadia", "otto", "priya", "quinn", "rosa", "samir", "tove", "umar", "vera", "wei", "yara",
];
const LAST: [&str; 24] = [
    "abbott", "berg", "costa", "dumas", "eriksen", "fischer", "gupta", "haddad", "ito", "jansen", "kowalski",
    "lopez", "moreau", "novak", "okafor", "petrov", "quist", "rossi", "silva", "tanaka", "ueda", "varga",
    "weiss", "zhang",
];
/// The regions in use, as many of them as asked for.
pub(super) const REGIONS: [&str; 8] = [
    "us-east-1",
    "eu-west-1",
    "us-west-2",
    "eu-central-1",
    "ap-southeast-2",
    "us-east-2",
    "ap-northeast-1",
    "ca-central-1",
];
const FIRST_ACCOUNT: u64 = 990_000_000_000;
const FIRST_OUTSIDE_ACCOUNT: u64 = 880_000_000_000;

pub(super) fn account(index: u64) -> u64 {
    FIRST_ACCOUNT + index
}

pub(super) fn outside_account(index: u64) -> u64 {
    FIRST_OUTSIDE_ACCOUNT + index
}

/// `payments-api`, `search-api-2`: another for each index.
pub(super) fn application(out: &mut Vec<u8>, index: u64) {
    text::text(out, TEAMS[(index % 16) as usize]);
    out.push(b'-');
    text::text(out, APPS[((index / 16 + index) % 16) as usize]);
    numbered(out, index / 256);
}

/// `ada.abbott`: another for each index.
pub(super) fn person(out: &mut Vec<u8>, index: u64) {
    text::text(out, FIRST[(index % 24) as usize]);
    out.push(b'.');
    text::text(out, LAST[((index / 24 + index) % 24) as usize]);
    numbered(out, index / 576);
}

fn numbered(out: &mut Vec<u8>, round: u64) {
    if round > 0 {
        out.push(b'-');
        text::number(out, round + 1);
    }
}

/// A key or principal id: the prefix (AKIA, ASIA, AIDA, AROA), `SYN`, and characters of `bits`.
pub(super) fn id(out: &mut Vec<u8>, prefix: &str, bits: u64, length: usize) {
    text::text(out, prefix);
    text::text(out, "SYN");
    text::base32(out, mix(bits), (length - 7).min(12));
    text::base32(out, mix(bits ^ 1), length.saturating_sub(19));
}

/// An address: most callers are inside, some come over the internet.
pub(super) fn address(out: &mut Vec<u8>, bits: u64) {
    let outside = [[192, 0, 2], [198, 51, 100], [203, 0, 113]][(bits >> 8) as usize % 3];
    let network = if bits & 3 == 0 { outside } else { [10, bits >> 16 & 0x7f, bits >> 24 & 0xff] };
    for part in network {
        text::number(out, part);
        out.push(b'.');
    }
    text::number(out, 1 + (bits >> 32) % 254);
}
