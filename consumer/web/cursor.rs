//! Where the next page of a list begins. Clients pass cursors back as they got them; anything else is refused.

use serde::{Deserialize, Serialize};

use crate::event::judge::Weakness;
use crate::event::time;
use crate::window::{Versions, WindowSize};

/// The last row of a page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cursor {
    /// Of a window. It carries the time, so that all pages are of the same window.
    Window {
        /// The window's name.
        window: String,
        /// Its time, in seconds since 1970.
        at_s: i64,
        /// The row's account.
        account_id: String,
        /// Its principal.
        principal: String,
        /// The code of its versions.
        versions: u8,
    },
    /// Of the shards: the whole name.
    Shard(String),
    /// Of the weak callers.
    Caller {
        /// The code of the weakness.
        weakness: u8,
        /// The account.
        account_id: String,
        /// The principal.
        principal: String,
    },
    /// Of a numbered list.
    Number(u64),
}

impl Cursor {
    /// Letters and digits for a URL.
    pub fn text(&self) -> String {
        // Serialising plain numbers and text into memory has no way to fail.
        let bytes = postcard::to_stdvec(self).unwrap_or_default();
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Reads what [`Cursor::text`] wrote; none if it is anything else.
    pub fn read(text: &str) -> Option<Self> {
        let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(byte).collect();
        let bytes = bytes?;
        let (cursor, rest) = postcard::take_from_bytes::<Self>(&bytes).ok()?;
        (rest.is_empty() && cursor.is_sound()).then_some(cursor)
    }

    fn is_sound(&self) -> bool {
        match self {
            Self::Shard(_) | Self::Number(_) => true,
            Self::Caller { weakness, .. } => Weakness::from_code(*weakness).is_some(),
            Self::Window { window, at_s, versions, .. } => {
                let is_time =
                    i64::abs(at_s.saturating_add(1)) < 1 << 40 && time::parse(&time::format(*at_s)).is_some();
                is_time && WindowSize::parse(window).is_some() && Versions::from_code(*versions).is_some()
            }
        }
    }
}

fn byte(digits: &[u8]) -> Option<u8> {
    let &[high, low] = digits else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cursor(at_s: i64, versions: u8, principal: &str) -> Cursor {
        let (window, account_id) = ("5m".to_owned(), "123456789012".to_owned());
        Cursor::Window { window, at_s, account_id, principal: principal.to_owned(), versions }
    }

    #[test]
    fn what_no_list_gives_out_is_refused() {
        let hostile = [cursor(i64::MIN, 0, ""), cursor(i64::MAX, 0, ""), cursor(0, 200, "")];
        for text in
            hostile.iter().map(Cursor::text).chain(["", "0", "zz", "é", "00ffffffffff0f"].map(str::to_owned))
        {
            assert_eq!(Cursor::read(&text), None, "{text}");
        }
        let sound = cursor(0, 0, "").text();
        assert_eq!(Cursor::read(&format!("{sound}00")), None);
    }

    proptest! {
        #[test]
        fn what_is_given_out_is_read(
            at_s in 0i64..4_000_000_000,
            versions in 0u8..20,
            principal in any::<String>(),
        ) {
            let cursor = cursor(at_s, versions, &principal);
            prop_assert_eq!(Cursor::read(&cursor.text()), Some(cursor));
        }

        #[test]
        fn nothing_breaks_it(text in any::<String>(), bytes in any::<Vec<u8>>()) {
            Cursor::read(&text);
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            Cursor::read(&hex);
        }
    }
}
