//! Numbers, shares and times as people read them.

/// `1234567` as `1,234,567`.
pub fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A share in percent, rounded down: 100 % is all of it, and nothing less.
pub fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".to_owned();
    }
    let per_mille = u128::from(part) * 1000 / u128::from(whole);
    if part > 0 && per_mille == 0 {
        return "under 0.1 %".to_owned();
    }
    format!("{}.{} %", per_mille / 10, per_mille % 10)
}

/// A time as the API writes it, to the minute: `2023-07-10 11:42`.
pub fn minute(exact: &str) -> String {
    exact.get(..16).unwrap_or(exact).replacen('T', " ", 1)
}

/// How long ago, in the unit that fits.
pub fn ago(seconds: i64) -> String {
    match seconds {
        i64::MIN..=0 => "now".to_owned(),
        1..120 => format!("{seconds} s ago"),
        120..7200 => format!("{} min ago", seconds / 60),
        7200..172_800 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// How far behind, in the unit that fits.
pub fn duration(seconds: f64) -> String {
    match seconds {
        ..120.0 => format!("{seconds:.1} s"),
        ..7200.0 => format!("{:.0} min", seconds / 60.0),
        ..172_800.0 => format!("{:.1} h", seconds / 3600.0),
        _ => format!("{:.1} days", seconds / 86_400.0),
    }
}

/// How long something took, in the unit that fits.
pub fn latency(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.1} ms", seconds * 1000.0) } else { duration(seconds) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!([0, 999, 1000, 1_234_567].map(number), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn shares() {
        let check = |part, whole, expect: &str| assert_eq!(share(part, whole), expect);
        check(0, 0, "–");
        check(0, 7, "0.0 %");
        check(1, 1_000_000, "under 0.1 %");
        check(999_999, 1_000_000, "99.9 %");
        check(1_000_000, 1_000_000, "100.0 %");
    }

    #[test]
    fn times() {
        assert_eq!(minute("2023-07-10T11:42:18Z"), "2023-07-10 11:42");
        assert_eq!(
            [-5, 0, 1, 119, 120, 7199, 7200, 172_799, 172_800].map(ago),
            [
                "now",
                "now",
                "1 s ago",
                "119 s ago",
                "2 min ago",
                "119 min ago",
                "2 h ago",
                "47 h ago",
                "2 days ago"
            ]
        );
    }

    #[test]
    fn durations() {
        assert_eq!(
            [0.25, 600.0, 10_800.0, 864_000.0].map(duration),
            ["0.2 s", "10 min", "3.0 h", "10.0 days"]
        );
    }
}
