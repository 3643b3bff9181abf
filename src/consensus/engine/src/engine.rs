//! One node of the raft algorithm, and what it last handed out.

use std::os::raw::c_void;

use prost::Message as _;
use raft::eraftpb::{ConfState, Entry, Message, MessageType};
use raft::{Config, ProgressState, RawNode, ReadOnlyOption, StateRole};

use crate::abi::*;
use crate::log::logger;
use crate::message::{admit, parse, to_c, MAX_ENTRY_BYTES, TOKEN_SIZE};
use crate::options::{check_options, initial_hard_state};
use crate::storage::LogStorage;
use crate::timeouts::Timeouts;

/// Appends on their way to one follower.
const MAX_INFLIGHT: usize = 64;
/// Bytes of descriptors proposed and not yet committed.
const MAX_UNCOMMITTED: u64 = 65536 * DESCRIPTOR_SIZE as u64;
const MAX_COMMITTED_PER_READY: u64 = 4 << 20;

/// What the pointers of a `CReady` point into.
#[derive(Default)]
struct Output {
    bytes: Vec<Vec<u8>>,
    carried: Vec<Vec<CEntry>>,
    messages: Vec<CMessage>,
    persisted_messages: Vec<CMessage>,
    entries: Vec<CEntry>,
    committed: Vec<CEntry>,
    reads: Vec<CRead>,
    stranded: Vec<u64>,
    hard_state: Option<CHardState>,
}

pub struct Engine {
    node: RawNode<LogStorage>,
    round: Option<raft::Ready>,
    output: Output,
    timeouts: Timeouts,
}

impl Engine {
    pub fn create(
        options: &COptions,
        voters: &[u64],
        log: CLog,
        log_function: LoggerFunction,
    ) -> Result<Engine, Refusal> {
        check_options(options, voters)?;
        let conf_state = ConfState::from((voters.to_vec(), vec![]));
        let storage = LogStorage::new(log, initial_hard_state(options, &log)?, conf_state);
        let config = Config {
            id: options.id,
            election_tick: options.election_ticks as usize,
            heartbeat_tick: options.heartbeat_ticks as usize,
            applied: options.applied,
            max_size_per_msg: MAX_ENTRY_BYTES,
            max_inflight_msgs: MAX_INFLIGHT,
            max_uncommitted_size: MAX_UNCOMMITTED,
            max_committed_size_per_ready: MAX_COMMITTED_PER_READY,
            check_quorum: true,
            pre_vote: true,
            read_only_option: ReadOnlyOption::Safe,
            ..Default::default()
        };
        match RawNode::new(&config, storage, &logger(log_function)) {
            Ok(node) => {
                let mut engine = Engine {
                    node,
                    round: None,
                    output: Output::default(),
                    timeouts: Timeouts::new(options.seed, options.id),
                };
                engine.settle();
                Ok(engine)
            }
            Err(why) => refuse(Code::Invalid, why.to_string()),
        }
    }

    fn assert_between_rounds(&self) {
        assert!(
            self.round.is_none(),
            "the engine was used between a round and its advance"
        );
    }

    fn settle(&mut self) {
        self.timeouts.settle(&mut self.node);
    }

    pub fn tick(&mut self) {
        self.assert_between_rounds();
        self.node.tick();
        self.settle();
    }

    pub fn campaign(&mut self) -> Result<(), Refusal> {
        self.assert_between_rounds();
        if !self.node.raft.promotable() {
            return refuse(
                Code::Unavailable,
                format!("node {} is no voter and cannot lead", self.node.raft.id),
            );
        }
        let outcome = self.node.campaign();
        self.settle();
        outcome.or_else(|why| refuse(Code::Unavailable, why.to_string()))
    }

    fn check_leads(&self, what: &str) -> Result<(), Refusal> {
        let raft = &self.node.raft;
        if raft.state == StateRole::Leader {
            return Ok(());
        }
        refuse(
            Code::Unavailable,
            match raft.leader_id {
                0 => format!("cannot {what}: no leader is known in view {}", raft.term),
                id => format!("cannot {what}: node {id} leads view {}", raft.term),
            },
        )
    }

    pub fn propose(&mut self, descriptor: &[u8]) -> Result<(), Refusal> {
        self.assert_between_rounds();
        // The raft crate would forward it to the leader, and the batch would not follow.
        self.check_leads("propose")?;
        match self.node.propose(Vec::new(), descriptor.to_vec()) {
            Ok(()) => Ok(()),
            Err(raft::Error::ProposalDropped) => refuse(
                Code::Limit,
                "too many batches are waiting to be committed".to_string(),
            ),
            Err(why) => refuse(Code::Unavailable, why.to_string()),
        }
    }

    pub fn read_index(&mut self, token: u64) -> Result<(), Refusal> {
        self.assert_between_rounds();
        self.check_leads("read")?;
        if !self.node.raft.commit_to_current_term() {
            return refuse(
                Code::Unavailable,
                format!("nothing is committed yet in view {}", self.node.raft.term),
            );
        }
        self.node.read_index(token.to_le_bytes().to_vec());
        Ok(())
    }

    pub fn step(
        &mut self,
        bytes: &[u8],
        visit: Visit,
        context: *mut c_void,
    ) -> Result<(), Refusal> {
        self.assert_between_rounds();
        let message = parse(bytes, visit, context)?;
        admit(&self.node, &message)?;
        self.follow_snapshot(&message);
        let outcome = self.node.step(message);
        self.settle();
        outcome.or_else(|why| refuse(Code::Invalid, why.to_string()))
    }

    /// A follower that took its state from a snapshot, which it got without the raft crate, says so only by the
    /// commit index of its answers. What it has committed is what this log has, so appends can begin after it;
    /// the raft crate would wait for the snapshot to be acknowledged.
    fn follow_snapshot(&mut self, message: &Message) {
        let raft = &mut self.node.raft;
        if message.get_msg_type() != MessageType::MsgHeartbeatResponse
            || raft.state != StateRole::Leader
            || message.term != raft.term
            || message.commit > raft.raft_log.last_index()
        {
            return;
        }
        if let Some(progress) = raft.mut_prs().get_mut(message.from) {
            if progress.state == ProgressState::Probe && progress.next_idx <= message.commit {
                progress.next_idx = message.commit + 1;
            }
        }
    }

    pub fn status(&self) -> CStatus {
        let raft = &self.node.raft;
        CStatus {
            term: raft.term,
            leader: raft.leader_id,
            commit: raft.raft_log.committed,
            leads: raft.state == StateRole::Leader,
        }
    }

    pub fn has_ready(&self) -> bool {
        self.node.has_ready() || self.node.store().has_stranded()
    }

    pub fn take_ready(&mut self) -> CReady {
        self.assert_between_rounds();
        let mut round = self.node.ready();
        self.output = Output::default();
        let out = &mut self.output;
        // A crash may come after the hard state is written and before the entries are: what it says to be committed
        // must be in the log without them. The commit index may always be behind.
        let sure = round
            .entries()
            .first()
            .map_or(u64::MAX, |entry| entry.index - 1);
        out.hard_state = round.hs().map(|state| CHardState {
            term: state.term,
            vote: state.vote,
            commit: state.commit.min(sure),
        });
        out.messages = encode(round.take_messages(), &mut out.bytes, &mut out.carried);
        out.persisted_messages = encode(
            round.take_persisted_messages(),
            &mut out.bytes,
            &mut out.carried,
        );
        out.entries = to_entries(round.entries());
        out.committed = to_entries(&round.take_committed_entries());
        out.reads = to_reads(round.take_read_states());
        out.stranded = self.node.store().take_stranded();
        self.round = Some(round);
        self.hand_out()
    }

    pub fn advance(&mut self) -> CReady {
        let round = self
            .round
            .take()
            .expect("the engine was told to advance without a round");
        let before = self.node.raft.hard_state();
        let mut light = self.node.advance(round);
        self.settle();
        self.output = Output::default();
        let out = &mut self.output;
        out.hard_state = light.commit_index().map(|commit| CHardState {
            term: before.term,
            vote: before.vote,
            commit,
        });
        out.messages = encode(light.take_messages(), &mut out.bytes, &mut out.carried);
        out.committed = to_entries(&light.take_committed_entries());
        self.hand_out()
    }

    pub fn applied(&mut self, index: u64) {
        self.assert_between_rounds();
        let log = &self.node.raft.raft_log;
        assert!(
            index <= log.committed.min(log.persisted),
            "entry {index} was applied before it was committed"
        );
        if index > log.applied {
            self.node.advance_apply_to(index);
        }
    }

    fn hand_out(&self) -> CReady {
        let out = &self.output;
        CReady {
            messages: out.messages.as_ptr(),
            message_count: out.messages.len(),
            has_hard_state: out.hard_state.is_some(),
            hard_state: out.hard_state.unwrap_or_default(),
            entries: out.entries.as_ptr(),
            entry_count: out.entries.len(),
            persisted_messages: out.persisted_messages.as_ptr(),
            persisted_message_count: out.persisted_messages.len(),
            committed: out.committed.as_ptr(),
            committed_count: out.committed.len(),
            reads: out.reads.as_ptr(),
            read_count: out.reads.len(),
            stranded: out.stranded.as_ptr(),
            stranded_count: out.stranded.len(),
        }
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

/// The buffers of the inner vectors stay where they are when the outer ones grow.
fn encode(
    messages: Vec<Message>,
    bytes: &mut Vec<Vec<u8>>,
    carried: &mut Vec<Vec<CEntry>>,
) -> Vec<CMessage> {
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
            bytes.push(encoded);
            carried.push(entries);
            out
        })
        .collect()
}
