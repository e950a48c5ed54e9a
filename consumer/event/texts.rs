//! The texts of a call side by side, with a hash of each, made once for all that tell calls apart by them.

use std::cell::Cell;
use std::hash::{BuildHasher, Hasher};

use hashbrown::DefaultHashBuilder;
use trailmeter_rules::event::Known;

use super::Event;

/// Texts of [`Known`] up to here are laid out.
const LAID_OUT: usize = Known::Account as usize + 1;
/// The hash of what is not there.
const ABSENT: u64 = 0x5851_f42d_4c95_7f2d;

/// Texts of a call.
pub struct Texts<'c> {
    texts: [Option<&'c str>; LAID_OUT],
    hasher: &'c DefaultHashBuilder,
    /// 0: not made yet.
    hashes: [Cell<u64>; LAID_OUT],
}

impl<'c> Texts<'c> {
    /// Of this event by this caller; hashes are made by `hasher`.
    pub fn of(
        event: &Event<'c>,
        account_id: &'c str,
        principal: &'c str,
        hasher: &'c DefaultHashBuilder,
    ) -> Self {
        let identity = &event.identity;
        // In the order of `Known`; four of them are not said but judged.
        let texts = [
            event.source,
            event.name,
            identity.kind,
            event.event_type,
            event.error_code,
            identity.invoked_by,
            None,
            None,
            None,
            None,
            identity.arn,
            identity.account_id,
            event.recipient_account_id,
            event.region,
            event.source_ip,
            event.user_agent,
            identity.access_key_id,
            Some(principal),
            Some(account_id),
        ];
        Self { texts, hasher, hashes: [const { Cell::new(0) }; LAID_OUT] }
    }

    /// The text, if it is laid out and there is one.
    #[inline]
    pub fn get(&self, known: Known) -> Option<&'c str> {
        self.texts.get(known as usize).copied().flatten()
    }

    /// The hash of a text that is laid out, or of its absence: the same for the same text of the same kind.
    #[inline]
    pub fn hash(&self, known: Known) -> u64 {
        let Some(cell) = self.hashes.get(known as usize) else { return 0 };
        if cell.get() == 0 {
            cell.set(match self.get(known) {
                Some(text) => self.hash_text(text, known),
                None => kind(ABSENT, known),
            });
        }
        cell.get()
    }

    /// The hash of any text of this kind.
    pub fn hash_text(&self, text: &str, known: Known) -> u64 {
        let mut state = self.hasher.build_hasher();
        state.write(text.as_bytes());
        kind(state.finish(), known)
    }
}

/// Texts of two kinds may change places; and no hash is 0.
fn kind(hash: u64, known: Known) -> u64 {
    hash.wrapping_mul((known as u64) << 1 | 1) | 1
}
