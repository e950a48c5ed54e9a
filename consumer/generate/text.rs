//! Writing pieces of JSON text into a buffer.

use super::draw::Draw;
use crate::event::time::civil_from_days;

const HEX: &[u8; 16] = b"0123456789abcdef";
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const SECONDS_A_DAY: i64 = 86_400;

pub(super) fn text(out: &mut Vec<u8>, piece: &str) {
    out.extend_from_slice(piece.as_bytes());
}

pub(super) fn number(out: &mut Vec<u8>, n: u64) {
    padded(out, n, 1);
}

/// A number with at least `width` digits.
pub(super) fn padded(out: &mut Vec<u8>, mut n: u64, width: usize) {
    let mut digits = [b'0'; 64];
    let mut first = digits.len();
    while n > 0 || digits.len() - first < width {
        first -= 1;
        digits[first] = b'0' + (n % 10) as u8;
        n /= 10;
    }
    out.extend_from_slice(&digits[first..]);
}

/// The lowest `count` (up to 16) hex digits of `bits`.
pub(super) fn hex(out: &mut Vec<u8>, bits: u64, count: usize) {
    out.extend((0..count).rev().map(|i| HEX[(bits >> (4 * i)) as usize & 15]));
}

/// A version 4 UUID.
pub(super) fn uuid(out: &mut Vec<u8>, high: u64, low: u64) {
    let mut digits = [b'-'; 36];
    let high = high & !0xf000 | 0x4000;
    let low = low & !(3 << 62) | 1 << 63;
    let mut at = 0;
    for nibble in 0..32 {
        if matches!(nibble, 8 | 12 | 16 | 20) {
            at += 1;
        }
        let word = if nibble < 16 { high } else { low };
        digits[at] = HEX[(word >> (60 - 4 * (nibble & 15))) as usize & 15];
        at += 1;
    }
    out.extend_from_slice(&digits);
}

/// `count` (up to 12) characters as AWS's ids have them.
pub(super) fn base32(out: &mut Vec<u8>, bits: u64, count: usize) {
    out.extend((0..count).map(|i| BASE32[(bits >> (5 * i)) as usize & 31]));
}

/// `count` characters of base64 that nothing is behind.
pub(super) fn base64(out: &mut Vec<u8>, draw: &mut Draw, count: usize) {
    for at in (0..count).step_by(10) {
        let word = draw.next();
        out.extend((0..10.min(count - at)).map(|i| BASE64[(word >> (6 * i)) as usize & 63]));
    }
}

/// `2025-07-01T00:00:00Z`
pub(super) fn time(out: &mut Vec<u8>, unix_s: i64) {
    let (year, month, day) = civil(unix_s.div_euclid(SECONDS_A_DAY));
    let second = unix_s.rem_euclid(SECONDS_A_DAY) as u64;
    padded(out, year as u64, 4);
    for (separator, part) in
        [(b'-', month), (b'-', day), (b'T', second / 3600), (b':', second / 60 % 60), (b':', second % 60)]
    {
        out.push(separator);
        padded(out, part, 2);
    }
    out.push(b'Z');
}

/// Year, month and day of a day since 1970.
pub(super) fn civil(days: i64) -> (i64, u64, u64) {
    let (year, month, day) = civil_from_days(days);
    (year, month.unsigned_abs(), day.unsigned_abs())
}

/// A piece of text as the inside of a JSON string. Bytes that are no UTF-8 stay as they are.
pub(super) fn escaped(out: &mut Vec<u8>, piece: &[u8]) {
    for &byte in piece {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..0x20 => {
                text(out, "\\u00");
                hex(out, u64::from(byte), 2);
            }
            _ => out.push(byte),
        }
    }
}

/// The Unix seconds of a time as [`time`] writes it.
pub(super) fn parse_time(written: &[u8]) -> Option<i64> {
    let part = |from: usize, to: usize| -> Option<i64> {
        std::str::from_utf8(written.get(from..to)?).ok()?.parse().ok()
    };
    let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
    let year_of_march = if month > 2 { year } else { year - 1 };
    let doy = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let yoe = year_of_march.rem_euclid(400);
    let days = year_of_march.div_euclid(400) * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468;
    Some(days * SECONDS_A_DAY + part(11, 13)? * 3600 + part(14, 16)? * 60 + part(17, 19)?)
}
