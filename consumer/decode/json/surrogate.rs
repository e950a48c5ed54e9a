//! Halves of surrogate pairs: what is left of an emoji where a user agent was cut. JSON's grammar allows `\ud83d` alone,
//! the parser does not.

/// `\ufffd`, which stands for what can't be read.
const REPLACEMENT: &[u8] = b"\\ufffd";

/// The text with each half of a pair replaced; none if there is none, so that whatever is wrong with the text is
/// something else.
pub fn mended(text: &[u8]) -> Option<Vec<u8>> {
    let (mut mended, mut at, mut kept) = (Vec::new(), 0, 0);
    while let Some(next) = memchr::memchr(b'\\', &text[at..]) {
        at += next;
        match (escape(text, at), escape(text, at + 6)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => at += 12,
            (Some(0xd800..=0xdfff), _) => {
                mended.extend_from_slice(&text[kept..at]);
                mended.extend_from_slice(REPLACEMENT);
                at += 6;
                kept = at;
            }
            // Also `\\`, whose second backslash begins nothing.
            _ => at = text.len().min(at + 2),
        }
    }
    if kept == 0 {
        return None;
    }
    mended.extend_from_slice(&text[kept..]);
    Some(mended)
}

/// The number of the `\uXXXX` that begins here.
fn escape(text: &[u8], at: usize) -> Option<u16> {
    let digits = text.get(at..at + 6)?.strip_prefix(b"\\u")?;
    let digits =
        std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::mended;

    fn check(text: &str, expect: Option<&str>) {
        let found = mended(text.as_bytes()).map(|mended| String::from_utf8(mended).unwrap());
        assert_eq!(found.as_deref(), expect, "{text}");
    }

    #[test]
    fn halves_are_replaced_and_pairs_are_not() {
        check(r#"["x\ud83d"]"#, Some(r#"["x\ufffd"]"#));
        check(r#"["\ude00\uD83D\uDE00\ud83d\u0041"]"#, Some(r#"["\ufffd\uD83D\uDE00\ufffd\u0041"]"#));
        check(r#"["\ud83d\ud83d\ude00"]"#, Some(r#"["\ufffd\ud83d\ude00"]"#));
        check(r#"["\\ud83d", "\n", "\ud83d\ude00"]"#, None);
        check(r#"["\ud8"#, None);
        check(r#"["\ud83g"]"#, None);
        check("\\", None);
        check("", None);
    }
}
