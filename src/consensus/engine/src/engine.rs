//! One node of the raft algorithm, and what it last handed out.

use std::collections::VecDeque;
use std::os::raw::c_void;

use raft::eraftpb::{ConfState, Message, MessageType};
use raft::{Config, RawNode, ReadOnlyOption, StateRole, NO_LIMIT};

use crate::abi::*;
use crate::entry::ENTRY_BYTES;
use crate::log::logger;
use crate::membership::Heard;
use crate::message::{admit, parse, Admission};
use crate::options::{check_options, initial_hard_state};
use crate::output::{Members, Output};
use crate::storage::LogStorage;
use crate::timeouts::Timeouts;

const MAX_COMMITTED_PER_READY: u64 = 4 << 20;

pub struct Engine {
    pub(crate) node: RawNode<LogStorage>,
    round: Option<raft::Ready>,
    output: Output,
    timeouts: Timeouts,
    max_waiting: u64,
    observes: bool,
    /// While it observes: the one that it may help to lead; 0 for none.
    votes_for: u64,
    /// Numbers of rounds: the last that was ended, and the last that is known to be persisted.
    ended: u64,
    persisted: u64,
    /// The last round that changed term or vote, and these.
    vote_round: u64,
    vote: (u64, u64),
    /// Indexes of committed changes that were handed out and whose configuration is not taken up.
    pub(crate) unapplied_changes: VecDeque<u64>,
    pub(crate) heard: Heard,
    pub(crate) members: Members,
    pub(crate) peers: Vec<CPeer>,
}

impl Engine {
    pub fn create(
        options: &COptions,
        conf_state: ConfState,
        log: CLog,
        log_function: LoggerFunction,
    ) -> Result<Engine, Refusal> {
        check_options(options)?;
        let hard_state = initial_hard_state(options, &log)?;
        let storage = LogStorage::new(
            log,
            hard_state.clone(),
            conf_state,
            options.max_message_batch_bytes,
        );
        let config = Config {
            id: options.id,
            election_tick: options.election_ticks as usize,
            heartbeat_tick: options.heartbeat_ticks as usize,
            applied: options.applied,
            max_size_per_msg: options.max_message_entries * ENTRY_BYTES,
            max_inflight_msgs: options.max_inflight_messages as usize,
            max_uncommitted_size: NO_LIMIT,
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
                    max_waiting: options.max_waiting_entries,
                    observes: options.observes,
                    votes_for: options.votes_for,
                    ended: 0,
                    persisted: 0,
                    vote_round: 0,
                    vote: (hard_state.term, hard_state.vote),
                    unapplied_changes: VecDeque::new(),
                    heard: Heard::default(),
                    members: Members::default(),
                    peers: Vec::new(),
                };
                engine.settle();
                Ok(engine)
            }
            Err(why) => refuse(Code::Invalid, why.to_string()),
        }
    }

    pub(crate) fn assert_between_rounds(&self) {
        assert!(
            self.round.is_none(),
            "the engine was used between a round and its advance"
        );
    }

    pub(crate) fn settle(&mut self) {
        self.timeouts.settle(&mut self.node);
    }

    /// A candidate's log is as durable as it claims. That of a node with rounds underway is not yet.
    fn may_campaign(&self) -> bool {
        !self.observes && self.ended == self.persisted
    }

    pub fn tick(&mut self) {
        self.assert_between_rounds();
        self.heard.tick();
        if self.node.raft.state == StateRole::Leader || self.may_campaign() {
            self.node.tick();
        } else {
            self.node.raft.election_elapsed += 1;
        }
        self.settle();
    }

    pub fn campaign(&mut self) -> Result<(), Refusal> {
        self.assert_between_rounds();
        let id = self.node.raft.id;
        if !self.node.raft.promotable() {
            return refuse(
                Code::Unavailable,
                format!("node {id} is no voter and cannot lead"),
            );
        }
        if !self.may_campaign() {
            return refuse(
                Code::Unavailable,
                format!("node {id} does not take part yet, or is still writing its log"),
            );
        }
        let outcome = self.node.campaign();
        self.settle();
        outcome.or_else(|why| refuse(Code::Unavailable, why.to_string()))
    }

    pub fn take_part(&mut self) {
        self.assert_between_rounds();
        self.observes = false;
    }

    pub fn vote_for(&mut self, id: u64) {
        self.assert_between_rounds();
        self.votes_for = id;
    }

    /// Two logs that have one entry in common are the same before it, so whoever knows it to be committed may say so.
    pub fn learn_committed(&mut self, index: u64, term: u64) {
        self.assert_between_rounds();
        let raft = &mut self.node.raft;
        if raft.state == StateRole::Leader || !raft.raft_log.maybe_commit(index, term) {
            return;
        }
        // Who agrees may change by that: an election that goes on asked others.
        if raft.state != StateRole::Follower {
            let term = raft.term;
            raft.become_follower(term, 0);
        }
        self.settle();
    }

    /// A vote that must not be given: by one that may have forgotten what it has acknowledged, to a candidate that may
    /// lack it.
    fn withholds_vote(&self, kind: MessageType, from: u64) -> bool {
        let asks = matches!(
            kind,
            MessageType::MsgRequestVote | MessageType::MsgRequestPreVote
        );
        self.observes && asks && from != self.votes_for
    }

    pub(crate) fn check_leads(&self, what: &str) -> Result<(), Refusal> {
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

    /// Everything for which the raft crate would drop a proposal.
    pub(crate) fn check_may_propose(&self, what: &str) -> Result<(), Refusal> {
        // The raft crate would forward it to the leader, and the batch would not follow.
        self.check_leads(what)?;
        let raft = &self.node.raft;
        if let Some(to) = raft.lead_transferee {
            return refuse(
                Code::Unavailable,
                format!("cannot {what}: node {} hands over to node {to}", raft.id),
            );
        }
        if raft.raft_log.last_index() - raft.raft_log.committed >= self.max_waiting {
            return refuse(
                Code::Limit,
                "too many batches are waiting to be committed".to_string(),
            );
        }
        Ok(())
    }

    pub fn propose(&mut self, descriptor: &[u8]) -> Result<(), Refusal> {
        self.assert_between_rounds();
        self.check_may_propose("propose")?;
        let outcome = self.node.propose(Vec::new(), descriptor.to_vec());
        outcome.or_else(|why| refuse(Code::Unavailable, why.to_string()))
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
        if let Admission::Ignore = admit(&self.node, &message)? {
            return Ok(());
        }
        let (from, kind, term) = (message.from, message.get_msg_type(), message.term);
        if kind == MessageType::MsgTimeoutNow && !self.may_campaign() {
            return Ok(());
        }
        if self.withholds_vote(kind, from) {
            return Ok(());
        }
        self.follow_snapshot(&message);
        let outcome = self.node.step(message);
        self.note_heard(from, kind, term);
        self.settle();
        outcome.or_else(|why| refuse(Code::Invalid, why.to_string()))
    }

    pub fn status(&self) -> CStatus {
        let raft = &self.node.raft;
        CStatus {
            term: raft.term,
            leader: raft.leader_id,
            commit: raft.raft_log.committed,
            handing_over_to: raft.lead_transferee.unwrap_or(0),
            leads: raft.state == StateRole::Leader,
            change_pending: raft.has_pending_conf(),
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
        out.number = round.number();
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
        if let Some(state) = out.hard_state {
            if self.vote != (state.term, state.vote) {
                self.vote = (state.term, state.vote);
                self.vote_round = out.number;
            }
        }
        let (mut now, mut later) = (round.take_messages(), round.take_persisted_messages());
        if self.vote_round > self.persisted {
            // Who wins an election alone leads before its term is durable. What left now, and was forgotten, could
            // be followed by another entry of the same place and term.
            later.splice(0..0, now.drain(..));
        } else {
            // That a node hears its leader rests on its term alone, which is persisted, and on none of its entries:
            // the commit index beside it was the leader's own, and is never counted as what this node has stored.
            let answers: Vec<Message>;
            (answers, later) = later
                .into_iter()
                .partition(|message| message.get_msg_type() == MessageType::MsgHeartbeatResponse);
            now.extend(answers);
        }
        out.set_messages(now);
        out.set_persisted_messages(later);
        out.set_entries(round.entries());
        out.set_committed(&round.take_committed_entries());
        out.set_reads(round.take_read_states());
        out.stranded = self.node.store().take_stranded();
        self.round = Some(round);
        self.note_changes();
        self.output.hand_out()
    }

    fn note_changes(&mut self) {
        let committed = self.output.committed().iter();
        let changes = committed.filter(|entry| entry.kind == KIND_CHANGE);
        self.unapplied_changes
            .extend(changes.map(|entry| entry.index));
    }

    fn end_round(&mut self) -> raft::Ready {
        let round = self
            .round
            .take()
            .expect("the engine was told to advance without a round");
        self.ended = round.number();
        round
    }

    pub fn advance(&mut self) -> CReady {
        let round = self.end_round();
        assert!(
            self.unapplied_changes.is_empty(),
            "a change of the configuration was handed out and is not applied"
        );
        self.persisted = self.ended;
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
        out.set_messages(light.take_messages());
        out.set_committed(&light.take_committed_entries());
        self.note_changes();
        self.output.hand_out()
    }

    pub fn advance_early(&mut self) {
        let round = self.end_round();
        self.node.advance_append_async(round);
        self.settle();
    }

    pub fn persisted(&mut self, number: u64) {
        self.assert_between_rounds();
        assert!(
            number > self.persisted && number <= self.ended,
            "round {number} cannot be persisted now: {} is, and {} was the last",
            self.persisted,
            self.ended
        );
        self.persisted = number;
        self.node.on_persist_ready(number);
        self.settle();
    }

    pub fn applied(&mut self, index: u64) {
        self.assert_between_rounds();
        let log = &self.node.raft.raft_log;
        assert!(
            index <= log.committed.min(log.persisted),
            "entry {index} was applied before it was committed"
        );
        assert!(
            self.unapplied_changes
                .front()
                .is_none_or(|change| *change > index),
            "a change of the configuration was handed out and is not applied"
        );
        if index > log.applied {
            self.node.advance_apply_to(index);
        }
    }
}
