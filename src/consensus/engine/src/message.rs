//! What may come in over the wire: the raft crate trusts its peers and panics at a message that cannot be, so
//! everything it relies on is checked here first.

use std::os::raw::c_void;

use prost::Message as _;
use raft::eraftpb::{Message, MessageType};
use raft::{RawNode, StateRole, Storage};

use crate::abi::{refuse, Code, Refusal, Visit, KIND_CHANGE};
use crate::entry::{to_c, NUMBER_LIMIT};

/// A message holds entries of at most `MAX_ENTRY_BYTES` (and one more), so anything much larger is none of ours.
pub const MAX_ENTRY_BYTES: u64 = 256 << 10;
const MAX_MESSAGE_BYTES: usize = 1 << 20;
/// The context of a vote request of a node to which the leader hands over: it need not wait for the leader's lease.
const HANDED_OVER: &[u8] = b"CampaignTransfer";
/// Size of a read token, which travels in the context of heartbeats.
pub const TOKEN_SIZE: usize = 8;

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
            | MsgHeartbeatResponse
            | MsgTimeoutNow),
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
    let may_have_context = match kind {
        MsgHeartbeat | MsgHeartbeatResponse => message.context.len() == TOKEN_SIZE,
        MsgRequestVote => message.context == HANDED_OVER,
        _ => false,
    };
    if !message.context.is_empty() && !may_have_context {
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
    let mut changes = 0;
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
        if to_c(entry)?.kind == KIND_CHANGE && entry.index > message.commit {
            changes += 1;
        }
        previous = (entry.index, entry.term);
    }
    // A leader proposes a change of the configuration once the one before is applied. That a log holds one at most
    // beyond what it knows to be committed keeps a candidate within one step of the configuration that decides.
    if changes > 1 {
        return invalid(
            "a consensus message carries two changes of the configuration that are not committed"
                .to_string(),
        );
    }
    Ok(())
}

pub enum Admission {
    Step,
    /// Late or from a node that is no member any more, as happens in a network without fault.
    Ignore,
}

/// Checks a well-formed message against what this node knows, before the raft crate acts on it. A node that asks for
/// a vote or leads need not be a member of the configuration that is applied here: this node may lag behind.
pub fn admit<S: Storage>(node: &RawNode<S>, message: &Message) -> Result<Admission, Refusal> {
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
    if message.from == raft.id {
        return refuse(
            Code::Invalid,
            format!(
                "a consensus message comes from node {} itself",
                message.from
            ),
        );
    }

    let last = raft.raft_log.last_index();
    let same_term = message.term == raft.term;
    match message.get_msg_type() {
        MsgAppendResponse
        | MsgHeartbeatResponse
        | MsgRequestVoteResponse
        | MsgRequestPreVoteResponse
            if raft.prs().get(message.from).is_none() =>
        {
            Ok(Admission::Ignore)
        }
        // Only who leads this node now can hand over to it.
        MsgTimeoutNow if !same_term || raft.leader_id != message.from || !raft.promotable() => {
            Ok(Admission::Ignore)
        }
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
        _ => Ok(Admission::Step),
    }
}
