//! Memory that will be read soon, brought near while there is something else to do.
//!
//! Hints only: nothing is read, and nothing depends on whether the processor follows them. Where there is no such
//! instruction, nothing happens.

/// Bytes that come near at once.
const LINE: usize = 64;
/// Of more bytes than these the processor finds the rest by itself.
const MOST_BYTES: usize = 4096;

/// The line at an address, which may be any.
#[inline]
#[allow(unsafe_code)]
pub fn line(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint. Nothing is read, whatever the address. Without it each id of a large history waits for memory, and
        // so does each record of a stream; benches/decode.rs has both.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// Things in their order, each of which `near` is called for before the one in front of it is given.
pub fn one_ahead<T>(things: &[T], near: impl Fn(&T)) -> impl Iterator<Item = &T> {
    things.iter().enumerate().map(move |(number, thing)| {
        things.get(number + 1).inspect(|next| near(next));
        thing
    })
}

/// The beginning of a text.
pub fn text(text: &[u8]) {
    text[..text.len().min(MOST_BYTES)].chunks(LINE).for_each(|bytes| line(bytes.as_ptr()));
}
