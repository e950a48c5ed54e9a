//! One file's text, read and cut piece by piece.

use std::io::{self, BufReader, Read};
use std::ops::Range;

use flate2::bufread::MultiGzDecoder;

use crate::decode::compression::Compression;
use crate::decode::json::{JsonReader, Known};
use crate::decode::split::{Ending, Splitter};
use crate::decode::{Broken, RecordRejection};
use crate::source::{FileProgress, Span, Units};

/// Bytes read at once.
const CHUNK_BYTES: usize = 64 << 10;
/// As many layers of compression as a record may have.
const MAX_LAYERS: usize = 4;

/// An open file with what is read of it but not handed over.
pub struct FilePieces {
    text: Text,
    compression: Option<Compression>,
    splitter: Splitter,
    buffer: Vec<u8>,
    /// Of the buffer, what is read but not handed over.
    held: Range<usize>,
    cut: Cut,
    /// Something of the file was handed over.
    is_begun: bool,
}

/// What was cut last.
#[derive(Default)]
struct Cut {
    text: Range<usize>,
    spans: Vec<Span>,
    broken: Vec<Broken>,
}

/// Where the text comes from.
enum Text {
    /// It is read on.
    Read(Box<dyn Read + Send>),
    /// It is there: so many bytes of the buffer.
    Whole(usize),
}

/// A piece of a file, where it was read.
pub struct Piece<'a> {
    /// The text.
    pub(crate) text: &'a [u8],
    /// As [`Units::spans`].
    pub(crate) spans: &'a [Span],
    /// As [`Units::broken`].
    pub broken: &'a [Broken],
    /// What is known of its values. It is of this text and of no other.
    pub(crate) known: &'a Known,
    /// How far the file is read with it.
    pub progress: FileProgress,
}

impl Piece<'_> {
    /// The same, to be kept.
    pub fn to_units(&self) -> Units {
        Units { text: self.text.to_vec(), spans: self.spans.to_vec(), broken: self.broken.to_vec() }
    }
}

/// What comes next of a file.
pub enum Next {
    /// A piece, and how far the file is read with it.
    Piece(Units, FileProgress),
    /// Nothing more, or not yet.
    Nothing,
}

impl FilePieces {
    /// Goes on with a file at `progress`. `seed` tells its documents from other files'.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn open(
        file: impl Read + Send + 'static,
        seed: u64,
        progress: Option<&FileProgress>,
        max_event_bytes: usize,
    ) -> io::Result<Self> {
        let (mut text, compression) = plain_text(Box::new(file))?;
        let splitter = match progress {
            None => Splitter::new(max_event_bytes, seed),
            Some(at) => {
                io::copy(&mut text.by_ref().take(at.offset), &mut io::sink())?;
                Splitter::resume(max_event_bytes, seed, at.offset, at.context, at.document)
            }
        };
        Ok(Self {
            text: Text::Read(text),
            compression,
            splitter,
            buffer: Vec::new(),
            held: 0..0,
            cut: Cut::default(),
            is_begun: progress.is_some_and(|at| at.offset > 0),
        })
    }

    /// A text that is there: the first `length` bytes of a buffer, once its compression is off.
    pub fn of_text(buffer: Vec<u8>, length: usize, seed: u64, max_event_bytes: usize) -> Self {
        let length = length.min(buffer.len());
        // As of a file that is read.
        let begin = if buffer[..length].starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        Self {
            text: Text::Whole(length),
            compression: None,
            splitter: Splitter::new(max_event_bytes, seed),
            buffer,
            held: begin..begin,
            cut: Cut::default(),
            is_begun: false,
        }
    }

    /// Uses the room of another file's.
    pub fn with_room(self, known: Known) -> Self {
        Self { splitter: self.splitter.with_room(known), ..self }
    }

    /// Gives the buffer and the room back, to be used again.
    pub fn into_room(self) -> (Vec<u8>, Known) {
        (self.buffer, self.splitter.into_room())
    }

    /// Whether bytes may be appended to it: plain text only.
    pub fn can_grow(&self) -> bool {
        self.compression.is_none() && !self.splitter.is_dead()
    }

    /// The next piece of at most about `piece_bytes`, to be kept. With `may_grow`, an end of the file is no end of its
    /// text.
    ///
    /// # Errors
    /// As [`FilePieces::advance`].
    pub fn next(&mut self, piece_bytes: usize, may_grow: bool) -> io::Result<Next> {
        let Some(piece) = self.advance(piece_bytes, may_grow, None)? else { return Ok(Next::Nothing) };
        let (text, progress) = (piece.text.to_vec(), piece.progress);
        let Cut { spans, broken, .. } = std::mem::take(&mut self.cut);
        Ok(Next::Piece(Units { text, spans, broken }, progress))
    }

    /// The next piece of at most about `piece_bytes`; none if there is nothing more, or not yet. With `may_grow`, an
    /// end of the file is no end of its text. The `reader` that will take the piece, there and then, may know its values.
    ///
    /// # Errors
    /// The file can't be read; a fault of its compression is part of the piece instead.
    pub fn advance(
        &mut self,
        piece_bytes: usize,
        may_grow: bool,
        reader: Option<&JsonReader>,
    ) -> io::Result<Option<Piece<'_>>> {
        loop {
            let fill = self.fill(piece_bytes)?;
            let ending = match fill {
                Fill::More => Ending::More,
                Fill::End if may_grow => Ending::More,
                Fill::End => Ending::Eof,
                Fill::Torn(_) => Ending::Torn,
            };
            let Cut { text, spans, broken } = &mut self.cut;
            spans.clear();
            broken.clear();
            let done = self.splitter.cut(&self.buffer[self.held.clone()], ending, reader, spans, broken);
            *text = self.held.start..self.held.start + done;
            self.held.start += done;
            if let Fill::Torn(rejection) = fill {
                broken.push(Broken::Record(rejection));
                return Ok(Some(self.hand_over(true)));
            }
            let is_end = fill == Fill::End;
            if spans.is_empty() && broken.is_empty() {
                match is_end {
                    false => continue,
                    true if may_grow => return Ok(None),
                    true => return Ok(Some(self.last())),
                }
            }
            if self.splitter.is_skipping() && !is_end {
                // Not a place to go on from after a restart: hold what was found until the value has passed.
                return self.past_the_skip(piece_bytes).map(Some);
            }
            return Ok(Some(self.hand_over(is_end && !may_grow)));
        }
    }

    /// The end of a file that has nothing left to hand over.
    fn last(&mut self) -> Piece<'_> {
        if !self.is_begun {
            // Nothing but blanks is no record; an array without elements is one.
            let (_, context, _) = self.splitter.progress();
            let text = &self.buffer[self.cut.text.clone()];
            if context == 0 && text.iter().all(u8::is_ascii_whitespace) {
                self.cut.broken.push(Broken::Record(RecordRejection::Empty));
            }
        }
        self.hand_over(true)
    }

    /// Reads on until the value that is too large has passed; the next piece begins behind it.
    fn past_the_skip(&mut self, piece_bytes: usize) -> io::Result<Piece<'_>> {
        // What was cut stays where it is: what follows is read behind it.
        let cut = self.buffer[self.cut.text.clone()].to_vec();
        let done = loop {
            let fill = self.fill(piece_bytes)?;
            self.held.start += self.splitter.pass_over(&self.buffer[self.held.clone()]);
            match fill {
                Fill::More if self.splitter.is_skipping() => {}
                Fill::More => break false,
                Fill::End => break self.held.is_empty(),
                Fill::Torn(rejection) => {
                    self.cut.broken.push(Broken::Record(rejection));
                    break true;
                }
            }
        };
        self.cut.text = self.buffer.len()..self.buffer.len() + cut.len();
        self.buffer.extend(cut);
        Ok(self.hand_over(done))
    }

    fn hand_over(&mut self, done: bool) -> Piece<'_> {
        self.is_begun = true;
        let (offset, context, document) = self.splitter.progress();
        let done = done || self.splitter.is_dead();
        Piece {
            text: &self.buffer[self.cut.text.clone()],
            spans: &self.cut.spans,
            broken: &self.cut.broken,
            known: self.splitter.known(),
            progress: FileProgress { offset, context, document, done },
        }
    }

    fn fill(&mut self, piece_bytes: usize) -> io::Result<Fill> {
        let more = piece_bytes.max(CHUNK_BYTES);
        let text = match &mut self.text {
            Text::Read(text) => text,
            Text::Whole(length) => {
                let end = self.held.end.saturating_add(more).min(*length);
                // An end is an end once nothing more came, as of a file that is read.
                let is_end = end - self.held.end < more;
                self.held.end = end;
                return Ok(if is_end { Fill::End } else { Fill::More });
            }
        };
        self.buffer.truncate(self.held.end);
        self.buffer.drain(..self.held.start);
        self.held = 0..self.buffer.len();
        let wanted = self.held.len() + more;
        while self.buffer.len() < wanted {
            let old = self.buffer.len();
            self.buffer.resize((old + CHUNK_BYTES).min(wanted), 0);
            let read = text.read(&mut self.buffer[old..]);
            self.buffer.truncate(old + *read.as_ref().unwrap_or(&0));
            self.held.end = self.buffer.len();
            match (read, self.compression) {
                (Ok(0), _) => return Ok(Fill::End),
                (Ok(_), _) => {}
                (Err(error), _) if error.kind() == io::ErrorKind::Interrupted => {}
                (Err(_), Some(compression)) => return Ok(Fill::Torn(compression.rejection())),
                (Err(error), None) => return Err(error),
            }
        }
        Ok(Fill::More)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fill {
    More,
    End,
    Torn(RecordRejection),
}

/// A reader of what is left once the compression is off, the byte order mark too; the outermost compression.
fn plain_text(file: Box<dyn Read + Send>) -> io::Result<(Box<dyn Read + Send>, Option<Compression>)> {
    let (mut reader, mut outermost) = (file, None);
    for _ in 0..MAX_LAYERS {
        let mut head = Vec::new();
        let mut layer = BufReader::with_capacity(CHUNK_BYTES, reader);
        let sound = layer.by_ref().take(4).read_to_end(&mut head);
        let compression = Compression::detect(&head);
        if let Some(rest) = head.strip_prefix(b"\xef\xbb\xbf") {
            head = rest.to_vec();
        }
        let whole: Box<dyn Read + Send> = match sound {
            Ok(_) => Box::new(io::Cursor::new(head).chain(layer)),
            Err(error) if outermost.is_none() => return Err(error),
            Err(_) => Box::new(io::Cursor::new(head).chain(Torn)),
        };
        let Some(compression) = compression else { return Ok((whole, outermost)) };
        outermost = outermost.or(Some(compression));
        reader = match compression {
            Compression::Gzip => Box::new(MultiGzDecoder::new(BufReader::with_capacity(CHUNK_BYTES, whole))),
            Compression::Zstd => Box::new(zstd::stream::read::Decoder::new(whole)?),
        };
    }
    Ok((reader, outermost))
}

/// The end of a text that is torn.
struct Torn;

impl Read for Torn {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("torn"))
    }
}
