//! S3 server access logs: a line a request, which becomes the event that CloudTrail would have written of it.
//!
//! Enters: a line. Leaves: the JSON text of an event, to be read as any other; none if it is no such line. A log is known
//! by the form of its first line ("Amazon S3 server access log format"); what files are named does not matter.

mod event;
mod line;
mod operation;

use line::Line;

/// Writes the events of lines, one after the other, into a buffer that is used again.
#[derive(Default)]
pub struct AccessLog {
    event: Vec<u8>,
}

impl AccessLog {
    /// The event of a line; none if it is no line of an access log.
    pub fn event(&mut self, line: &[u8]) -> Option<&[u8]> {
        // What JSON begins with costs one look.
        if matches!(line.first(), None | Some(b'{' | b'[' | b'"')) {
            return None;
        }
        let line = Line::parse(std::str::from_utf8(line).ok()?)?;
        self.event.clear();
        event::write(&line, &mut self.event);
        Some(&self.event)
    }

    /// Gives back what an unusually long line made the buffer grow to.
    pub fn shrink(&mut self, keep_bytes: usize) {
        if self.event.capacity() > keep_bytes {
            self.event = Vec::new();
        }
    }
}

/// Whether a text begins with a line of an access log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begins {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// It is too short to tell.
    Perhaps,
}

/// Owner, bucket and time are shorter: 64, 63 and 28 characters.
const MOST_HEAD_BYTES: usize = 256;

/// Looks at the beginning of a text: an owner, a bucket, and a time in brackets.
pub fn begins(text: &[u8]) -> Begins {
    let head = &text[..text.len().min(MOST_HEAD_BYTES)];
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let mut parts = line.splitn(3, |byte| *byte == b' ');
    let is_text = |part: &[u8]| part.iter().all(u8::is_ascii_graphic);
    let (owner, bucket, rest) = (parts.next(), parts.next(), parts.next().unwrap_or_default());
    let may_be = [owner, bucket].into_iter().flatten().all(is_text)
        && rest.iter().zip(TIME).all(|(byte, expected)| match expected {
            b'0' => byte.is_ascii_digit(),
            b'A' => byte.is_ascii_alphabetic(),
            b'+' => matches!(byte, b'+' | b'-'),
            _ => byte == expected,
        });
    match (may_be, rest.len() >= TIME.len()) {
        (false, _) => Begins::No,
        (true, true) => Begins::Yes,
        (true, false) if line.len() == text.len() => Begins::Perhaps,
        (true, false) => Begins::No,
    }
}

/// The form of a time: `0` is a digit, `A` a letter.
const TIME: &[u8; 29] = b"[00/AAA/0000:00:00:00 +0000] ";

#[cfg(test)]
mod tests;
