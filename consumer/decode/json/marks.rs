//! The marks of a sound text, found byte by byte: for texts that a layout is learned from, which are few.

/// The kind of a mark where a number, `true`, `false` or `null` begins.
pub const SCALAR: u8 = b'v';

/// Quotes, brackets, commas and colons outside of strings, and the first byte of each scalar: their places, and their
/// bytes ([`SCALAR`] for a scalar). The text is JSON without a backslash.
pub fn marks(text: &[u8]) -> (Vec<usize>, Vec<u8>) {
    let (mut places, mut kinds) = (Vec::new(), Vec::new());
    let (mut in_string, mut in_scalar) = (false, false);
    for (at, &byte) in text.iter().enumerate() {
        let was_in_scalar = std::mem::take(&mut in_scalar);
        let kind = match byte {
            b'"' => {
                in_string = !in_string;
                byte
            }
            _ if in_string => continue,
            b'{' | b'}' | b'[' | b']' | b',' | b':' => byte,
            b' ' | b'\t' | b'\r' | b'\n' => continue,
            _ => {
                in_scalar = true;
                SCALAR
            }
        };
        if kind != SCALAR || !was_in_scalar {
            places.push(at);
            kinds.push(kind);
        }
    }
    (places, kinds)
}
