//! How a call was signed.

use super::Reported;

/// The version of AWS's signing protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum SignatureVersion {
    /// Signature Version 2 (S3's own first scheme is reported so, too).
    SigV2 = 0,
    /// Signature Version 4.
    SigV4 = 1,
    /// Signature Version 4A, asymmetric, for several regions.
    SigV4A = 2,
}

/// The label of each version, the last for one that is not known.
pub const LABELS: [&str; 4] = ["SigV2", "SigV4", "SigV4A", super::UNKNOWN];

impl SignatureVersion {
    /// Reads `additionalEventData.SignatureVersion` in any case; SES writes the bare number.
    pub fn read(text: &str) -> Reported<Self> {
        let known = [
            ("SigV4", Self::SigV4),
            ("SigV2", Self::SigV2),
            ("SigV4A", Self::SigV4A),
            ("4", Self::SigV4),
            ("2", Self::SigV2),
        ];
        let found = known.iter().find(|(spelling, _)| text.eq_ignore_ascii_case(spelling));
        found.map_or(Reported::Other, |(_, version)| Reported::Known(*version))
    }
}

impl Reported<SignatureVersion> {
    /// Index into [`LABELS`].
    pub fn code(self) -> u8 {
        match self {
            Self::Known(version) => version as u8,
            Self::Missing | Self::Other => 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings() {
        let check =
            |text: &str, label: &str| assert_eq!(LABELS[SignatureVersion::read(text).code() as usize], label);
        for (text, label) in
            [("SigV2", "SigV2"), ("sigv2", "SigV2"), ("2", "SigV2"), ("4", "SigV4"), ("SIGV4A", "SigV4A")]
        {
            check(text, label);
        }
        for text in ["SigV3", "V4", "04", " SigV4", "SigV4 "] {
            assert_eq!(SignatureVersion::read(text), Reported::Other);
            check(text, "unknown");
        }
    }
}
