//! The raft crate's view of the log that C++ keeps.

use std::cell::RefCell;
use std::collections::BTreeSet;

use raft::eraftpb::{ConfState, Entry, HardState, Snapshot};
use raft::{Error, GetEntriesContext, RaftState, Result, Storage, StorageError};

use crate::abi::{CEntry, CLog};
use crate::message::from_c;

/// Batches travel beside the entries of a message; this bounds what one message to a follower that catches up
/// asks to be sent.
const MAX_BATCH_BYTES: u64 = 1 << 20;
/// Upper bound of an encoded entry with a descriptor.
const ENTRY_BYTES: u64 = 96;

pub struct LogStorage {
    log: CLog,
    hard_state: HardState,
    conf_state: ConfState,
    stranded: RefCell<BTreeSet<u64>>,
}

impl LogStorage {
    pub fn new(log: CLog, hard_state: HardState, conf_state: ConfState) -> LogStorage {
        LogStorage {
            log,
            hard_state,
            conf_state,
            stranded: RefCell::new(BTreeSet::new()),
        }
    }

    pub fn first(&self) -> u64 {
        (self.log.first_index)(self.log.context)
    }

    pub fn last(&self) -> u64 {
        (self.log.last_index)(self.log.context)
    }

    pub fn term_of(&self, index: u64) -> Option<u64> {
        let mut term = 0;
        (self.log.term)(self.log.context, index, &mut term).then_some(term)
    }

    fn entry(&self, index: u64) -> CEntry {
        let mut entry = CEntry::zero();
        let found = (self.log.entry)(self.log.context, index, &mut entry);
        assert!(
            found && entry.index == index,
            "the log has no entry {index} within its own bounds"
        );
        entry
    }

    pub fn has_stranded(&self) -> bool {
        !self.stranded.borrow().is_empty()
    }

    /// Followers that need what the log no longer has, since the last call.
    pub fn take_stranded(&self) -> Vec<u64> {
        std::mem::take(&mut *self.stranded.borrow_mut())
            .into_iter()
            .collect()
    }
}

impl Storage for LogStorage {
    fn initial_state(&self) -> Result<RaftState> {
        Ok(RaftState::new(
            self.hard_state.clone(),
            self.conf_state.clone(),
        ))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        context: GetEntriesContext,
    ) -> Result<Vec<Entry>> {
        if low < self.first() {
            return Err(Error::Store(StorageError::Compacted));
        }
        if high > self.last() + 1 {
            return Err(Error::Store(StorageError::Unavailable));
        }
        let max_size = max_size.into().unwrap_or(u64::MAX);
        // Only a read for sending may be answered later, and only what is sent takes its batches along.
        let max_batches = if context.can_async() {
            MAX_BATCH_BYTES
        } else {
            u64::MAX
        };
        let mut found = Vec::with_capacity((high - low).min(1024) as usize);
        let (mut size, mut batches) = (0u64, 0u64);
        for index in low..high {
            let entry = self.entry(index);
            size += ENTRY_BYTES;
            batches = batches.saturating_add(entry.batch_length());
            if !found.is_empty() && (size > max_size || batches > max_batches) {
                break;
            }
            found.push(from_c(&entry));
        }
        Ok(found)
    }

    fn term(&self, index: u64) -> Result<u64> {
        match self.term_of(index) {
            Some(term) => Ok(term),
            None if index < self.first() => Err(Error::Store(StorageError::Compacted)),
            None => Err(Error::Store(StorageError::Unavailable)),
        }
    }

    fn first_index(&self) -> Result<u64> {
        Ok(self.first())
    }

    fn last_index(&self) -> Result<u64> {
        Ok(self.last())
    }

    fn snapshot(&self, _request_index: u64, to: u64) -> Result<Snapshot> {
        self.stranded.borrow_mut().insert(to);
        Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable))
    }
}
