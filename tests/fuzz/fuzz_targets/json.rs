//! The reader that knows layouts says of any text what the parser says. The first byte picks an event whose layout is
//! known, the second how the rest is meant: as edits of that event, or as a text of its own; alone, or in a file between
//! others, cut into pieces by what the reader knows.
#![no_main]

use std::cell::RefCell;
use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use trailmeter::decode::bits::Kernel;
use trailmeter::decode::json::{Found, JsonReader, Value};
use trailmeter::decode::{Decoder, EventRejection, Limits, RecordOutcome, Sink};
use trailmeter::event::Event;
use trailmeter::generate::{Envelope, Generator, Options};
use trailmeter::source::Payload;
use trailmeter::source::files::FilePieces;
use trailmeter_rules::event::{Json, JsonKind};

const DEPTH: usize = 24;

thread_local! {
    static READERS: RefCell<Readers> = RefCell::new(Readers::new());
}

struct Readers {
    events: Vec<Vec<u8>>,
    parsing: JsonReader,
    knowing: Vec<JsonReader>,
    /// Knows layouts, too.
    decoder: Decoder,
}

impl Readers {
    fn new() -> Self {
        let generator = Generator::new(Options { events: 32, ..Options::organisation() });
        let mut events: Vec<Vec<u8>> = generator.map(|event| event.json).collect();
        let enveloped: Vec<_> =
            events.iter().take(4).flat_map(|event| Envelope::EventBridge.wrap(&[event])).collect();
        events.extend(enveloped);
        let knowing = Kernel::available().into_iter().map(|kernel| JsonReader::with_kernel(DEPTH, kernel));
        let decoder =
            Decoder::new(Limits { decompressed_bytes: 1 << 20, event_bytes: 1 << 16, depth: DEPTH });
        let parsing = JsonReader::parsing(DEPTH);
        let mut readers = Self { events, parsing, knowing: knowing.collect(), decoder };
        for event in &readers.events {
            for reader in &mut readers.knowing {
                for _ in 0..2 {
                    reader.read(event, |_| ()).ok();
                }
            }
        }
        readers
    }

    fn check(&mut self, text: &[u8]) {
        let expected = told(&mut self.parsing, text);
        for reader in &mut self.knowing {
            // Twice: the second time it may know the layout from the first.
            for _ in 0..2 {
                assert_eq!(told(reader, text), expected);
            }
        }
    }
}

/// Bytes of a piece: few events, so that many of them lie across the end of one.
const PIECE_BYTES: usize = 3000;

/// What is told of a file.
#[derive(Default)]
struct Told(String);

impl Sink for Told {
    fn event(&mut self, event: &Event<'_>, json: Value<'_>, _: &[u8]) {
        self.0 += &format!("{event:?} {}\n", shown(json));
    }

    fn rejected(&mut self, reason: EventRejection, _: &[u8]) {
        self.0 += &format!("{reason:?}\n");
    }

    fn record(&mut self, outcome: RecordOutcome, _: &[u8]) {
        self.0 += &format!("{outcome:?}\n");
    }
}

impl Readers {
    /// A file is read alike whether the reader that takes its pieces cut them or not.
    fn check_file(&mut self, text: &[u8], event: &[u8], is_array: bool) {
        let (before, between, after) = if is_array {
            (&b"{\"Records\":["[..], &b","[..], &b"]}"[..])
        } else {
            (&b""[..], &b"\n"[..], &b""[..])
        };
        let file = [before, event, between, text, between, event, between, text, after].concat();
        let mut told = [false, true].map(|is_known| {
            let (file, mut told) = (Cursor::new(file.clone()), Told::default());
            let Ok(mut pieces) = FilePieces::open(file, 1, None, 1 << 16) else { return told.0 };
            self.decoder.set_broken_document(None);
            while let Ok(Some(piece)) =
                pieces.advance(PIECE_BYTES, false, is_known.then(|| self.decoder.reader()))
            {
                match is_known {
                    true => self.decoder.decode_piece(&piece, &mut told),
                    false => self.decoder.decode(&Payload::Units(piece.to_units()), &mut told),
                }
                if piece.progress.done {
                    break;
                }
            }
            told.0
        });
        assert_eq!(std::mem::take(&mut told[0]), told[1]);
    }
}

fn told(reader: &mut JsonReader, text: &[u8]) -> String {
    let mut told = String::new();
    let read = reader.read(text, |found| {
        told += &match found {
            Found::Event(event, value) => format!("{event:?} {}\n", shown(value)),
            Found::Rejected(reason) => format!("{reason:?}\n"),
            Found::Control => "control\n".to_owned(),
            Found::UnknownEnvelope(rejection) => format!("{rejection:?}\n"),
        };
    });
    format!("{read:?} {told}")
}

fn shown(value: Value<'_>) -> String {
    match value.kind() {
        JsonKind::Array => {
            let mut elements = Vec::new();
            value.any_element(&mut |element| {
                elements.push(shown(element));
                false
            });
            format!("[{}]", elements.join(","))
        }
        JsonKind::Object => {
            let mut members = Vec::new();
            value.each_member(&mut |key, member| {
                let last = value.member(key).map(|last| format!("{:?}", last.kind()));
                members.push(format!("{key:?}:{} {last:?}", shown(member)));
            });
            format!("{{{}}}", members.join(","))
        }
        kind => format!("{kind:?}"),
    }
}

fuzz_target!(|data: &[u8]| {
    let [event, way, rest @ ..] = data else { return };
    READERS.with_borrow_mut(|readers| {
        let event = readers.events[usize::from(*event) % readers.events.len()].clone();
        if way % 4 == 0 {
            return readers.check(rest);
        }
        let mut text = event.clone();
        // Each edit: a place (two bytes), how many bytes go (0 to 7), how many come (0 to 7), and those.
        let mut edits = rest;
        while let [low, high, counts, behind @ ..] = edits {
            let at = usize::from(u16::from_le_bytes([*low, *high])) % (text.len() + 1);
            let (go, come) = (usize::from(counts & 7), usize::from(counts >> 3 & 7).min(behind.len()));
            let end = text.len().min(at + go);
            text.splice(at..end, behind[..come].iter().copied());
            edits = &behind[come..];
        }
        match way % 4 {
            1 => readers.check(&text),
            way => readers.check_file(&text, &event, way == 2),
        }
    });
});
