//! From a record's bytes to events.
//!
//! Enters: a record in whatever envelope and compression. Leaves: its events, one after the other, to a [`Sink`],
//! with everything that is not an event as a counted outcome. Nothing here fails: bad input is an outcome. Buffers
//! are owned by the [`Decoder`] and used again.

pub mod access_log;
pub mod aggregate;
pub mod bits;
pub mod compression;
pub mod json;
pub mod split;

use bytes::Bytes;

use crate::event::Event;
use crate::source::files::Piece;
use crate::source::{Payload, Span, Units};
pub use crate::totals::{EventRejection, RecordRejection};
use access_log::AccessLog;
use aggregate::Aggregate;
use compression::{Inflated, Inflater};
use json::{Found, JsonReader, Known, Unreadable, Value};
use split::{Ending, Splitter};

/// What is wrong between the values of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// In the place of an event.
    Event(EventRejection),
    /// With the record as a whole.
    Record(RecordRejection),
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordOutcome {
    /// It was read.
    Decoded,
    /// It only probes the way.
    Control,
    /// It was not read, or not to its end.
    Rejected(RecordRejection),
}

/// Bounds of what one record may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a record once its compression is off.
    pub decompressed_bytes: usize,
    /// Bytes of one JSON value among several: a line, an element of a broken array, a value of a file. A record that
    /// is one value is bounded by `decompressed_bytes` alone.
    pub event_bytes: usize,
    /// Nesting of objects and arrays, the envelope's own included.
    pub depth: usize,
}

/// Takes what is found in records.
pub trait Sink {
    /// The id of the event that probably comes next, while there is time to look for it.
    fn ahead(&mut self, _: &str) {}
    /// An event, sound or not as far as its fields go; all that it says; and the text that it stands in.
    fn event(&mut self, event: &Event<'_>, json: Value<'_>, text: &[u8]);
    /// Something in the place of an event, and its text.
    fn rejected(&mut self, reason: EventRejection, text: &[u8]);
    /// A record is done with.
    fn record(&mut self, outcome: RecordOutcome, data: &[u8]);
}

/// Buffers above this size are given back after the record that needed them.
const KEEP_BYTES: usize = 1 << 20;

/// Decodes records, one after the other.
pub struct Decoder {
    limits: Limits,
    reader: JsonReader,
    access_log: AccessLog,
    inflater: Inflater,
    units: Units,
    broken_document: Option<u64>,
}

impl Decoder {
    /// A decoder with these bounds.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            reader: JsonReader::new(limits.depth),
            access_log: AccessLog::default(),
            inflater: Inflater::default(),
            units: Units::default(),
            broken_document: None,
        }
    }

    /// The document of a file whose rest does not count because an element of it was broken. Part of the state that
    /// is committed: a file may be read on by another process.
    pub fn broken_document(&self) -> Option<u64> {
        self.broken_document
    }

    /// Goes on where a process before left a file.
    pub fn set_broken_document(&mut self, document: Option<u64>) {
        self.broken_document = document;
    }

    /// Takes new bounds, from the next record on.
    pub fn set_limits(&mut self, limits: Limits) {
        if limits != self.limits {
            *self = Self { broken_document: self.broken_document, ..Self::new(limits) };
        }
    }

    /// Decodes one record.
    pub fn decode(&mut self, payload: &Payload, sink: &mut impl Sink) {
        match payload {
            Payload::Bytes(data) => self.bytes(data, sink),
            Payload::Units(Units { text, spans, broken }) => self.piece(text, spans, broken, None, sink),
        }
    }

    /// What knows values by their layouts, for who cuts a file: see [`FilePieces::advance`].
    ///
    /// [`FilePieces::advance`]: crate::source::files::FilePieces::advance
    pub fn reader(&self) -> &JsonReader {
        &self.reader
    }

    /// Decodes a piece of a file.
    pub fn decode_piece(&mut self, piece: &Piece<'_>, sink: &mut impl Sink) {
        self.piece(piece.text, piece.spans, piece.broken, Some(piece.known), sink);
    }

    /// Whether a piece can be decoded apart from those before and behind it in its file: of an array that breaks off the rest
    /// does not count, and in this piece none does. Values of known layout are sound; only the others are parsed for it.
    pub fn is_sound(&mut self, piece: &Piece<'_>) -> bool {
        piece.broken.is_empty()
            && piece.spans.iter().enumerate().all(|(number, span)| {
                let value = &piece.text[span.start as usize..span.end as usize];
                span.document == 0
                    || piece.known.of(number, value).is_some()
                    || self.reader.parse_only(value) != Err(Unreadable::NotJson)
            })
    }

    fn bytes(&mut self, data: &Bytes, sink: &mut impl Sink) {
        match aggregate::disaggregate(data) {
            Aggregate::No => self.record(data, sink),
            Aggregate::Bad => sink.record(RecordOutcome::Rejected(RecordRejection::BadAggregate), data),
            Aggregate::Records(records) if records.is_empty() => {
                sink.record(RecordOutcome::Rejected(RecordRejection::Empty), data);
            }
            Aggregate::Records(records) => records.iter().for_each(|record| self.record(record, sink)),
        }
    }

    fn record(&mut self, data: &[u8], sink: &mut impl Sink) {
        let mut inflater = std::mem::take(&mut self.inflater);
        match inflater.inflate(data, self.limits.decompressed_bytes) {
            Inflated::Plain if data.len() > self.limits.decompressed_bytes => {
                sink.record(RecordOutcome::Rejected(RecordRejection::TooLarge), data);
            }
            Inflated::TooLarge => sink.record(RecordOutcome::Rejected(RecordRejection::TooLarge), data),
            Inflated::Plain => self.text(data, sink),
            Inflated::Text => self.text(inflater.text(), sink),
            Inflated::Torn(rejection) => {
                self.split(inflater.text(), Ending::Torn, sink);
                sink.record(RecordOutcome::Rejected(rejection), data);
            }
        }
        inflater.shrink(KEEP_BYTES);
        self.inflater = inflater;
        self.reader.shrink(KEEP_BYTES);
        self.access_log.shrink(KEEP_BYTES);
    }

    /// A whole text. Most hold one JSON value; only those that don't are cut first.
    fn text(&mut self, text: &[u8], sink: &mut impl Sink) {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text).trim_ascii();
        if text.is_empty() {
            return sink.record(RecordOutcome::Rejected(RecordRejection::Empty), text);
        }
        let mut outcome = RecordOutcome::Decoded;
        if self.reader.read(text, |found| give(found, text, &mut outcome, sink)).is_ok() {
            return sink.record(outcome, text);
        }
        if let Some(outcome) = self.split(text, Ending::Eof, sink) {
            sink.record(outcome, text);
        }
    }

    /// Cuts a text into values and reads each. Returns the record's outcome; none if the text was torn.
    fn split(&mut self, text: &[u8], ending: Ending, sink: &mut impl Sink) -> Option<RecordOutcome> {
        let mut units = std::mem::take(&mut self.units);
        units.spans.clear();
        units.broken.clear();
        let mut splitter = Splitter::new(self.limits.event_bytes, 0);
        splitter.cut(text, ending, None, &mut units.spans, &mut units.broken);
        self.broken_document = None;
        let mut outcome = self.values(text, &units.spans, None, sink);
        for broken in &units.broken {
            match broken {
                Broken::Event(reason) => self.reject_end(*reason, units.spans.last(), sink),
                Broken::Record(rejection) => outcome = RecordOutcome::Rejected(*rejection),
            }
        }
        self.broken_document = None;
        self.units = units;
        (ending == Ending::Eof).then_some(outcome)
    }

    fn piece(
        &mut self,
        text: &[u8],
        spans: &[Span],
        broken: &[Broken],
        known: Option<&Known>,
        sink: &mut impl Sink,
    ) {
        let is_only_broken = spans.is_empty() && matches!(broken[..], [Broken::Record(_)]);
        let outcome = self.values(text, spans, known, sink);
        if !is_only_broken {
            sink.record(outcome, text);
        }
        for broken in broken {
            match broken {
                Broken::Event(reason) => self.reject_end(*reason, spans.last(), sink),
                Broken::Record(rejection) => sink.record(RecordOutcome::Rejected(*rejection), &[]),
            }
        }
        self.reader.shrink(KEEP_BYTES);
        self.access_log.shrink(KEEP_BYTES);
    }

    /// An array that breaks off behind an element that was broken already is one rejection, not two.
    fn reject_end(&mut self, reason: EventRejection, last: Option<&Span>, sink: &mut impl Sink) {
        let is_rejected_already = reason == EventRejection::NotJson
            && self.broken_document.is_some_and(|d| last.is_none_or(|s| s.document == d));
        if !is_rejected_already {
            sink.rejected(reason, &[]);
        }
    }

    fn values(
        &mut self,
        text: &[u8],
        spans: &[Span],
        known: Option<&Known>,
        sink: &mut impl Sink,
    ) -> RecordOutcome {
        let mut outcome = RecordOutcome::Decoded;
        let value_in = |span: &Span| &text[span.start as usize..span.end as usize];
        let locate = |number: usize| known?.of(number, value_in(spans.get(number)?));
        let mut next = locate(0);
        for (number, span) in spans.iter().enumerate() {
            let located = std::mem::replace(&mut next, locate(number + 1));
            if let Some(id) = next.as_ref().and_then(|next| self.reader.id(next)) {
                sink.ahead(id);
            }
            if span.document != 0 && self.broken_document == Some(span.document) {
                continue;
            }
            self.broken_document = None;
            let value = value_in(span);
            let found = |found: Found<'_>| give(found, value, &mut outcome, sink);
            // Lines of a log stand alone.
            let line = if span.document == 0 { self.access_log.event(value) } else { None };
            let read = match (located, line) {
                (Some(located), _) => self.reader.read_located(&located, found),
                (None, Some(json)) => self.reader.read(json, found),
                (None, None) => self.reader.read(value, found),
            };
            if let Err(unreadable) = read {
                sink.rejected(unreadable.rejection(), value);
                let breaks_document = unreadable == Unreadable::NotJson && span.document != 0;
                self.broken_document = breaks_document.then_some(span.document);
            }
        }
        outcome
    }
}

fn give(found: Found<'_>, text: &[u8], outcome: &mut RecordOutcome, sink: &mut impl Sink) {
    match found {
        Found::Event(event, json) => sink.event(event, json, text),
        Found::Rejected(reason) => sink.rejected(reason, text),
        Found::Control => *outcome = RecordOutcome::Control,
        Found::UnknownEnvelope(rejection) => *outcome = RecordOutcome::Rejected(rejection),
    }
}

#[cfg(test)]
mod tests;
