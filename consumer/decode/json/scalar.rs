//! Scalars in a text that is walked along, where what they are can be told without a parser.
//!
//! Enters: what a text goes on with. Leaves: how long the scalar is that it begins with, if it is one beyond doubt. Whether
//! it ends there is for the literal behind it to say.

/// The length of a truth, or of a whole number of few digits; 0 if there is neither, or perhaps more of it.
#[inline(always)]
pub fn past_scalar(bytes: &[u8; 8]) -> usize {
    let word = u64::from_le_bytes(*bytes);
    // A digit is told by its upper half, and that its lower half and six do not reach the next.
    let values = word ^ 0x3030_3030_3030_3030;
    let others = (values.wrapping_add(0x7676_7676_7676_7676) | values) & 0x8080_8080_8080_8080;
    let digits = others.trailing_zeros() as usize / 8;
    match digits {
        0 if word as u32 == TRUE => 4,
        0 if word << 24 == FALSE << 24 => 5,
        1.. if digits < bytes.len() && bytes[digits] != b'.' && (bytes[0] != b'0' || digits == 1) => digits,
        _ => 0,
    }
}

const TRUE: u32 = u32::from_le_bytes(*b"true");
const FALSE: u64 = u64::from_le_bytes(*b"false\0\0\0");

/// Digits, and the point among them, of numbers that are exact in every representation; longer ones are left to the
/// parser.
const MOST_DIGITS: usize = 15;

/// The length of a number that is one beyond doubt: of few digits, without an exponent. Whether it ends there is for the
/// next literal to say.
#[cold]
pub fn past_number(text: &[u8]) -> Option<usize> {
    let digits = |from: usize| text[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let begin = usize::from(text.first() == Some(&b'-'));
    let whole = digits(begin);
    let mut end = begin + whole;
    if whole == 0 || whole > 1 && text[begin] == b'0' {
        return None;
    }
    if text.get(end) == Some(&b'.') {
        let fraction = digits(end + 1);
        end += 1 + fraction;
        if fraction == 0 {
            return None;
        }
    }
    (end - begin <= MOST_DIGITS).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_at_a_glance() {
        for (text, expect) in [
            ("true,   ", 4),
            ("false,  ", 5),
            ("fals,   ", 0),
            ("tru,    ", 0),
            ("null,   ", 0),
            ("0,      ", 1),
            ("7}]}    ", 1),
            ("10,9,8  ", 2),
            ("1234567,", 7),
            ("12345678", 0),
            ("01,     ", 0),
            ("1.5,    ", 0),
            ("-1,     ", 0),
            // What ends it is for the literal behind it to say.
            ("1e5,    ", 1),
            (":,      ", 0),
            ("/,      ", 0),
            ("1:,     ", 1),
            ("1/,     ", 1),
            ("1\u{ff}99999", 1),
        ] {
            let bytes = text.as_bytes()[..8.min(text.len())].try_into();
            assert_eq!(bytes.ok().map(past_scalar), Some(expect), "{text}");
        }
        // Each byte at each place ends the digits before it, or is one more.
        for (byte, place) in (0..=u8::MAX).flat_map(|byte| (1..7).map(move |place| (byte, place))) {
            let mut bytes = [b'5'; 8];
            (bytes[place], bytes[7]) = (byte, b',');
            let expect = match byte {
                b'0'..=b'9' => 7,
                b'.' => 0,
                _ => place,
            };
            assert_eq!(past_scalar(&bytes), expect, "{bytes:?}");
        }
    }

    #[test]
    fn numbers_beyond_doubt() {
        for (text, is_one) in [
            ("0", true),
            ("-0", true),
            ("-17.25", true),
            ("123456789012345", true),
            ("1234567890123456", false),
            ("null", false),
            ("01", false),
            ("-", false),
            ("1.", false),
            (".5", false),
            ("", false),
        ] {
            assert_eq!(past_number(text.as_bytes()), is_one.then_some(text.len()), "{text}");
        }
        // What ends it is for the literal behind it to say.
        assert_eq!(past_number(b"1e5"), Some(1));
    }
}
