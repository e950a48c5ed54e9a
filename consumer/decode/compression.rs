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
}
