//! How a call was carried.

use super::Reported;

/// The version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum TlsVersion {
    /// TLS 1.0.
    V1_0 = 0,
    /// TLS 1.1.
    V1_1 = 1,
    /// TLS 1.2.
    V1_2 = 2,
    /// TLS 1.3.
    V1_3 = 3,
}

/// The label of each version, the last for one that is not known.
pub const LABELS: [&str; 5] = ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3", super::UNKNOWN];

impl TlsVersion {
    /// Reads `tlsDetails.tlsVersion` in any case: S3 access logs spell `TLSV1.2`.
    pub fn read(text: &str) -> Reported<Self> {
        let known = [
            ("TLSv1.2", Self::V1_2),
            ("TLSv1.3", Self::V1_3),
            ("TLSv1", Self::V1_0),
            ("TLSv1.0", Self::V1_0),
            ("TLSv1.1", Self::V1_1),
        ];
        let found = known.iter().find(|(spelling, _)| text.eq_ignore_ascii_case(spelling));
        found.map_or(Reported::Other, |(_, version)| Reported::Known(*version))
    }
}

impl Reported<TlsVersion> {
    /// Index into [`LABELS`].
    pub fn code(self) -> u8 {
        match self {
            Self::Known(version) => version as u8,
            Self::Missing | Self::Other => 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings() {
        for (text, label) in [
            ("TLSv1", "TLSv1"),
            ("TLSv1.0", "TLSv1"),
            ("tlsv1.1", "TLSv1.1"),
            ("TLSV1.2", "TLSv1.2"),
            ("TLSv1.3", "TLSv1.3"),
            ("TLSv1.4", "unknown"),
            ("1.2", "unknown"),
            ("SSLv3", "unknown"),
        ] {
            assert_eq!(LABELS[TlsVersion::read(text).code() as usize], label);
        }
    }
}
