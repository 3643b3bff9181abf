//! What may come in over the wire: the raft crate trusts its peers and panics at a message that cannot be, so
//! everything it relies on is checked here first.

use std::os::raw::c_void;

use prost::Message as _;
use raft::eraftpb::{Entry, EntryType, Message, MessageType};
use raft::{RawNode, StateRole, Storage};

use crate::abi::{refuse, CEntry, Code, Refusal, Visit, DESCRIPTOR_SIZE, KIND_BATCH, KIND_EMPTY};

/// A message holds entries of at most `MAX_ENTRY_BYTES` (and one more), so anything much larger is none of ours.
pub const MAX_ENTRY_BYTES: u64 = 256 << 10;
const MAX_MESSAGE_BYTES: usize = 1 << 20;
/// Terms and indexes stay below, as in a transaction id, so that adding to them never wraps.
const NUMBER_LIMIT: u64 = 1 << 63;
/// Size of a read token, which travels in the context of heartbeats.
pub const TOKEN_SIZE: usize = 8;

/// An entry as C++ sees it.
pub fn to_c(entry: &Entry) -> Result<CEntry, Refusal> {
    let mut out = CEntry::zero();
    out.index = entry.index;
    out.term = entry.term;
    if entry.entry_type != EntryType::EntryNormal as i32 || !entry.context.is_empty() {
        return refuse(
            Code::Invalid,
            format!("entry {} is of a kind that is not used here", entry.index),
        );
    }
    match entry.data.len() {
        0 => out.kind = KIND_EMPTY,
        DESCRIPTOR_SIZE => {
            out.kind = KIND_BATCH;
            out.descriptor.copy_from_slice(&entry.data);
        }
        size => {
            return refuse(
                Code::Invalid,
                format!(
                    "entry {} carries {} bytes, a descriptor has {}",
                    entry.index, size, DESCRIPTOR_SIZE
                ),
            )
        }
    }
    Ok(out)
}

pub fn from_c(entry: &CEntry) -> Entry {
    Entry {
        index: entry.index,
        term: entry.term,
        data: match entry.kind {
            KIND_EMPTY => Vec::new(),
            KIND_BATCH => entry.descriptor.to_vec(),
            kind => panic!("the log handed out an entry of kind {kind}"),
        },
        ..Default::default()
    }
}

/// Parses a message and checks what can be checked without knowing the engine's state.
pub fn parse(bytes: &[u8], visit: Visit, context: *mut c_void) -> Result<Message, Refusal> {
    if bytes.len() > MAX_MESSAGE_BYTES {
        return refuse(
            Code::Limit,
            format!(
                "a consensus message of {} bytes is larger than the limit of {}",
                bytes.len(),
                MAX_MESSAGE_BYTES
            ),
        );
    }
    let message = match Message::decode(bytes) {
        Ok(message) => message,
        Err(why) => {
            return refuse(
                Code::Invalid,
                format!("these bytes are no consensus message: {why}"),
            )
        }
    };
    check_form(&message)?;
    if let Some(visit) = visit {
        for entry in &message.entries {
            if !visit(context, &to_c(entry)?) {
                return refuse(
                    Code::Invalid,
                    format!("the descriptor of entry {} is malformed", entry.index),
                );
            }
        }
    }
    Ok(message)
}

fn check_form(message: &Message) -> Result<(), Refusal> {
    use MessageType::*;
    let invalid = |text: String| refuse(Code::Invalid, text);

    // An unknown number must not be read as the enumeration's default.
    let kind = match MessageType::from_i32(message.msg_type) {
        Some(
            kind @ (MsgAppend
            | MsgAppendResponse
            | MsgRequestVote
            | MsgRequestVoteResponse
            | MsgRequestPreVote
            | MsgRequestPreVoteResponse
            | MsgHeartbeat
            | MsgHeartbeatResponse),
        ) => kind,
        _ => {
            return invalid(format!(
                "a consensus message of type {} is not accepted from another node",
                message.msg_type
            ))
        }
    };
    let numbers = [
        message.term,
        message.log_term,
        message.index,
        message.commit,
        message.commit_term,
        message.reject_hint,
    ];
    if numbers.iter().any(|n| *n >= NUMBER_LIMIT) {
        return invalid("a consensus message holds a number of 2^63 or more".to_string());
    }
    // The raft crate takes term 0 for a message from the node itself.
    if message.term == 0 || message.from == 0 || message.to == 0 {
        return invalid("a consensus message lacks its term, sender or receiver".to_string());
    }
    if message.snapshot.is_some() || message.request_snapshot != 0 {
        return invalid("snapshots do not travel in consensus messages".to_string());
    }
    if message.priority != 0 || message.deprecated_priority != 0 {
        return invalid(
            "a consensus message claims a priority, which is not used here".to_string(),
        );
    }
    // In a vote request the context would override the leader's lease.
    let holds_token =
        matches!(kind, MsgHeartbeat | MsgHeartbeatResponse) && message.context.len() == TOKEN_SIZE;
    if !message.context.is_empty() && !holds_token {
        return invalid("a consensus message carries a context that it must not have".to_string());
    }
    if kind != MsgAppend {
        if !message.entries.is_empty() {
            return invalid(
                "a consensus message carries entries that it must not have".to_string(),
            );
        }
        return Ok(());
    }

    // Past its end the raft crate's log answers with term 0, which must match nothing.
    if (message.index == 0) != (message.log_term == 0) || message.log_term > message.term {
        return invalid(format!(
            "an append after index {} names the impossible term {}",
            message.index, message.log_term
        ));
    }
    let mut previous = (message.index, message.log_term);
    for entry in &message.entries {
        if entry.index != previous.0 + 1
            || entry.index >= NUMBER_LIMIT
            || entry.term < previous.1.max(1)
            || entry.term > message.term
        {
            return invalid(format!(
                "entry ({}, term {}) cannot follow ({}, term {})",
                entry.index, entry.term, previous.0, previous.1
            ));
        }
        to_c(entry)?;
        previous = (entry.index, entry.term);
    }
    Ok(())
}

/// Checks a well-formed message against what this node knows, before the raft crate acts on it.
pub fn admit<S: Storage>(node: &RawNode<S>, message: &Message) -> Result<(), Refusal> {
    use MessageType::*;
    let raft = &node.raft;
    if message.to != raft.id {
        return refuse(
            Code::Invalid,
            format!(
                "a consensus message for node {} reached node {}",
                message.to, raft.id
            ),
        );
    }
    if message.from == raft.id || raft.prs().get(message.from).is_none() {
        return refuse(
            Code::Invalid,
            format!(
                "a consensus message comes from {}, which is no other voter",
                message.from
            ),
        );
    }

    let last = raft.raft_log.last_index();
    let same_term = message.term == raft.term;
    match message.get_msg_type() {
        MsgAppend | MsgHeartbeat
            if same_term && raft.leader_id != 0 && raft.leader_id != message.from =>
        {
            refuse(
                Code::Corrupt,
                format!(
                    "node {} claims to lead term {}, which node {} leads",
                    message.from, message.term, raft.leader_id
                ),
            )
        }
        MsgHeartbeat if message.term >= raft.term && message.commit > last => refuse(
            Code::Corrupt,
            format!(
                "node {} knows this log to be committed up to {}, but it ends at {}; it has lost entries",
                message.from, message.commit, last
            ),
        ),
        MsgAppendResponse
            if same_term
                && raft.state == StateRole::Leader
                && !message.reject
                && message.index > last =>
        {
            refuse(
                Code::Corrupt,
                format!(
                    "node {} acknowledges entry {}, but the log ends at {}",
                    message.from, message.index, last
                ),
            )
        }
        _ => Ok(()),
    }
}
