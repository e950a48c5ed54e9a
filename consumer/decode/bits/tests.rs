use proptest::prelude::*;

use super::*;

fn end_plainly(text: &[u8]) -> End {
    let (mut depth, mut in_string, mut escaped) = (0, false, false);
    let control = text.iter().position(|byte| *byte < 0x20);
    for (at, &byte) in text.iter().enumerate() {
        // A backslash is one wherever it stands: sound JSON has none outside of strings.
        let is_escaped = std::mem::replace(&mut escaped, false);
        escaped = byte == b'\\' && !is_escaped;
        if byte == b'"' && !is_escaped {
            in_string = !in_string;
        }
        let counts = !in_string;
        depth += i32::from(counts && matches!(byte, b'{' | b'['));
        depth -= i32::from(counts && matches!(byte, b'}' | b']'));
        if counts && depth <= 0 && matches!(byte, b'}' | b']') {
            return if control.is_some_and(|control| control < at) { End::Control } else { End::At(at + 1) };
        }
    }
    if control.is_some() { End::Control } else { End::Open }
}

/// All answers about 64 bytes.
struct Answers<'t>(&'t [u8; BLOCK], &'t [u8; BLOCK]);

impl Task for Answers<'_> {
    type Output = [u64; 8];

    fn run<B: Block>(self) -> [u64; 8] {
        let block = B::load(self.0);
        [
            block.quotes(),
            block.backslashes(),
            block.opens(),
            block.closes(),
            block.controls(),
            block.stops(),
            block.others(self.1),
            B::prefix_xor(block.quotes()),
        ]
    }
}

fn bits(is_one: impl Fn(usize) -> bool) -> u64 {
    (0..BLOCK).fold(0, |bits, at| bits | u64::from(is_one(at)) << at)
}

fn check_block(bytes: &[u8; BLOCK], other: &[u8; BLOCK]) {
    let of = |is_one: &dyn Fn(u8) -> bool| bits(|at| is_one(bytes[at]));
    let expect = [
        of(&|byte| byte == b'"'),
        of(&|byte| byte == b'\\'),
        of(&|byte| matches!(byte, b'{' | b'[')),
        of(&|byte| matches!(byte, b'}' | b']')),
        of(&|byte| byte < 0x20),
        of(&|byte| matches!(byte, b'"' | b'\\' | 0..0x20 | 0x80..)),
        bits(|at| bytes[at] != other[at]),
        bits(|at| bytes[..=at].iter().filter(|byte| **byte == b'"').count() % 2 == 1),
    ];
    for kernel in Kernel::available() {
        assert_eq!(kernel.run(Answers(bytes, other)), expect, "{kernel:?} {}", bytes.escape_ascii());
    }
}

fn check_end(text: &[u8]) {
    let end = end_plainly(text);
    for kernel in Kernel::available() {
        assert_eq!(kernel.end_of(text), end, "{kernel:?} {}", text.escape_ascii());
    }
}

#[test]
fn values_end_where_brackets_are_closed() {
    for text in [
        r#"{"a":1,"b":[true,null],"c":{"d":"{[\"]}"}}"#,
        r#"{ "a" : -1.5e3 , "\\" : "\\\"" } trailing"#,
        "{\"a\n\":1}",
        "{\"\u{e9}\":1}",
        "{}{}",
        "{\"a",
    ] {
        check_end(text.as_bytes());
        // The same across the borders of blocks.
        for before in [1, 30, 61, 62, 63, 64, 127] {
            check_end(format!("{{\"{}\":{text}", "\\\\".repeat(before)).as_bytes());
            check_end(format!("{{\"{}\":{text}", "x".repeat(before)).as_bytes());
        }
    }
    for length in [15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 200] {
        check_end("[".repeat(length).as_bytes());
        check_end(format!("{{{}{}}}", "[".repeat(length), "]".repeat(length)).as_bytes());
    }
}

#[test]
fn every_byte_is_told_from_every_other() {
    for byte in 0..=255 {
        for other in 0..=255 {
            // Neighbours of all kinds: nothing is carried from one byte to the next.
            let bytes = std::array::from_fn(|at| if at % 3 == 0 { byte } else { other });
            check_block(&bytes, &[other; BLOCK]);
        }
    }
}

proptest! {
    #[test]
    fn values_of_any_text_end_alike(text in "[{}\\[\\]:,\"\\\\a1 \né]{0,200}") {
        check_end(format!("{{{text}").as_bytes());
    }

    #[test]
    fn any_bytes_are_told_alike(
        bytes in proptest::collection::vec(any::<u8>(), BLOCK), other in proptest::collection::vec(any::<u8>(), BLOCK),
    ) {
        check_block(bytes.as_slice().try_into().unwrap(), other.as_slice().try_into().unwrap());
        check_end(&[&b"{"[..], &bytes, &other].concat());
    }
}
