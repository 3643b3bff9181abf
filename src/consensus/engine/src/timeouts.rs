//! Election time-outs from a seed, so that a simulated network runs the same way twice.

use raft::RawNode;

use crate::storage::LogStorage;

pub struct Timeouts {
    enabled: bool,
    state: u64,
    drawn: usize,
    seen: (u64, u8),
}

impl Timeouts {
    /// A seed of 0 leaves the time-outs to the raft crate.
    pub fn new(seed: u64, id: u64) -> Timeouts {
        Timeouts {
            enabled: seed != 0,
            state: seed ^ id.rotate_left(32),
            drawn: 0,
            seen: (u64::MAX, 0),
        }
    }

    /// The raft crate draws a time-out whenever it changes its term or role; ours replaces it.
    pub fn settle(&mut self, node: &mut RawNode<LogStorage>) {
        if !self.enabled {
            return;
        }
        let raft = &mut node.raft;
        let now = (raft.term, raft.state as u8);
        if now != self.seen {
            self.seen = now;
            let ticks = raft.election_timeout();
            self.drawn = ticks + (self.next() % ticks as u64) as usize;
        }
        raft.set_randomized_election_timeout(self.drawn);
    }

    /// SplitMix64 (Steele, Lea, Flood 2014).
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
