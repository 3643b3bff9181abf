//! The raft crate's view of the log that C++ keeps.

use std::cell::RefCell;
use std::collections::BTreeSet;

use raft::eraftpb::{ConfState, Entry, HardState, Snapshot};
use raft::{Error, GetEntriesContext, RaftState, Result, Storage, StorageError};

use crate::abi::{CEntry, CLog};
use crate::entry::{encoded_bytes, from_c};

pub struct LogStorage {
    log: CLog,
    hard_state: HardState,
    conf_state: ConfState,
    /// Batches travel beside the entries of a message; this bounds what one message to a follower that catches up
    /// asks to be sent.
    max_batch_bytes: u64,
    stranded: RefCell<BTreeSet<u64>>,
}

impl LogStorage {
    pub fn new(
        log: CLog,
        hard_state: HardState,
        conf_state: ConfState,
        max_batch_bytes: u64,
    ) -> LogStorage {
        LogStorage {
            log,
            hard_state,
            conf_state,
            max_batch_bytes,
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

    fn entry(&self, index: u64) -> Option<CEntry> {
        let mut entry = CEntry::zero();
        if !(self.log.entry)(self.log.context, index, &mut entry) {
            return None;
        }
        assert!(
            entry.index == index,
            "the log has another entry in the place of entry {index}"
        );
        Some(entry)
    }

    /// An entry that must be there: what is not applied yet is never out of reach.
    pub fn read(&self, index: u64) -> CEntry {
        match self.entry(index) {
            Some(entry) => entry,
            None => panic!("the log cannot read entry {index} within its own bounds"),
        }
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
        let sends = context.can_async();
        let max_batches = if sends {
            self.max_batch_bytes
        } else {
            u64::MAX
        };
        let mut found = Vec::with_capacity((high - low).min(1024) as usize);
        let (mut size, mut batches) = (0u64, 0u64);
        for index in low..high {
            let entry = if sends {
                match self.entry(index) {
                    Some(entry) => entry,
                    None if found.is_empty() => return Err(Error::Store(StorageError::Compacted)),
                    None => break,
                }
            } else {
                self.read(index)
            };
            size += encoded_bytes(&entry);
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
