//! What a call handed out last: the memory that the pointers of the ABI point into.

use prost::Message as _;
use raft::eraftpb::{ConfState, Entry, Message};

use crate::abi::*;
use crate::entry::to_c;
use crate::message::TOKEN_SIZE;

#[derive(Default)]
pub struct Output {
    bytes: Vec<Vec<u8>>,
    carried: Vec<Vec<CEntry>>,
    messages: Vec<CMessage>,
    persisted_messages: Vec<CMessage>,
    entries: Vec<CEntry>,
    committed: Vec<CEntry>,
    reads: Vec<CRead>,
    pub number: u64,
    pub stranded: Vec<u64>,
    pub hard_state: Option<CHardState>,
}

impl Output {
    pub fn set_messages(&mut self, messages: Vec<Message>) {
        self.messages = self.encode(messages);
    }

    pub fn set_persisted_messages(&mut self, messages: Vec<Message>) {
        self.persisted_messages = self.encode(messages);
    }

    pub fn set_entries(&mut self, entries: &[Entry]) {
        self.entries = to_entries(entries);
    }

    pub fn set_committed(&mut self, entries: &[Entry]) {
        self.committed = to_entries(entries);
    }

    pub fn set_reads(&mut self, states: Vec<raft::ReadState>) {
        self.reads = to_reads(states);
    }

    pub fn committed(&self) -> &[CEntry] {
        &self.committed
    }

    pub fn hand_out(&self) -> CReady {
        CReady {
            number: self.number,
            messages: self.messages.as_ptr(),
            message_count: self.messages.len(),
            has_hard_state: self.hard_state.is_some(),
            hard_state: self.hard_state.unwrap_or_default(),
            entries: self.entries.as_ptr(),
            entry_count: self.entries.len(),
            persisted_messages: self.persisted_messages.as_ptr(),
            persisted_message_count: self.persisted_messages.len(),
            committed: self.committed.as_ptr(),
            committed_count: self.committed.len(),
            reads: self.reads.as_ptr(),
            read_count: self.reads.len(),
            stranded: self.stranded.as_ptr(),
            stranded_count: self.stranded.len(),
        }
    }

    /// The buffers of the inner vectors stay where they are when the outer ones grow.
    fn encode(&mut self, messages: Vec<Message>) -> Vec<CMessage> {
        messages
            .into_iter()
            .map(|message| {
                let encoded = message.encode_to_vec();
                let entries = to_entries(&message.entries);
                let out = CMessage {
                    to: message.to,
                    bytes: encoded.as_ptr(),
                    size: encoded.len(),
                    entries: entries.as_ptr(),
                    entry_count: entries.len(),
                };
                self.bytes.push(encoded);
                self.carried.push(entries);
                out
            })
            .collect()
    }
}

fn to_entries(entries: &[Entry]) -> Vec<CEntry> {
    entries
        .iter()
        .map(|entry| to_c(entry).expect("entries are checked before they enter the log"))
        .collect()
}

fn to_reads(states: Vec<raft::ReadState>) -> Vec<CRead> {
    states
        .into_iter()
        .filter_map(|state| {
            let token: [u8; TOKEN_SIZE] = state.request_ctx.try_into().ok()?;
            Some(CRead {
                token: u64::from_le_bytes(token),
                index: state.index,
            })
        })
        .collect()
}

/// A configuration, sorted.
#[derive(Default)]
pub struct Members(ConfState);

impl Members {
    pub fn new(mut state: ConfState) -> Members {
        state.voters.sort_unstable();
        state.learners.sort_unstable();
        state.voters_outgoing.sort_unstable();
        state.learners_next.sort_unstable();
        Members(state)
    }

    pub fn hand_out(&self) -> CConfiguration {
        CConfiguration {
            voters: self.0.voters.as_ptr(),
            voter_count: self.0.voters.len(),
            learners: self.0.learners.as_ptr(),
            learner_count: self.0.learners.len(),
            voters_outgoing: self.0.voters_outgoing.as_ptr(),
            voter_outgoing_count: self.0.voters_outgoing.len(),
            learners_next: self.0.learners_next.as_ptr(),
            learner_next_count: self.0.learners_next.len(),
        }
    }
}
