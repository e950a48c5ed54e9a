//! Versions: dotted numbers.

use std::cmp::Ordering;

/// Compares dotted versions number by number; what is not a number counts as 0, and `1.2` equals `1.2.0`.
pub fn compare(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (numbers(left), numbers(right));
    loop {
        let (l, r) = (left.next(), right.next());
        if l.is_none() && r.is_none() {
            return Ordering::Equal;
        }
        let order = l.unwrap_or(0).cmp(&r.unwrap_or(0));
        if order.is_ne() {
            return order;
        }
    }
}

fn numbers(version: &str) -> impl Iterator<Item = u64> + '_ {
    version.split('.').map(|part| {
        let digits = part.bytes().take_while(u8::is_ascii_digit);
        digits.fold(0u64, |value, digit| value.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers() {
        assert_eq!(compare("1.11.9", "1.11.10"), Ordering::Less);
        assert_eq!(compare("1.2", "1.2.0"), Ordering::Equal);
        assert_eq!(compare("3.0rc1", "3"), Ordering::Equal);
        assert_eq!(compare("99999999999999999999999.1", "2"), Ordering::Greater);
    }
}
