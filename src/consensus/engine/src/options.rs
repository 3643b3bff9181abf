//! What a node starts with: checked, and fitted to its log.

use raft::eraftpb::{ConfState, HardState};

use crate::abi::{refuse, CLog, COptions, Code, Refusal, KIND_CHANGE};
use crate::entry::{ENTRY_BYTES, NUMBER_LIMIT};
use crate::message::MAX_ENTRY_BYTES;
use crate::storage::LogStorage;

const MAX_TICKS: u64 = 1 << 20;

pub fn check_options(options: &COptions) -> Result<(), Refusal> {
    let invalid = |text: String| refuse(Code::Invalid, text);
    if options.id == 0 || options.id >= NUMBER_LIMIT {
        return invalid(format!("a node's id must not be {}", options.id));
    }
    if options.heartbeat_ticks == 0
        || options.election_ticks <= options.heartbeat_ticks
        || options.election_ticks > MAX_TICKS
    {
        return invalid(format!(
            "the election time-out ({} ticks) must be longer than the heartbeat interval ({} ticks, at least 1)",
            options.election_ticks, options.heartbeat_ticks
        ));
    }
    let limits = [
        ("messages in flight", options.max_inflight_messages, 1 << 16),
        (
            "entries of a message",
            options.max_message_entries,
            MAX_ENTRY_BYTES / ENTRY_BYTES,
        ),
        (
            "bytes of batches beside a message",
            options.max_message_batch_bytes,
            NUMBER_LIMIT,
        ),
        (
            "entries that wait",
            options.max_waiting_entries,
            NUMBER_LIMIT,
        ),
    ];
    for (what, value, limit) in limits {
        if value == 0 || value > limit {
            return invalid(format!(
                "the most {what} must be between 1 and {limit}, not {value}"
            ));
        }
    }
    Ok(())
}

/// The raft crate panics at a state that does not fit the log, which a damaged disk can bring about.
pub fn initial_hard_state(options: &COptions, log: &CLog) -> Result<HardState, Refusal> {
    let corrupt = |text: String| refuse(Code::Corrupt, text);
    let probe = LogStorage::new(*log, HardState::default(), ConfState::default(), u64::MAX);
    let (first, last) = (probe.first(), probe.last());
    if first == 0 || last.checked_add(1).is_none_or(|end| end < first) || last >= 1 << 63 {
        return corrupt(format!("the log claims to reach from {first} to {last}"));
    }
    let Some(last_term) = probe.term_of(last) else {
        return corrupt(format!(
            "the log does not know the term of its last entry {last}"
        ));
    };
    if probe.term_of(first - 1).is_none() {
        return corrupt(format!(
            "the log does not know the term before its first entry {first}"
        ));
    }
    let mut state = options.hard_state;
    if state.term < last_term && first > last {
        // The log begins with a snapshot of a later term, in which this node never voted. Voting for itself without
        // being a candidate keeps it from voting for anyone in that term, whatever its hard state has forgotten.
        state.term = last_term;
        state.vote = options.id;
    }
    if state.term < last_term || state.term >= 1 << 63 {
        return corrupt(format!(
            "the node's term is {}, but its log ends in term {last_term}",
            state.term
        ));
    }
    // The commit index of the file may be behind: it is written with the next change of term or vote.
    let commit = state.commit.max(options.applied).max(first - 1);
    if commit > last {
        return corrupt(format!(
            "entries up to {commit} are committed, but the log ends at {last}"
        ));
    }
    if options.applied != 0 && options.applied < first - 1 {
        return corrupt(format!(
            "entries up to {} are applied, but the log begins at {first}",
            options.applied
        ));
    }
    Ok(HardState {
        term: state.term,
        vote: state.vote,
        commit: commit.max(proven_by_changes(&probe, commit + 1, last)),
    })
}

/// A change of the configuration is proposed only once the one before is applied where it was proposed, so that of two
/// in a log the first is committed, though nothing else on this node may say so any more. A node that campaigned
/// without having applied it would count the voters of a configuration that is two steps old.
fn proven_by_changes(log: &LogStorage, begin: u64, last: u64) -> u64 {
    let (mut proven, mut newest) = (0, 0);
    for index in begin..=last {
        if log.read(index).kind == KIND_CHANGE {
            proven = newest;
            newest = index;
        }
    }
    proven
}
