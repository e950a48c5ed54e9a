//! Cuts text into whole JSON values without parsing them.
//!
//! Enters: a growing piece of decompressed text. Leaves: the spans of the values that stand alone (bare events,
//! NDJSON, envelopes) or are elements of a top-level array or of a `Records` array, and what is broken between
//! them. It looks at strings, brackets and commas only; whether a value is sound JSON is for the parser to say.
//!
//! A value that stands alone and breaks off costs itself: cutting goes on at the next line that begins with a
//! bracket. An array that breaks off costs its rest, for nothing says where its next element begins.

use memchr::{memchr, memchr3, memmem};

use super::access_log::{self, Begins};
use super::bits::{End, Kernel};
use super::json::{JsonReader, Known};
use super::{Broken, EventRejection, RecordRejection};
use crate::source::Span;

/// What stands around the next byte. The numbers are stored, see [`crate::source::FileProgress::context`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Context {
    /// Nothing: a value begins here.
    Top = 0,
    /// After `[`: an element or `]`.
    ArrayStart = 1,
    /// After an element's comma: an element.
    ArrayNext = 2,
    /// After an element: a comma or `]`.
    ArrayAfter = 3,
    /// As the three above, within `{"Records":[`.
    RecordsStart = 4,
    RecordsNext = 5,
    RecordsAfter = 6,
    /// After the `]` of `Records`: the rest of the object around it.
    RecordsTail = 7,
    /// A lone value broke off: on to the next line that begins one.
    Resync = 8,
    /// Nothing that follows counts.
    Dead = 9,
}

impl Context {
    fn from_stored(code: u8) -> Self {
        use Context::{
            ArrayAfter, ArrayNext, ArrayStart, Dead, RecordsAfter, RecordsNext, RecordsStart, RecordsTail,
            Resync, Top,
        };
        [
            Top,
            ArrayStart,
            ArrayNext,
            ArrayAfter,
            RecordsStart,
            RecordsNext,
            RecordsAfter,
            RecordsTail,
            Resync,
            Dead,
        ]
        .into_iter()
        .nth(usize::from(code))
        .unwrap_or(Dead)
    }

    fn in_records(self) -> bool {
        matches!(self, Self::RecordsStart | Self::RecordsNext | Self::RecordsAfter)
    }

    fn after_element(self) -> Self {
        if self.in_records() { Self::RecordsAfter } else { Self::ArrayAfter }
    }

    fn after_comma(self) -> Self {
        if self.in_records() { Self::RecordsNext } else { Self::ArrayNext }
    }
}

/// What a look at one value found.
enum Scan {
    /// It ends here (one past its last byte).
    Complete(usize),
    /// It is an object whose `Records` array begins here (one past its bracket).
    Records(usize),
    /// The text ends within it.
    Partial,
    /// Brackets, commas or strings are wrong.
    Broken,
}

/// Whether more text may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// More text may follow: a value that is not complete waits.
    More,
    /// The text ends here: a value that is not complete is broken.
    Eof,
    /// The text was cut off by a fault that is reported elsewhere: what is not complete is left out.
    Torn,
}

/// The state between two pieces of one text.
#[derive(Debug)]
pub struct Splitter {
    kernel: Kernel,
    max_event_bytes: usize,
    context: Context,
    seed: u64,
    document: u64,
    /// Bytes of the text before the piece at hand.
    base: u64,
    skip: Option<Skip>,
    stack: Vec<u8>,
    known: Known,
}

/// How far an element that is too large was passed over.
#[derive(Debug)]
struct Skip {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Splitter {
    /// A splitter at the beginning of a text. `seed` makes the numbers of its documents differ from other texts';
    /// a value above `max_event_bytes` is rejected as too large.
    pub fn new(max_event_bytes: usize, seed: u64) -> Self {
        Self::resume(max_event_bytes, seed, 0, Context::Top as u8, 0)
    }

    /// A splitter that goes on at `offset`, as [`Splitter::progress`] told it.
    pub fn resume(max_event_bytes: usize, seed: u64, offset: u64, context: u8, document: u64) -> Self {
        Self {
            kernel: Kernel::best(),
            max_event_bytes,
            context: Context::from_stored(context),
            seed,
            document,
            base: offset,
            skip: None,
            stack: Vec::new(),
            known: Known::default(),
        }
    }

    /// Uses the room of another splitter.
    pub fn with_room(self, known: Known) -> Self {
        Self { known, ..self }
    }

    /// Gives the room back.
    pub fn into_room(self) -> Known {
        self.known
    }

    /// What is known of the values that were cut last, by the number of their span.
    pub fn known(&self) -> &Known {
        &self.known
    }

    /// Offset of the next byte, what stands around it, and the document it belongs to.
    pub fn progress(&self) -> (u64, u8, u64) {
        (self.base, self.context as u8, self.document)
    }

    /// Whether it is within a value that is too large; the progress is then not a place to go on from.
    pub fn is_skipping(&self) -> bool {
        self.skip.is_some()
    }

    /// Whether nothing that follows counts.
    pub fn is_dead(&self) -> bool {
        self.context == Context::Dead
    }

    /// Cuts `text`, the bytes after those consumed so far. Appends spans (relative to `text`) and what is broken;
    /// returns how many bytes are done with. The rest must come again, with more behind it. A reader that knows values
    /// by their layouts knows where they end; nothing else depends on it.
    pub fn cut(
        &mut self,
        text: &[u8],
        ending: Ending,
        reader: Option<&JsonReader>,
        spans: &mut Vec<Span>,
        broken: &mut Vec<Broken>,
    ) -> usize {
        self.known.clear();
        let mut at = 0;
        loop {
            let next = match self.context {
                _ if self.skip.is_some() => self.skip_value(text, at),
                Context::Top => self.top(text, at, ending, reader, spans, broken),
                Context::RecordsTail => self.records_tail(text, at, ending, broken),
                Context::Resync => self.resync(text, at),
                Context::Dead => Step::Stop(text.len()),
                _ => self.element(text, at, ending, reader, spans, broken),
            };
            match next {
                Step::On(to) => at = to,
                Step::Stop(to) => {
                    self.base += to as u64;
                    return to;
                }
            }
        }
    }

    /// Consumes what belongs to a value that is too large, and no more. Returns how many bytes that was.
    pub fn pass_over(&mut self, text: &[u8]) -> usize {
        let (Step::On(to) | Step::Stop(to)) = self.skip_value(text, 0);
        self.base += to as u64;
        to
    }

    fn top(
        &mut self,
        text: &[u8],
        at: usize,
        ending: Ending,
        reader: Option<&JsonReader>,
        spans: &mut Vec<Span>,
        broken: &mut Vec<Broken>,
    ) -> Step {
        let at = skip_blank(text, at);
        let Some(&first) = text.get(at) else { return Step::Stop(at) };
        match first {
            b'[' => {
                self.begin_document(at);
                self.context = Context::ArrayStart;
                Step::On(at + 1)
            }
            b'{' => self.lone_object(text, at, ending, reader, spans, broken),
            _ if self.base + at as u64 == 0 => match access_log::begins(&text[at..]) {
                Begins::Yes => self.lone_line(text, at, ending, spans),
                Begins::Perhaps if ending == Ending::More => Step::Stop(at),
                Begins::Perhaps | Begins::No => {
                    broken.push(Broken::Record(what_is_it(text)));
                    self.context = Context::Dead;
                    Step::On(at)
                }
            },
            _ => self.lone_line(text, at, ending, spans),
        }
    }

    fn lone_object(
        &mut self,
        text: &[u8],
        at: usize,
        ending: Ending,
        reader: Option<&JsonReader>,
        spans: &mut Vec<Span>,
        broken: &mut Vec<Broken>,
    ) -> Step {
        match self.scan(text, at, true, reader) {
            Scan::Complete(end) if end - at > self.max_event_bytes => {
                broken.push(Broken::Event(EventRejection::TooLarge));
                Step::On(end)
            }
            Scan::Complete(end) => {
                self.found(spans, span(at, end, 0));
                Step::On(end)
            }
            Scan::Records(inner) => {
                self.begin_document(at);
                self.context = Context::RecordsStart;
                Step::On(inner)
            }
            Scan::Broken => {
                broken.push(Broken::Event(EventRejection::NotJson));
                self.context = Context::Resync;
                Step::On(at)
            }
            Scan::Partial => self.partial(text, at, ending, broken),
        }
    }

    /// A line that begins with neither bracket: left to the parser, which tells a scalar from no JSON at all.
    fn lone_line(&mut self, text: &[u8], at: usize, ending: Ending, spans: &mut Vec<Span>) -> Step {
        let line_end = match memchr(b'\n', &text[at..]) {
            Some(length) => at + length,
            None if ending == Ending::Eof => text.len(),
            None if ending == Ending::More && text.len() - at > self.max_event_bytes => text.len(),
            None => return Step::Stop(at),
        };
        let end = line_end.min(at + self.max_event_bytes);
        self.known.forget_last();
        self.found(spans, span(at, end, 0));
        Step::On(line_end)
    }

    fn element(
        &mut self,
        text: &[u8],
        at: usize,
        ending: Ending,
        reader: Option<&JsonReader>,
        spans: &mut Vec<Span>,
        broken: &mut Vec<Broken>,
    ) -> Step {
        let at = skip_blank(text, at);
        let Some(&first) = text.get(at) else { return self.torn_array(at, ending, broken) };
        match (first, self.context) {
            (b',', Context::ArrayAfter | Context::RecordsAfter) => {
                self.context = self.context.after_comma();
                Step::On(at + 1)
            }
            (b']', Context::ArrayStart | Context::ArrayAfter) => {
                self.end_document();
                Step::On(at + 1)
            }
            (b']', Context::RecordsStart | Context::RecordsAfter) => {
                self.context = Context::RecordsTail;
                Step::On(at + 1)
            }
            (b',' | b']' | b'}' | b':', _) | (_, Context::ArrayAfter | Context::RecordsAfter) => {
                self.break_off(at, broken)
            }
            _ => match self.scan(text, at, false, reader) {
                Scan::Complete(end) if end - at > self.max_event_bytes => {
                    broken.push(Broken::Event(EventRejection::TooLarge));
                    self.context = self.context.after_element();
                    Step::On(end)
                }
                Scan::Complete(end) => {
                    self.found(spans, span(at, end, self.document));
                    self.context = self.context.after_element();
                    Step::On(end)
                }
                Scan::Broken | Scan::Records(_) => self.break_off(at, broken),
                Scan::Partial => self.partial(text, at, ending, broken),
            },
        }
    }

    fn records_tail(&mut self, text: &[u8], at: usize, ending: Ending, broken: &mut Vec<Broken>) -> Step {
        self.stack.clear();
        self.stack.push(b'{');
        match scan_from(text, at, &mut self.stack, b']', false) {
            Scan::Complete(end) => {
                self.end_document();
                Step::On(end)
            }
            Scan::Partial => self.partial(text, at, ending, broken),
            Scan::Broken | Scan::Records(_) => self.break_off(at, broken),
        }
    }

    fn torn_array(&mut self, at: usize, ending: Ending, broken: &mut Vec<Broken>) -> Step {
        if ending == Ending::Eof {
            return self.break_off(at, broken);
        }
        Step::Stop(at)
    }

    fn break_off(&mut self, at: usize, broken: &mut Vec<Broken>) -> Step {
        broken.push(Broken::Event(EventRejection::NotJson));
        self.context = Context::Dead;
        Step::On(at)
    }

    /// The text ends within the value that begins at `at`.
    fn partial(&mut self, text: &[u8], at: usize, ending: Ending, broken: &mut Vec<Broken>) -> Step {
        match ending {
            Ending::Eof => {
                broken.push(Broken::Event(EventRejection::NotJson));
                self.context = if self.context == Context::Top { Context::Resync } else { Context::Dead };
                Step::On(at)
            }
            Ending::More if text.len() - at > self.max_event_bytes => {
                broken.push(Broken::Event(EventRejection::TooLarge));
                let depth = usize::from(self.context == Context::RecordsTail);
                self.skip = Some(Skip { depth, in_string: false, escaped: false });
                Step::On(at)
            }
            Ending::More | Ending::Torn => Step::Stop(at),
        }
    }

    fn skip_value(&mut self, text: &[u8], mut at: usize) -> Step {
        let Some(skip) = self.skip.as_mut() else { return Step::On(at) };
        while let Some(&byte) = text.get(at) {
            at += 1;
            match byte {
                _ if skip.escaped => skip.escaped = false,
                b'\\' if skip.in_string => skip.escaped = true,
                b'"' => skip.in_string = !skip.in_string,
                _ if skip.in_string => {}
                b'{' | b'[' => skip.depth += 1,
                b'}' | b']' => {
                    skip.depth = skip.depth.saturating_sub(1);
                    if skip.depth == 0 {
                        self.skip = None;
                        self.context = match self.context {
                            Context::Top | Context::RecordsTail => Context::Top,
                            inside => inside.after_element(),
                        };
                        return Step::On(at);
                    }
                }
                _ => {}
            }
        }
        Step::Stop(at)
    }

    fn resync(&mut self, text: &[u8], at: usize) -> Step {
        let mut from = at;
        while let Some(length) = memchr(b'\n', &text[from..]) {
            let line = from + length + 1;
            match text.get(line) {
                None => return Step::Stop(from + length),
                Some(b' ' | b'\t' | b'\r' | b'\n' | b'}' | b']' | b'"') => from = line,
                Some(_) => {
                    self.context = Context::Top;
                    return Step::On(line);
                }
            }
        }
        Step::Stop(text.len())
    }

    /// Looks at the value that begins at `at`; `find_records` stops at an object's own `Records` array.
    fn scan(&mut self, text: &[u8], at: usize, find_records: bool, reader: Option<&JsonReader>) -> Scan {
        self.known.forget_last();
        let rest = &text[at..];
        let is_envelope = find_records && text.get(skip_blank(text, at + 1)..).is_some_and(is_records_key);
        if !matches!(rest[0], b'{' | b'[') || is_envelope {
            return scan(text, at, &mut self.stack, find_records);
        }
        let may_hold_records = |value| find_records && memmem::find(value, RECORDS_KEY).is_some();
        if let Some(end) = reader.and_then(|reader| reader.locate(rest, &mut self.known)) {
            if !may_hold_records(&rest[..end]) {
                return Scan::Complete(at + end);
            }
            self.known.forget_last();
        }
        // Counting brackets finds the end of most others. A value with a line feed is looked at byte by byte: it may be
        // one that broke off, with others behind it.
        match self.kernel.end_of(rest) {
            End::At(end) if !may_hold_records(&rest[..end]) => Scan::Complete(at + end),
            End::Open if !may_hold_records(rest) => Scan::Partial,
            _ => scan(text, at, &mut self.stack, find_records),
        }
    }

    fn found(&mut self, spans: &mut Vec<Span>, span: Span) {
        spans.push(span);
        self.known.keep();
    }

    fn begin_document(&mut self, at: usize) {
        let offset = self.base + at as u64;
        self.document = xxhash_rust::xxh3::xxh3_64_with_seed(&offset.to_le_bytes(), self.seed) | 1;
    }

    fn end_document(&mut self) {
        self.document = 0;
        self.context = Context::Top;
    }
}

enum Step {
    On(usize),
    Stop(usize),
}

fn span(start: usize, end: usize, document: u64) -> Span {
    // A piece is bounded by the limits on events and records, far below 4 GiB.
    Span { start: start as u32, end: end as u32, document }
}

fn skip_blank(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
        at += 1;
    }
    at
}

/// Why a text that begins with neither bracket is refused.
fn what_is_it(text: &[u8]) -> RecordRejection {
    let sample = &text[..text.len().min(4096)];
    let readable = match std::str::from_utf8(sample) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    if readable && !sample.contains(&0) {
        RecordRejection::UnknownEnvelope
    } else {
        RecordRejection::BadEncoding
    }
}

const RECORDS_KEY: &[u8] = b"\"Records\"";

fn is_records_key(text: &[u8]) -> bool {
    text.starts_with(RECORDS_KEY)
}

/// The same byte by byte.
fn scan(text: &[u8], at: usize, stack: &mut Vec<u8>, find_records: bool) -> Scan {
    stack.clear();
    match text[at] {
        open @ (b'{' | b'[') => {
            stack.push(open);
            scan_from(text, at + 1, stack, open, find_records)
        }
        b'"' => match string_end(text, at + 1) {
            StringEnd::At(end) => Scan::Complete(end),
            StringEnd::Partial => Scan::Partial,
            StringEnd::Broken => Scan::Broken,
        },
        _ => match text[at..].iter().position(|byte| b",]} \t\r\n".contains(byte)) {
            Some(length) => Scan::Complete(at + length),
            None => Scan::Partial,
        },
    }
}

/// Goes on within open brackets; `previous` is the significant byte before `at`.
fn scan_from(text: &[u8], mut at: usize, stack: &mut Vec<u8>, mut previous: u8, find_records: bool) -> Scan {
    while let Some(&byte) = text.get(at) {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => {
                at += 1;
                continue;
            }
            b'"' => {
                let end = match string_end(text, at + 1) {
                    StringEnd::At(end) => end,
                    StringEnd::Partial => return Scan::Partial,
                    StringEnd::Broken => return Scan::Broken,
                };
                if find_records && stack.len() == 1 && previous != b':' && &text[at..end] == RECORDS_KEY {
                    match records_bracket(text, end) {
                        Lookahead::At(inner) => return Scan::Records(inner),
                        Lookahead::Partial => return Scan::Partial,
                        Lookahead::No => {}
                    }
                }
                at = end;
                previous = b'"';
                continue;
            }
            b'{' | b'[' => {
                let in_object = stack.last() == Some(&b'{');
                let allowed = if in_object { previous == b':' } else { matches!(previous, b'[' | b',') };
                if !allowed {
                    return Scan::Broken;
                }
                stack.push(byte);
            }
            b'}' | b']' => {
                let open = if byte == b'}' { b'{' } else { b'[' };
                if stack.pop() != Some(open) {
                    return Scan::Broken;
                }
                if stack.is_empty() {
                    return Scan::Complete(at + 1);
                }
            }
            _ => {}
        }
        previous = byte;
        at += 1;
    }
    Scan::Partial
}

enum StringEnd {
    At(usize),
    Partial,
    Broken,
}

/// One past the closing quote of the string whose text begins at `at`. A raw line feed cannot stand in a string.
fn string_end(text: &[u8], mut at: usize) -> StringEnd {
    loop {
        let Some(found) = memchr3(b'"', b'\\', b'\n', &text[at..]) else { return StringEnd::Partial };
        match text[at + found] {
            b'"' => return StringEnd::At(at + found + 1),
            b'\\' if at + found + 1 >= text.len() => return StringEnd::Partial,
            b'\\' => at += found + 2,
            _ => return StringEnd::Broken,
        }
    }
}

enum Lookahead {
    At(usize),
    Partial,
    No,
}

fn records_bracket(text: &[u8], after_key: usize) -> Lookahead {
    let colon = skip_blank(text, after_key);
    let bracket = skip_blank(text, colon + 1);
    match (text.get(colon), text.get(bracket)) {
        (Some(b':'), Some(b'[')) => Lookahead::At(bracket + 1),
        (None, _) | (Some(b':'), None) => Lookahead::Partial,
        _ => Lookahead::No,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut_all(text: &str, piece: usize) -> (Vec<String>, Vec<Broken>) {
        let mut splitter = Splitter::new(64, 1);
        let (mut values, mut broken, mut held) = (Vec::new(), Vec::new(), Vec::new());
        let mut chunks = text.as_bytes().chunks(piece).peekable();
        loop {
            held.extend_from_slice(chunks.next().unwrap_or_default());
            let ending = if chunks.peek().is_some() { Ending::More } else { Ending::Eof };
            let mut spans = Vec::new();
            let done = splitter.cut(&held, ending, None, &mut spans, &mut broken);
            let text =
                |s: &Span| String::from_utf8_lossy(&held[s.start as usize..s.end as usize]).into_owned();
            values.extend(spans.iter().map(text));
            held.drain(..done);
            if ending == Ending::Eof {
                return (values, broken);
            }
        }
    }

    fn value_in<'t>(text: &'t [u8], span: &Span) -> &'t [u8] {
        &text[span.start as usize..span.end as usize]
    }

    fn check(text: &str, values: &[&str], broken: &[Broken]) {
        for piece in [1, 2, 3, 7, 1000] {
            let got = cut_all(text, piece);
            assert_eq!(
                (got.0.iter().map(String::as_str).collect::<Vec<_>>(), &got.1[..]),
                (values.to_vec(), broken)
            );
        }
    }

    const NOT_JSON: Broken = Broken::Event(EventRejection::NotJson);

    #[test]
    fn values_that_stand_alone() {
        check("{\"a\":1}\n{\"b\":[{}]}\n", &["{\"a\":1}", "{\"b\":[{}]}"], &[]);
        check("{\"a\":1}{\"b\":\"}\"} ", &["{\"a\":1}", "{\"b\":\"}\"}"], &[]);
        check("{\n \"a\" : \"\\\"\"\n}\n", &["{\n \"a\" : \"\\\"\"\n}"], &[]);
        check("", &[], &[]);
    }

    #[test]
    fn elements_of_arrays() {
        check("[{\"a\":1},{\"b\":2}]", &["{\"a\":1}", "{\"b\":2}"], &[]);
        check("[1, \"x\", {}]", &["1", "\"x\"", "{}"], &[]);
        check("{\"v\":{\"Records\":1},\"Records\" : [ {\"a\":1} ],\"z\":[]}", &["{\"a\":1}"], &[]);
        check("{\"Records\":[]}", &[], &[]);
        check("{\"Records\":null}", &["{\"Records\":null}"], &[]);
    }

    #[test]
    fn a_broken_array_costs_its_rest() {
        check("{\"Records\":[{\"a\":1},{\"b\":", &["{\"a\":1}"], &[NOT_JSON]);
        check("[{\"a\":1}", &["{\"a\":1}"], &[NOT_JSON]);
        check("[{\"a\":1},]{\"b\":2}", &["{\"a\":1}"], &[NOT_JSON]);
        check("{\"Records\":[{}]", &["{}"], &[NOT_JSON]);
    }

    #[test]
    fn a_broken_line_costs_itself() {
        check("{\"a\":\"x\n{\"b\":2}\n", &["{\"b\":2}"], &[NOT_JSON]);
        check("{\"a\":1\n{\"b\":2}\n", &["{\"b\":2}"], &[NOT_JSON]);
        check("{\"a\":\n{\"b\":2}\n{\"c\":3}\n", &["{\"b\":2}", "{\"c\":3}"], &[NOT_JSON]);
        check("{\"a\":1}\nnonsense\n{\"b\":2}", &["{\"a\":1}", "nonsense", "{\"b\":2}"], &[]);
    }

    #[test]
    fn what_is_no_json_at_all_is_one_rejection() {
        check("eventTime,eventName\n1,2\n3,4\n", &[], &[Broken::Record(RecordRejection::UnknownEnvelope)]);
        let mut broken = Vec::new();
        Splitter::new(64, 1).cut(&[0, 1, 2], Ending::Eof, None, &mut Vec::new(), &mut broken);
        assert_eq!(broken, [Broken::Record(RecordRejection::BadEncoding)]);
    }

    #[test]
    fn a_value_above_the_limit_is_passed_over() {
        let large = format!("{{\"a\":\"{}\"}}", "}".repeat(100));
        let too_large = Broken::Event(EventRejection::TooLarge);
        check(&format!("[{{\"b\":1}},{large},{{\"c\":2}}]"), &["{\"b\":1}", "{\"c\":2}"], &[too_large]);
        check(&format!("{large}\n{{\"c\":2}}"), &["{\"c\":2}"], &[too_large]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_cut_without_a_panic_and_alike_in_pieces(
            text in "[\\[\\]{}:,\"\\\\a1 \nR]{0,60}", piece in 1usize..20
        ) {
            prop_assert_eq!(cut_all(&text, piece), cut_all(&text, 1000));
        }

        #[test]
        fn what_is_known_changes_nothing(text in "[\\[\\]{}:,\"\\\\a1 \nR]{0,80}") {
            let event = "{\"eventVersion\":\"1\",\"a\":{\"b\":[1,\"\u{e9}\"]}}".as_bytes();
            let text = [b"{\"Records\":[", event, b",", text.as_bytes()].concat();
            let mut reader = JsonReader::new(32);
            let cut = |reader: Option<&JsonReader>| {
                let (mut splitter, mut spans, mut broken) = (Splitter::new(64, 1), Vec::new(), Vec::new());
                let done = splitter.cut(&text, Ending::Eof, reader, &mut spans, &mut broken);
                ((done, spans, broken), splitter)
            };
            let (expect, _) = cut(None);
            for value in std::iter::once(event).chain(expect.1.iter().map(|span| value_in(&text, span))) {
                for _ in 0..2 {
                    reader.read(value, |_| ()).ok();
                }
            }
            let (found, splitter) = cut(Some(&reader));
            prop_assert_eq!(&found, &expect);
            for (number, span) in found.1.iter().enumerate() {
                let value = value_in(&text, span);
                let located = splitter.known().of(number, value);
                prop_assert!(located.is_some() || number > 0);
                prop_assert!(located.is_none_or(|located| located.text.as_bytes() == value));
            }
        }

        #[test]
        fn what_the_parser_takes_is_cut_as_it_parses(values in proptest::collection::vec("[a-z\"\\\\{}\\[\\],\n]{0,6}", 0..6)) {
            let events: Vec<String> =
                values.iter().map(|v| serde_json::json!({"k": v, "n": [v, {"d": v}]}).to_string()).collect();
            let expected: Vec<&str> = events.iter().map(String::as_str).collect();
            let joined = [events.join("\n"), format!("[{}]", events.join(", ")), format!("{{\"x\":1,\"Records\":[{}]}}", events.join(","))];
            for text in &joined {
                prop_assert_eq!(cut_all(text, 5).0, expected.clone());
            }
        }
    }
}
