use proptest::prelude::*;

use super::*;

/// The same byte by byte, as a reader would.
fn plainly(text: &[u8]) -> (Vec<(u32, u8)>, Seen) {
    let (mut marks, mut seen) = (Vec::new(), Seen::default());
    let (mut in_string, mut escaped, mut in_scalar) = (false, false, false);
    for (at, &byte) in text.iter().enumerate() {
        let was_in_scalar = std::mem::take(&mut in_scalar);
        // A backslash is one wherever it stands: sound JSON has none outside of strings.
        let is_escaped = std::mem::take(&mut escaped);
        escaped = byte == b'\\' && !is_escaped;
        if byte == b'"' && !is_escaped {
            in_string = !in_string;
            marks.push((at as u32, byte));
        } else if in_string {
            seen.control_in_string |= byte < 0x20;
        } else if b"{}[],:".contains(&byte) {
            marks.push((at as u32, byte));
        } else if !b" \t\r\n".contains(&byte) {
            in_scalar = true;
            if !was_in_scalar {
                marks.push((at as u32, SCALAR));
            }
        }
    }
    seen.open_string = in_string;
    (marks, seen)
}

fn end_plainly(text: &[u8]) -> End {
    let (marks, _) = plainly(text);
    let control = text.iter().position(|byte| *byte < 0x20);
    let mut depth = 0;
    for (at, kind) in marks {
        depth += i32::from(matches!(kind, b'{' | b'['));
        depth -= i32::from(matches!(kind, b'}' | b']'));
        if depth <= 0 && matches!(kind, b'}' | b']') {
            let end = at as usize + 1;
            return if control.is_some_and(|at| at < end) { End::Control } else { End::At(end) };
        }
    }
    if control.is_some() { End::Control } else { End::Open }
}

fn places(text: &[u8], is_one: impl Fn(u8) -> bool) -> Vec<u32> {
    (0..text.len() as u32).filter(|at| is_one(text[*at as usize])).collect()
}

fn check(text: &[u8]) {
    let (expect, seen) = plainly(text);
    for kernel in Kernel::available() {
        let mut marks = Marks::new(kernel);
        // Room that was used before is not told from new room.
        marks.mark(&[b'{'; 300]);
        assert_eq!(marks.mark(text), seen, "{kernel:?} {}", text.escape_ascii());
        let all = |marks: &Marks| -> Vec<(u32, u8)> {
            let Slice { at, kinds, .. } = marks.all();
            at.iter().copied().zip(kinds.iter().copied()).collect()
        };
        let has_backslash = text.contains(&b'\\');
        assert_eq!((marks.all().is_ascii, marks.all().has_backslash), (text.is_ascii(), has_backslash));
        let found = all(&marks);
        assert_eq!(found, expect, "{kernel:?} {}", text.escape_ascii());
        marks.mark_all(text);
        assert_eq!(all(&marks), expect, "{kernel:?} {}", text.escape_ascii());
        assert_eq!(marks.controls(), places(text, |byte| byte < 0x20));
        for (first, last) in [(0, found.len() / 2), (found.len() / 2, found.len().saturating_sub(1))] {
            let Some(slice) = marks.between(first, last) else { continue };
            // The last mark is a bracket wherever it matters.
            let within = &text[found[first].0 as usize..found[last].0 as usize];
            assert_eq!(slice.is_ascii, within.is_ascii(), "{kernel:?} {}", text.escape_ascii());
            assert_eq!(slice.has_backslash, within.contains(&b'\\'), "{kernel:?} {}", text.escape_ascii());
        }
        if text.starts_with(b"{") {
            let end = end_plainly(text);
            assert_eq!(kernel.end_of(text), end, "{kernel:?} {}", text.escape_ascii());
            let close = marks.close_of(0).map(|mark| End::At(found[mark].0 as usize + 1));
            assert_eq!(close, Some(end).filter(|end| *end != End::Open).and(close), "{kernel:?}");
            if let End::At(_) = end {
                assert_eq!(close, Some(end), "{kernel:?} {}", text.escape_ascii());
            }
        }
    }
}

#[test]
fn strings_brackets_and_scalars() {
    for text in [
        r#"{"a":1,"b":[true,null],"c":{"d":"{[\"]}"}}"#,
        r#"{ "a" : -1.5e3 , "\\" : "\\\"" } trailing"#,
        "{\"a\n\":1}",
        "{\"\u{e9}\":1}",
        "{}{}",
        "",
        "{\"a",
    ] {
        check(text.as_bytes());
        // The same across the borders of blocks.
        for before in [1, 30, 61, 62, 63, 64, 127] {
            check(format!("{{\"{}\":{text}", "\\\\".repeat(before)).as_bytes());
            check(format!("{{\"{}\":{text}", "x".repeat(before)).as_bytes());
        }
    }
}

#[test]
fn every_byte_is_told_alike_inside_and_outside_of_strings() {
    for byte in 0..=255 {
        check(&[b'{', byte, b'1', byte, b'}']);
        check(&[b'{', b'"', byte, b'"', b'}']);
    }
}

#[test]
fn more_marks_than_a_register_holds() {
    for length in [15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 200] {
        check("[".repeat(length).as_bytes());
        check(format!("{{{}{}}}", "[".repeat(length), "]".repeat(length)).as_bytes());
    }
}

proptest! {
    #[test]
    fn any_text_is_marked_alike(text in "[{}\\[\\]:,\"\\\\a1 \né]{0,200}") {
        check(text.as_bytes());
        check(format!("{{{text}").as_bytes());
    }

    #[test]
    fn prefixes_are_compared_alike(
        text in "[\"a-c\u{e9}]{1,160}",
        asked in proptest::collection::vec((any::<u16>(), 0usize..50, proptest::option::of(any::<u16>())), 0..5),
    ) {
        let text = text.as_bytes();
        for kernel in Kernel::available() {
            let mut marks = Marks::new(kernel);
            marks.mark(text);
            let slice = marks.all();
            let (mut expected, mut prefixes, mut are_behind) = (Vec::new(), Vec::new(), true);
            for (mark, length, other) in &asked {
                if slice.at.is_empty() {
                    continue;
                }
                let mark = usize::from(*mark) % slice.at.len();
                let behind = &text[slice.at[mark] as usize + 1..];
                let mut prefix = behind[..behind.len().min(*length)].to_vec();
                if let Some(other) = other {
                    // Another byte, or one more than there is.
                    match prefix.get_mut(usize::from(*other) % 60) {
                        Some(byte) => *byte ^= 1,
                        None => prefix.push(b'z'),
                    }
                }
                are_behind &= behind.starts_with(&prefix);
                expected.push(Expected { mark: mark as u16, prefix: prefixes.len() as u16 });
                prefixes.push(Prefix::new(prefix));
            }
            prop_assert_eq!(slice.are_behind(text, &expected, &prefixes), are_behind, "{:?}", kernel);
        }
    }

    #[test]
    fn any_bytes_are_marked_alike(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        check(&bytes);
    }
}
