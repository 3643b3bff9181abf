//! What a node starts with: checked, and fitted to its log.

use raft::eraftpb::{ConfState, HardState};

use crate::abi::{refuse, CLog, COptions, Code, Refusal};
use crate::storage::LogStorage;

const MAX_VOTERS: usize = 255;
const MAX_TICKS: u64 = 1 << 20;

pub fn check_options(options: &COptions, voters: &[u64]) -> Result<(), Refusal> {
    let invalid = |text: String| refuse(Code::Invalid, text);
    if options.id == 0 {
        return invalid("a node's id must not be 0".to_string());
    }
    if voters.is_empty() || voters.len() > MAX_VOTERS {
        return invalid(format!(
            "a network has 1 to {MAX_VOTERS} voters, not {}",
            voters.len()
        ));
    }
    let mut sorted = voters.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() != voters.len() || sorted[0] == 0 {
        return invalid("voters must differ from each other and from 0".to_string());
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
    Ok(())
}

/// The raft crate panics at a state that does not fit the log, which a damaged disk can bring about.
pub fn initial_hard_state(options: &COptions, log: &CLog) -> Result<HardState, Refusal> {
    let corrupt = |text: String| refuse(Code::Corrupt, text);
    let probe = LogStorage::new(*log, HardState::default(), ConfState::default());
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
        commit,
    })
}
