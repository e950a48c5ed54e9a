//! Ids on disk: runs of sorted ids in files without a name, each with a filter in memory.
//!
//! An id that was never seen is nearly always told so by the filters; of the others a run is searched where the id, a
//! random number, must be about. Many runs become one, so that there are few filters to ask.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Bytes of an id.
const ID_BYTES: usize = 16;
/// Runs that are asked one after the other.
const MOST_RUNS: usize = 8;
/// Ids that are read at once.
const PAGE_IDS: usize = 256;

/// The runs of one part.
#[derive(Default)]
pub struct Spilled {
    runs: Vec<Run>,
}

struct Run {
    file: File,
    ids: u64,
    filter: Filter,
}

impl Spilled {
    /// Writes ids, in any order.
    ///
    /// # Errors
    /// The disk is full, or fails.
    pub fn write(&mut self, mut ids: Vec<u128>, folder: &Path) -> io::Result<()> {
        ids.sort_unstable();
        let number = ids.len() as u64;
        self.runs.push(Run::write(ids.into_iter().map(Ok), number, folder)?);
        if self.runs.len() > MOST_RUNS {
            let ids = self.runs.iter().map(|run| run.ids).sum();
            let merged = Run::write(Merged::of(&self.runs)?, ids, folder)?;
            self.runs = vec![merged];
        }
        Ok(())
    }

    /// How many runs there are.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.runs.len()
    }

    /// Whether an id was written.
    ///
    /// # Errors
    /// The disk fails.
    pub fn holds(&self, id: u128) -> io::Result<bool> {
        for run in &self.runs {
            if run.filter.may_hold(id) && run.holds(id)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Run {
    fn write(sorted: impl Iterator<Item = io::Result<u128>>, number: u64, folder: &Path) -> io::Result<Self> {
        let mut filter = Filter::for_ids(number);
        let mut file = BufWriter::with_capacity(1 << 18, tempfile::tempfile_in(folder)?);
        for id in sorted {
            let id = id?;
            filter.add(id);
            file.write_all(&id.to_be_bytes())?;
        }
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(Self { file, ids: number, filter })
    }

    /// Ids are random: the share of all numbers that are below one is about its place.
    fn holds(&self, id: u128) -> io::Result<bool> {
        let (mut low, mut high) = (0, self.ids);
        let mut guess = (((id >> 64) * u128::from(self.ids)) >> 64) as u64;
        let mut bytes = [0; PAGE_IDS * ID_BYTES];
        while low < high {
            let first = guess.saturating_sub(PAGE_IDS as u64 / 2).clamp(low, high - 1);
            let number = (high - first).min(PAGE_IDS as u64);
            let page = &mut bytes[..number as usize * ID_BYTES];
            self.file.read_exact_at(page, first * ID_BYTES as u64)?;
            let ids = page.as_chunks().0;
            match ids.binary_search(&id.to_be_bytes()) {
                Ok(_) => return Ok(true),
                Err(0) => high = first,
                Err(at) if at == ids.len() => low = first + number,
                Err(_) => return Ok(false),
            }
            guess = low + (high - low) / 2;
        }
        Ok(false)
    }
}

/// The ids of several runs, sorted.
struct Merged<'a> {
    heads: Vec<(u128, BufReader<At<'a>>)>,
}

/// Reads a file from its beginning, whoever else reads it.
struct At<'a> {
    file: &'a File,
    at: u64,
}

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl<'a> Merged<'a> {
    fn of(runs: &'a [Run]) -> io::Result<Self> {
        let mut heads = Vec::new();
        for run in runs {
            let mut ids = BufReader::with_capacity(1 << 16, At { file: &run.file, at: 0 });
            if let Some(first) = next(&mut ids)? {
                heads.push((first, ids));
            }
        }
        Ok(Self { heads })
    }
}

fn next(ids: &mut impl Read) -> io::Result<Option<u128>> {
    let mut id = [0; ID_BYTES];
    match ids.read_exact(&mut id) {
        Ok(()) => Ok(Some(u128::from_be_bytes(id))),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

impl Iterator for Merged<'_> {
    type Item = io::Result<u128>;

    fn next(&mut self) -> Option<Self::Item> {
        let least = (0..self.heads.len()).min_by_key(|at| self.heads[*at].0)?;
        let (id, ids) = &mut self.heads[least];
        let found = *id;
        match next(ids) {
            Ok(Some(following)) => *id = following,
            Ok(None) => drop(self.heads.swap_remove(least)),
            Err(error) => return Some(Err(error)),
        }
        Some(Ok(found))
    }
}

/// A set that may take an id for one of its own, once in about two hundred: 12 bits an id, six of them set in one word.
struct Filter {
    words: Vec<u64>,
}

const BITS_PER_ID: u64 = 12;
const BITS_SET: u32 = 6;

impl Filter {
    fn for_ids(number: u64) -> Self {
        Self { words: vec![0; (number * BITS_PER_ID).div_ceil(64).max(1) as usize] }
    }

    /// The word of an id and its bits in it.
    fn place(&self, id: u128) -> (usize, u64) {
        // Of an id that is no random number both must be.
        let mixed = (id ^ (id >> 67)).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        let word = (((mixed >> 64) * self.words.len() as u128) >> 64) as usize;
        let low = mixed as u64 ^ (mixed >> 64) as u64;
        let bits = (0..BITS_SET).fold(0, |bits, number| bits | 1 << (low >> (6 * number) & 63));
        (word, bits)
    }

    fn add(&mut self, id: u128) {
        let (word, bits) = self.place(id);
        self.words[word] |= bits;
    }

    fn may_hold(&self, id: u128) -> bool {
        let (word, bits) = self.place(id);
        self.words[word] & bits == bits
    }
}
