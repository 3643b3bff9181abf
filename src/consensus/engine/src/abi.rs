//! The types of `concordat_engine.h`, field for field.

use std::os::raw::{c_char, c_void};

pub const DESCRIPTOR_SIZE: usize = 56;
const DESCRIPTOR_LENGTH_AT: usize = 16;

/// Nodes that one entry may give another role.
pub const MAX_CHANGES: usize = 16;

pub const KIND_EMPTY: u32 = 0;
pub const KIND_BATCH: u32 = 1;
pub const KIND_CHANGE: u32 = 2;

pub const ROLE_NONE: u8 = 0;
pub const ROLE_LEARNER: u8 = 1;
pub const ROLE_VOTER: u8 = 2;

#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    Ok = 0,
    Invalid = 1,
    Corrupt = 2,
    Unavailable = 3,
    Limit = 4,
}

/// What a function reports when it refuses something.
#[derive(Debug)]
pub struct Refusal {
    pub code: Code,
    pub message: String,
}

pub fn refuse<T>(code: Code, message: String) -> Result<T, Refusal> {
    Err(Refusal { code, message })
}

#[repr(C)]
pub struct ErrorBuffer {
    pub message: [c_char; 256],
}

impl ErrorBuffer {
    pub fn fill(&mut self, text: &str) {
        let mut size = text.len().min(self.message.len() - 1);
        while !text.is_char_boundary(size) {
            size -= 1;
        }
        for (to, from) in self.message.iter_mut().zip(&text.as_bytes()[..size]) {
            *to = *from as c_char;
        }
        self.message[size] = 0;
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct CEntry {
    pub index: u64,
    pub term: u64,
    pub kind: u32,
    pub change_count: u32,
    pub change_ids: [u64; MAX_CHANGES],
    pub change_roles: [u8; MAX_CHANGES],
    pub change_joint: bool,
    pub descriptor: [u8; DESCRIPTOR_SIZE],
}

impl CEntry {
    pub const fn zero() -> CEntry {
        CEntry {
            index: 0,
            term: 0,
            kind: KIND_EMPTY,
            change_count: 0,
            change_ids: [0; MAX_CHANGES],
            change_roles: [ROLE_NONE; MAX_CHANGES],
            change_joint: false,
            descriptor: [0; DESCRIPTOR_SIZE],
        }
    }

    /// Bytes of the batch that travels beside this entry.
    pub fn batch_length(&self) -> u64 {
        if self.kind == KIND_EMPTY {
            return 0;
        }
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.descriptor[DESCRIPTOR_LENGTH_AT..DESCRIPTOR_LENGTH_AT + 8]);
        u64::from_le_bytes(bytes)
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct CLog {
    pub context: *const c_void,
    pub first_index: extern "C" fn(*const c_void) -> u64,
    pub last_index: extern "C" fn(*const c_void) -> u64,
    pub term: extern "C" fn(*const c_void, u64, *mut u64) -> bool,
    pub entry: extern "C" fn(*const c_void, u64, *mut CEntry) -> bool,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct CHardState {
    pub term: u64,
    pub vote: u64,
    pub commit: u64,
}

#[repr(C)]
pub struct CConfiguration {
    pub voters: *const u64,
    pub voter_count: usize,
    pub learners: *const u64,
    pub learner_count: usize,
    pub voters_outgoing: *const u64,
    pub voter_outgoing_count: usize,
    pub learners_next: *const u64,
    pub learner_next_count: usize,
}

#[repr(C)]
pub struct COptions {
    pub id: u64,
    pub configuration: CConfiguration,
    pub hard_state: CHardState,
    pub applied: u64,
    pub election_ticks: u64,
    pub heartbeat_ticks: u64,
    pub max_inflight_messages: u64,
    pub max_message_entries: u64,
    pub max_message_batch_bytes: u64,
    pub max_waiting_entries: u64,
    pub seed: u64,
    pub observes: bool,
    pub votes_for: u64,
}

#[repr(C)]
pub struct CMessage {
    pub to: u64,
    pub bytes: *const u8,
    pub size: usize,
    pub entries: *const CEntry,
    pub entry_count: usize,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct CRead {
    pub token: u64,
    pub index: u64,
}

#[repr(C)]
pub struct CReady {
    pub number: u64,
    pub messages: *const CMessage,
    pub message_count: usize,
    pub has_hard_state: bool,
    pub hard_state: CHardState,
    pub entries: *const CEntry,
    pub entry_count: usize,
    pub persisted_messages: *const CMessage,
    pub persisted_message_count: usize,
    pub committed: *const CEntry,
    pub committed_count: usize,
    pub reads: *const CRead,
    pub read_count: usize,
    pub stranded: *const u64,
    pub stranded_count: usize,
}

#[repr(C)]
pub struct CStatus {
    pub term: u64,
    pub leader: u64,
    pub commit: u64,
    pub handing_over_to: u64,
    pub leads: bool,
    pub change_pending: bool,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct CPeer {
    pub id: u64,
    pub matched: u64,
    pub active: bool,
    pub stranded: bool,
}

#[repr(C)]
pub struct CProgress {
    pub peers: *const CPeer,
    pub peer_count: usize,
    pub has_quorum: bool,
}

#[repr(C)]
pub struct CSummary {
    pub from: u64,
    pub to: u64,
    pub term: u64,
}

pub type Visit = Option<extern "C" fn(*mut c_void, *const CEntry) -> bool>;
pub type LoggerFunction = Option<extern "C" fn(u32, *const u8, usize)>;
