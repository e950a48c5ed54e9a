//! Any text is cut alike, whole or in pieces, and goes on alike after a restart at any piece.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trailmeter::decode::split::{Ending, Splitter};

fn cut(text: &[u8], piece: usize, restart: bool) -> (Vec<Vec<u8>>, usize) {
    let mut splitter = Splitter::new(4096, 1);
    let (mut values, mut broken, mut held, mut at) = (Vec::new(), Vec::new(), Vec::new(), 0);
    loop {
        let next = (at + piece).min(text.len());
        held.extend_from_slice(&text[at..next]);
        at = next;
        let ending = if at < text.len() { Ending::More } else { Ending::Eof };
        let mut spans = Vec::new();
        let done = splitter.cut(&held, ending, None, &mut spans, &mut broken);
        values.extend(spans.iter().map(|span| held[span.start as usize..span.end as usize].to_vec()));
        held.drain(..done);
        if ending == Ending::Eof {
            return (values, broken.len());
        }
        if restart && !splitter.is_skipping() {
            let (offset, context, document) = splitter.progress();
            splitter = Splitter::resume(4096, 1, offset, context, document);
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((first, text)) = data.split_first() else { return };
    let piece = usize::from(*first) + 1;
    let whole = cut(text, text.len().max(1), false);
    if text.len() < 4096 {
        assert_eq!(cut(text, piece, false), whole);
        assert_eq!(cut(text, piece, true), whole);
    }
});
