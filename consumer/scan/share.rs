//! Pieces of large files, for threads that have nothing else to do.
//!
//! Enters: pieces, from a thread that reads a file on and on. Leaves: the same, to whoever is idle. None is put aside
//! while everyone is busy, so no more are held than there are threads.

use std::collections::VecDeque;

use parking_lot::{Condvar, Mutex};

use crate::source::Units;

/// What is shared.
pub struct Share {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// Pieces, and the number of the file that each is of.
    pieces: VecDeque<(usize, Units)>,
    /// Threads that may still read a file.
    reading: usize,
    /// Threads that wait for a piece.
    idle: usize,
}

/// A thread that may read files, until it is dropped.
pub struct Reading<'a>(&'a Share);

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.state.lock().reading -= 1;
        self.0.changed.notify_all();
    }
}

impl Share {
    /// Among so many threads, each of which calls [`Share::reading`] once.
    pub fn new(threads: usize) -> Self {
        let state = State { pieces: VecDeque::new(), reading: threads, idle: 0 };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// A thread that may read files.
    pub fn reading(&self) -> Reading<'_> {
        Reading(self)
    }

    /// Whether someone waits for a piece.
    pub fn is_wanted(&self) -> bool {
        let state = self.state.lock();
        state.idle > state.pieces.len()
    }

    /// Hands a piece of a file to whoever is idle.
    pub fn give(&self, file: usize, piece: Units) {
        self.state.lock().pieces.push_back((file, piece));
        self.changed.notify_one();
    }

    /// Waits for a piece. None: no more will come.
    pub fn take(&self) -> Option<(usize, Units)> {
        let mut state = self.state.lock();
        loop {
            if let Some(piece) = state.pieces.pop_front() {
                return Some(piece);
            }
            if state.reading == 0 {
                return None;
            }
            state.idle += 1;
            self.changed.wait(&mut state);
            state.idle -= 1;
        }
    }
}
