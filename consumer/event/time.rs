//! Event times: RFC 3339 in UTC, as seconds since 1970.

/// Seconds of a day.
pub const DAY_S: i64 = 86_400;

/// Reads `2023-07-10T11:42:18Z`, with or without a fraction (which is dropped). Anything but RFC 3339 with a capital
/// `T` and `Z` and a date that exists is none.
pub fn parse(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    if bytes.len() < 20 || bytes.last() != Some(&b'Z') {
        return None;
    }
    if [bytes[4], bytes[7], bytes[10], bytes[13], bytes[16]] != *b"--T::"
        || !is_fraction(&bytes[19..bytes.len() - 1])
    {
        return None;
    }
    let pair = |at: usize| digits([bytes[at], bytes[at + 1]]);
    let (century, year_of_century, month, day) = (pair(0), pair(2), pair(5), pair(8));
    let (hour, minute, second) = (pair(11), pair(14), pair(17));
    let all = [century, year_of_century, month, day, hour, minute, second];
    if all.iter().fold(0, |all, pair| all | pair) < 0 {
        return None;
    }
    let year = century * 100 + year_of_century;
    let is_leap_second = second == 60 && hour == 23 && minute == 59;
    if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
        return None;
    }
    if hour > 23 || minute > 59 || (second > 59 && !is_leap_second) {
        return None;
    }
    // A leap second lies in the minute that it ends.
    Some(days_since_1970(year, month, day) * DAY_S + hour * 3600 + minute * 60 + second.min(59))
}

/// Writes `2023-07-10T11:42:18Z`.
pub fn format(seconds: i64) -> String {
    let (days, second) = (seconds.div_euclid(DAY_S), seconds.rem_euclid(DAY_S));
    let (year, month, day) = civil_from_days(days);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

/// Writes milliseconds since 1970 as `2023-07-10T11:42:18.250Z`.
pub fn format_ms(ms: u64) -> String {
    let text = format((ms / 1000).cast_signed());
    format!("{}.{:03}Z", &text[..text.len() - 1], ms % 1000)
}

fn is_fraction(bytes: &[u8]) -> bool {
    match bytes.split_first() {
        None => true,
        Some((b'.', digits)) => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
        Some(_) => false,
    }
}

/// The number that two digits write; negative if they are none.
fn digits([tens, ones]: [u8; 2]) -> i64 {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    if tens > 9 || ones > 9 { -1 } else { i64::from(tens) * 10 + i64::from(ones) }
}

fn is_leap_year(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap_year(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar; the year is taken to begin in March, so that the leap
/// day is its last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Year, month and day of a day since 1970-01-01.
pub fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_that_are() {
        assert_eq!(parse("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(parse("2023-07-10T11:42:18Z"), Some(1_688_989_338));
        assert_eq!(parse("2023-07-10T11:42:18.999Z"), Some(1_688_989_338));
        assert_eq!(parse("2024-02-29T00:00:00Z"), Some(1_709_164_800));
        assert_eq!(parse("2016-12-31T23:59:60Z"), Some(1_483_228_799));
    }

    #[test]
    fn times_that_are_not() {
        for text in [
            "",
            "2023-07-10",
            "2023-07-10T11:42:18",
            "2023-07-10T11:42:18+00:00",
            "2023-07-10 11:42:18Z",
            "2023-07-10t11:42:18z",
            "2023-02-29T00:00:00Z",
            "2023-13-01T00:00:00Z",
            "2023-00-01T00:00:00Z",
            "2023-01-01T24:00:00Z",
            "2023-01-01T12:00:60Z",
            "2023-01-01T12:00:00.Z",
            "2023-01-01T12:00:00xZ",
            "+023-01-01T12:00:00Z",
            "2023-01-01T12:00:0éZ",
            "1688989338",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn milliseconds() {
        assert_eq!(format_ms(1_688_989_338_007), "2023-07-10T11:42:18.007Z");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(seconds in -62_135_596_800i64..253_402_300_800) {
            prop_assert_eq!(parse(&format(seconds)), Some(seconds));
        }
    }
}
