//! Takes compression off a record, as often as it was put on.

use std::io::Read;

use flate2::bufread::MultiGzDecoder;

use super::RecordRejection;

/// Layers of compression that are taken off one record; deeper nesting is nobody's export but a bomb's.
const MAX_LAYERS: usize = 4;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// How a text is compressed, told by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// gzip, one member or several.
    Gzip,
    /// Zstandard, one frame or several.
    Zstd,
}

impl Compression {
    /// What the first bytes say; none for plain text.
    pub fn detect(first_bytes: &[u8]) -> Option<Self> {
        if first_bytes.starts_with(&GZIP) {
            return Some(Self::Gzip);
        }
        first_bytes.starts_with(&ZSTD).then_some(Self::Zstd)
    }

    /// The rejection of a text that is not soundly compressed this way.
    pub fn rejection(self) -> RecordRejection {
        match self {
            Self::Gzip => RecordRejection::BadGzip,
            Self::Zstd => RecordRejection::BadZstd,
        }
    }
}

/// What is left of a record once its compression is off.
#[derive(Debug, PartialEq, Eq)]
pub enum Inflated {
    /// It is not compressed.
    Plain,
    /// The text stands in the buffer.
    Text,
    /// The text before the fault stands in the buffer.
    Torn(RecordRejection),
    /// More than the limit, or more layers than anyone needs.
    TooLarge,
}

/// Two buffers that are used again for every record.
#[derive(Default)]
pub struct Inflater {
    text: Vec<u8>,
    layer: Vec<u8>,
}

impl Inflater {
    /// Takes all layers off `data`; at most `max_bytes` come out.
    pub fn inflate(&mut self, data: &[u8], max_bytes: usize) -> Inflated {
        let Some(mut compression) = Compression::detect(data) else { return Inflated::Plain };
        self.layer.clear();
        self.layer.extend_from_slice(data);
        for _ in 0..MAX_LAYERS {
            let sound = take_off(compression, &self.layer, max_bytes, &mut self.text);
            if self.text.len() > max_bytes {
                return Inflated::TooLarge;
            }
            match (sound, Compression::detect(&self.text)) {
                (false, _) => return Inflated::Torn(compression.rejection()),
                (true, None) => return Inflated::Text,
                (true, Some(inner)) => compression = inner,
            }
            std::mem::swap(&mut self.text, &mut self.layer);
        }
        Inflated::TooLarge
    }

    /// The text of the last [`Inflater::inflate`].
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Gives back what one unusually large record made the buffers grow to.
    pub fn shrink(&mut self, keep_bytes: usize) {
        for buffer in [&mut self.text, &mut self.layer] {
            if buffer.capacity() > keep_bytes {
                *buffer = Vec::new();
            }
        }
    }
}

/// Takes gzip off a whole text at once: quicker than piece by piece, where all of it is at hand.
pub struct WholeGzip(libdeflater::Decompressor);

impl Default for WholeGzip {
    fn default() -> Self {
        Self(libdeflater::Decompressor::new())
    }
}

/// Bytes of a member's head and end (RFC 1952).
const LEAST_MEMBER: usize = 18;
/// How a member begins whose method is deflate, the only one there is.
const MEMBER: [u8; 3] = [0x1f, 0x8b, 8];
/// Where its flags are, and those of them that must be zero.
const FLAGS: usize = 3;
const RESERVED: u8 = 0xe0;

impl WholeGzip {
    /// Inflates `data` into the beginning of `text`, which grows as needed and keeps what it has behind. Returns how many
    /// bytes came out; none if `data` is anything but one sound member of at most `max_bytes`: then it is for
    /// [`Inflater`], or a reader, to say what of it can be read.
    pub fn inflate(&mut self, data: &[u8], max_bytes: usize, text: &mut Vec<u8>) -> Option<usize> {
        if data.len() < LEAST_MEMBER || !data.starts_with(&MEMBER) {
            return None;
        }
        let size = u32::from_le_bytes(*data.last_chunk()?) as usize;
        // A second member may begin wherever the bytes look like one; what no member has is a flag that is reserved.
        let begins_one = |at: usize| data.get(at + FLAGS).is_none_or(|flags| flags & RESERVED == 0);
        let has_more = memchr::memmem::find_iter(data, &MEMBER).skip(1).any(begins_one);
        if has_more || size > max_bytes {
            return None;
        }
        if text.len() < size {
            text.resize(size, 0);
        }
        let inflated = self.0.gzip_decompress(data, &mut text[..size]).ok()?;
        (inflated == size).then_some(size)
    }
}

/// Whether `data` is soundly compressed; what came out of it stands in `text`, one byte above `max_bytes` at most.
fn take_off(compression: Compression, data: &[u8], max_bytes: usize, text: &mut Vec<u8>) -> bool {
    text.clear();
    let limit = max_bytes as u64 + 1;
    let read = match compression {
        Compression::Gzip => MultiGzDecoder::new(data).take(limit).read_to_end(text),
        Compression::Zstd => match zstd::stream::read::Decoder::with_buffer(data) {
            Ok(decoder) => decoder.take(limit).read_to_end(text),
            Err(error) => Err(error),
        },
    };
    read.is_ok()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn check(data: &[u8], expect: Inflated, text: &[u8]) {
        let mut inflater = Inflater::default();
        assert_eq!(inflater.inflate(data, 1000), expect);
        if matches!(expect, Inflated::Text | Inflated::Torn(_)) {
            assert!(
                inflater.text().starts_with(text) && (expect != Inflated::Text || inflater.text() == text)
            );
        }
    }

    #[test]
    fn layers_come_off() {
        check(b"{}", Inflated::Plain, b"");
        check(&gzip(b"{}"), Inflated::Text, b"{}");
        check(&gzip(&gzip(&gzip(b"{}"))), Inflated::Text, b"{}");
        check(&zstd::encode_all(&b"{}"[..], 1).unwrap(), Inflated::Text, b"{}");
        check(&gzip(&zstd::encode_all(&b"{}"[..], 1).unwrap()), Inflated::Text, b"{}");
        check(&[gzip(b"{}"), gzip(b"[]")].concat(), Inflated::Text, b"{}[]");
    }

    #[test]
    fn bombs_and_faults() {
        check(&gzip(&[b' '; 1001]), Inflated::TooLarge, b"");
        let five = (0..5).fold(b"{}".to_vec(), |data, _| gzip(&data));
        check(&five, Inflated::TooLarge, b"");
        let whole = gzip(b"{\"a\":1}\n{\"b\":2}\n");
        check(&whole[..whole.len() - 8], Inflated::Torn(RecordRejection::BadGzip), b"{\"a\":1}");
        check(&[0x1f, 0x8b, 9, 9], Inflated::Torn(RecordRejection::BadGzip), b"");
        check(&[0x28, 0xb5, 0x2f, 0xfd, 1], Inflated::Torn(RecordRejection::BadZstd), b"");
    }

    #[test]
    fn one_sound_member_at_once_and_nothing_else() {
        let (mut whole, mut text) = (WholeGzip::default(), Vec::new());
        let long = b"{\"Records\":[]}".repeat(1000);
        assert_eq!(whole.inflate(&gzip(&long), 1 << 20, &mut text), Some(long.len()));
        assert_eq!(text, long);
        // The buffer is used again: what is behind the text is of the file before.
        assert_eq!(whole.inflate(&gzip(b"{}"), 1 << 20, &mut text), Some(2));
        assert_eq!((&text[..3], text.len()), (&b"{}R"[..], long.len()));
        assert_eq!(whole.inflate(&gzip(b""), 1 << 20, &mut text), Some(0));
        let sound = gzip(&long);
        let mut damaged = sound.clone();
        damaged[sound.len() / 2] ^= 1;
        let mut other_sum = sound.clone();
        other_sum[sound.len() - 6] ^= 1;
        for (data, max_bytes, why) in [
            ([sound.clone(), gzip(&long)].concat(), 1 << 20, "two members"),
            ([sound.clone(), sound.clone()].concat(), 1 << 20, "the same twice"),
            (sound[..sound.len() - 1].to_vec(), 1 << 20, "torn"),
            (damaged, 1 << 20, "damaged"),
            (other_sum, 1 << 20, "a wrong checksum"),
            ([sound.clone(), vec![0; 5]].concat(), 1 << 20, "something behind it"),
            (sound.clone(), long.len() - 1, "too large"),
            (b"{}".to_vec(), 1 << 20, "plain"),
            (Vec::new(), 1 << 20, "nothing"),
        ] {
            assert_eq!(whole.inflate(&data, max_bytes, &mut text), None, "{why}");
        }
    }
}
