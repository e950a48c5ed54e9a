//! Durations and sizes as people write them: `250ms`, `1s`, `24h`, `400d`; `512KiB`, `64MiB`.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A duration, kept in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub u64);

/// A size, kept in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

const SPAN_UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
const SIZE_UNITS: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1000),
    ("B", 1),
];

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn write(f: &mut fmt::Formatter<'_>, value: u64, units: &[(&str, u64)]) -> fmt::Result {
    let fits = |factor: &u64| value != 0 && value.is_multiple_of(*factor);
    let (name, factor) = units.iter().find(|(_, factor)| fits(factor)).unwrap_or(&units[units.len() - 1]);
    write!(f, "{}{name}", value / factor)
}

impl Span {
    /// Reads `1s`.
    pub fn parse(text: &str) -> Option<Self> {
        parse(text, &SPAN_UNITS).map(Self)
    }
}

impl Size {
    /// Reads `64MiB`, or a number of bytes.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok().or_else(|| parse(text, &SIZE_UNITS)).map(Self)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, self.0, &SPAN_UNITS)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binary =
            SIZE_UNITS.map(|(name, factor)| if name.contains('i') { (name, factor) } else { ("B", 1) });
        write(f, self.0, &binary)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum NumberOrText {
    Number(u64),
    Text(String),
    Other(serde::de::IgnoredAny),
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let found = match NumberOrText::deserialize(deserializer)? {
            NumberOrText::Text(text) => Self::parse(&text),
            NumberOrText::Number(_) | NumberOrText::Other(_) => None,
        };
        found.ok_or_else(|| {
            serde::de::Error::custom(
                "not a duration: write a whole number and a unit, such as 250ms, 1s, 5m, 24h or 400d",
            )
        })
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let found = match NumberOrText::deserialize(deserializer)? {
            NumberOrText::Text(text) => Self::parse(&text),
            NumberOrText::Number(bytes) => Some(Self(bytes)),
            NumberOrText::Other(_) => None,
        };
        found.ok_or_else(|| {
            serde::de::Error::custom("not a size: write bytes, or a whole number and a unit, such as 64MiB")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        for (text, ms) in [
            ("250ms", 250),
            ("1s", 1000),
            ("90s", 90_000),
            ("24h", 86_400_000),
            ("0s", 0),
            ("2 h", 7_200_000),
        ] {
            assert_eq!(Span::parse(text), Some(Span(ms)), "{text}");
        }
        for text in ["", "1", "s", "1.5h", "-1s", "1 fortnight", "99999999999999999999d", "9999999999999999d"]
        {
            assert_eq!(Span::parse(text), None, "{text}");
        }
        for text in ["250ms", "1s", "90s", "1d", "400d"] {
            assert_eq!(Span::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [("64MiB", 64 << 20), ("1GB", 1_000_000_000), ("10", 10), ("7B", 7)] {
            assert_eq!(Size::parse(text), Some(Size(bytes)), "{text}");
        }
        assert_eq!((Size(64 << 20).to_string(), Size(1000).to_string()), ("64MiB".into(), "1000B".into()));
        assert_eq!(Size::parse("64 Mi"), None);
    }
}
