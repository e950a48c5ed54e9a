//! One file's text, read and cut piece by piece.

use std::io::{self, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

use crate::decode::compression::Compression;
use crate::decode::split::{Ending, Splitter};
use crate::decode::{Broken, RecordRejection};
use crate::source::{FileProgress, Units};

/// Bytes read at once.
const CHUNK_BYTES: usize = 64 << 10;
/// As many layers of compression as a record may have.
const MAX_LAYERS: usize = 4;

/// An open file with what is read of it but not handed over.
pub struct FilePieces {
    text: Text,
    compression: Option<Compression>,
    splitter: Splitter,
    held: Vec<u8>,
    /// Something of the file was handed over.
    is_begun: bool,
}

/// Where the text comes from.
enum Text {
    /// It is read on.
    Read(Box<dyn Read + Send>),
    /// It is there: so many bytes of a buffer, and how many of them are handed over.
    Whole { buffer: Vec<u8>, length: usize, done: usize },
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
            held: Vec::new(),
            is_begun: progress.is_some_and(|at| at.offset > 0),
        })
    }

    /// A text that is there: the first `length` bytes of a buffer, once its compression is off.
    pub fn of_text(buffer: Vec<u8>, length: usize, seed: u64, max_event_bytes: usize) -> Self {
        let length = length.min(buffer.len());
        // As of a file that is read.
        let done = if buffer[..length].starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        Self {
            text: Text::Whole { buffer, length, done },
            compression: None,
            splitter: Splitter::new(max_event_bytes, seed),
            held: Vec::new(),
            is_begun: false,
        }
    }

    /// Gives the buffer back, to be used again.
    pub fn into_buffer(self) -> Option<Vec<u8>> {
        match self.text {
            Text::Whole { buffer, .. } => Some(buffer),
            Text::Read(_) => None,
        }
    }

    /// Whether bytes may be appended to it: plain text only.
    pub fn can_grow(&self) -> bool {
        self.compression.is_none() && !self.splitter.is_dead()
    }

    /// The next piece of at most about `piece_bytes`. With `may_grow`, an end of the file is no end of its text.
    ///
    /// # Errors
    /// The file can't be read; a fault of its compression is part of the piece instead.
    pub fn next(&mut self, piece_bytes: usize, may_grow: bool) -> io::Result<Next> {
        loop {
            let fill = self.fill(piece_bytes)?;
            let ending = match fill {
                Fill::More => Ending::More,
                Fill::End if may_grow => Ending::More,
                Fill::End => Ending::Eof,
                Fill::Torn(_) => Ending::Torn,
            };
            let mut units = Units::default();
            let done = self.splitter.cut(&self.held, ending, &mut units.spans, &mut units.broken);
            let rest = self.held.split_off(done);
            units.text = std::mem::replace(&mut self.held, rest);
            if let Fill::Torn(rejection) = fill {
                units.broken.push(Broken::Record(rejection));
                return Ok(self.hand_over(units, true));
            }
            let is_end = fill == Fill::End;
            if units.spans.is_empty() && units.broken.is_empty() {
                match is_end {
                    false => continue,
                    true if may_grow => return Ok(Next::Nothing),
                    true => return Ok(self.last(units)),
                }
            }
            if self.splitter.is_skipping() && !is_end {
                // Not a place to go on from after a restart: hold what was found until the value has passed.
                return self.past_the_skip(units, piece_bytes);
            }
            return Ok(self.hand_over(units, is_end && !may_grow));
        }
    }

    /// The end of a file that has nothing left to hand over.
    fn last(&mut self, mut units: Units) -> Next {
        if !self.is_begun {
            // Nothing but blanks is no record; an array without elements is one.
            let (_, context, _) = self.splitter.progress();
            let has_text = context != 0 || units.text.iter().any(|byte| !byte.is_ascii_whitespace());
            if !has_text {
                units.broken.push(Broken::Record(RecordRejection::Empty));
            }
        }
        self.hand_over(units, true)
    }

    /// Reads on until the value that is too large has passed; the next piece begins behind it.
    fn past_the_skip(&mut self, mut units: Units, piece_bytes: usize) -> io::Result<Next> {
        loop {
            let fill = self.fill(piece_bytes)?;
            let done = self.splitter.pass_over(&self.held);
            self.held.drain(..done);
            match fill {
                Fill::More if self.splitter.is_skipping() => {}
                Fill::More => return Ok(self.hand_over(units, false)),
                Fill::End => return Ok(self.hand_over(units, self.held.is_empty())),
                Fill::Torn(rejection) => {
                    units.broken.push(Broken::Record(rejection));
                    return Ok(self.hand_over(units, true));
                }
            }
        }
    }

    fn hand_over(&mut self, units: Units, done: bool) -> Next {
        self.is_begun = true;
        let (offset, context, document) = self.splitter.progress();
        Next::Piece(units, FileProgress { offset, context, document, done: done || self.splitter.is_dead() })
    }

    fn fill(&mut self, piece_bytes: usize) -> io::Result<Fill> {
        let wanted = self.held.len() + piece_bytes.max(CHUNK_BYTES);
        let text = match &mut self.text {
            Text::Read(text) => text,
            Text::Whole { buffer, length, done } => {
                let end = (*done + wanted - self.held.len()).min(*length);
                self.held.extend_from_slice(&buffer[*done..end]);
                // An end is an end once nothing more came, as of a file that is read.
                let is_end = self.held.len() < wanted;
                *done = end;
                return Ok(if is_end { Fill::End } else { Fill::More });
            }
        };
        while self.held.len() < wanted {
            let old = self.held.len();
            self.held.resize((old + CHUNK_BYTES).min(wanted), 0);
            let read = text.read(&mut self.held[old..]);
            self.held.truncate(old + *read.as_ref().unwrap_or(&0));
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
