//! What kind of credential signed a call, told by the first letters of its access key id.

/// The kind of an access key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// `AKIA`: a user's or root's own key, valid until someone deletes it.
    LongTerm,
    /// `ASIA`: a session's key.
    Temporary,
    /// Any other (`ABIA` bearer tokens, `ACCA` context-specific credentials, …).
    Other,
    /// The event names no key.
    None,
}

impl KeyKind {
    /// The kind of this key id.
    pub fn of(access_key_id: Option<&str>) -> Self {
        match access_key_id {
            None | Some("") => Self::None,
            Some(id) if id.starts_with("AKIA") => Self::LongTerm,
            Some(id) if id.starts_with("ASIA") => Self::Temporary,
            Some(_) => Self::Other,
        }
    }

    /// The name in the API and in output.
    pub fn label(self) -> &'static str {
        match self {
            Self::LongTerm => "long_term",
            Self::Temporary => "temporary",
            Self::Other => "other",
            Self::None => "none",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        for (id, label) in [
            (Some("AKIAEXAMPLE"), "long_term"),
            (Some("ASIAEXAMPLE"), "temporary"),
            (Some("ABIAEXAMPLE"), "other"),
            (Some("akia"), "other"),
            (Some(""), "none"),
            (None, "none"),
        ] {
            assert_eq!(KeyKind::of(id).label(), label);
        }
    }
}
