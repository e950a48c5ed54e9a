//! Room for connections: so many at once, and of one side no more than a part of them, so that whoever holds all that he
//! can get leaves room for others, probes among them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::access::side_of;

/// Connections of one side that wait for room; further ones are closed.
const WAITING_OF_SIDE: usize = 1024;
/// Connections of all sides.
const MOST: usize = 8192;

/// The room.
pub struct Room {
    all: Arc<Semaphore>,
    per_side: usize,
    sides: Mutex<Sides>,
    waiting: AtomicUsize,
}

#[derive(Default)]
struct Sides {
    connections: usize,
    by_address: HashMap<IpAddr, Side>,
}

struct Side {
    turns: Arc<Semaphore>,
    connections: usize,
}

impl Room {
    /// Room for so many connections at once.
    pub fn new(connections: usize) -> Arc<Self> {
        let connections = connections.clamp(1, Semaphore::MAX_PERMITS);
        // Three in four: two sides that want all get some.
        let per_side = (connections * 3).div_ceil(4);
        Arc::new(Self {
            all: Arc::new(Semaphore::new(connections)),
            per_side,
            sides: Mutex::default(),
            waiting: AtomicUsize::new(0),
        })
    }

    /// Whether somebody waits: then a connection should end with its answer, instead of being kept for another request.
    pub fn is_crowded(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Lets a connection wait for its turn; none if its side, or all, have too many that wait.
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Visitor> {
        let address = side_of(address);
        let mut sides = self.sides.lock();
        let most_of_side = self.per_side + WAITING_OF_SIDE;
        let is_full = sides.connections >= MOST
            || sides.by_address.get(&address).is_some_and(|side| side.connections >= most_of_side);
        if is_full {
            return None;
        }
        sides.connections += 1;
        let side = sides
            .by_address
            .entry(address)
            .or_insert_with(|| Side { turns: Arc::new(Semaphore::new(self.per_side)), connections: 0 });
        side.connections += 1;
        Some(Visitor { room: Arc::clone(self), address, turns: Arc::clone(&side.turns) })
    }
}

/// A connection, until it is dropped.
pub struct Visitor {
    room: Arc<Room>,
    address: IpAddr,
    turns: Arc<Semaphore>,
}

impl Visitor {
    /// Whether it would have to wait.
    pub fn must_wait(&self) -> bool {
        self.turns.available_permits() == 0 || self.room.all.available_permits() == 0
    }

    /// Waits for its turn: first among those of its side.
    pub async fn turn(&self) -> Option<[OwnedSemaphorePermit; 2]> {
        let _waiting = Waiting::new(&self.room.waiting);
        let of_side = Arc::clone(&self.turns).acquire_owned().await.ok()?;
        let of_all = Arc::clone(&self.room.all).acquire_owned().await.ok()?;
        Some([of_side, of_all])
    }
}

/// One that waits, until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        let mut sides = self.room.sides.lock();
        sides.connections -= 1;
        if let Some(side) = sides.by_address.get_mut(&self.address) {
            side.connections -= 1;
            if side.connections == 0 {
                sides.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn one_side_leaves_room_for_others() {
        let room = Room::new(8);
        let (greedy, modest) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        let mut held = Vec::new();
        for number in 0..20 {
            let visitor = room.enter(greedy).unwrap();
            assert_eq!(visitor.must_wait(), number >= 6);
            held.push((visitor.turn().now_or_never(), visitor));
        }
        assert_eq!(held.iter().filter(|(turn, _)| turn.is_some()).count(), 6);
        let other = room.enter(modest).unwrap();
        assert!(other.turn().now_or_never().is_some());
        // Those that wait are bounded, too, and leave nothing behind.
        let waiting: Vec<_> = (0..2000).map_while(|_| room.enter(greedy)).collect();
        assert_eq!(waiting.len() + held.len(), 6 + WAITING_OF_SIDE);
        drop((waiting, held, other));
        let sides = room.sides.lock();
        assert_eq!((sides.connections, sides.by_address.len()), (0, 0));
    }
}
