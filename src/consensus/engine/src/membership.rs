//! Who takes part: changes of the configuration, handing over, and what a leader knows of the others.

use std::collections::HashMap;

use raft::eraftpb::{ConfState, Message, MessageType};
use raft::StateRole;

use crate::abi::*;
use crate::engine::Engine;
use crate::entry::{from_c, to_change};
use crate::output::Members;

/// Whom a leader has heard from lately. The raft crate keeps the like for its check of the quorum, but forgets it at
/// every check.
#[derive(Default)]
pub struct Heard {
    now: u64,
    term: u64,
    at: HashMap<u64, u64>,
}

impl Heard {
    pub fn tick(&mut self) {
        self.now += 1;
    }

    pub fn note(&mut self, from: u64, term: u64) {
        if self.term != term {
            self.term = term;
            self.at.clear();
        }
        self.at.insert(from, self.now);
    }

    fn within(&self, id: u64, term: u64, ticks: u64) -> bool {
        self.term == term && self.at.get(&id).is_some_and(|at| self.now - at <= ticks)
    }
}

impl Engine {
    fn conf_state(&self) -> ConfState {
        self.node.raft.prs().conf().to_conf_state()
    }

    pub fn configuration(&mut self) -> CConfiguration {
        self.members = Members::new(self.conf_state());
        self.members.hand_out()
    }

    /// The raft crate replaces a change that may not come now by an empty entry and says nothing, so whatever it looks
    /// at is asked here first.
    pub fn propose_change(&mut self, entry: &CEntry) -> Result<(), Refusal> {
        assert!(
            entry.kind == KIND_CHANGE,
            "only a change is proposed as one"
        );
        let unavailable = |why: String| refuse(Code::Unavailable, why);
        self.assert_between_rounds();
        self.check_may_propose("change who takes part")?;
        let raft = &self.node.raft;
        if !raft.apply_to_current_term() {
            return unavailable(format!("nothing is applied yet in view {}", raft.term));
        }
        if raft.has_pending_conf() {
            return unavailable(format!(
                "a change of who takes part, at {} or before, is not applied yet",
                raft.pending_conf_index
            ));
        }
        let joint = !self.conf_state().voters_outgoing.is_empty();
        if joint && entry.change_count != 0 {
            return unavailable("the joint configuration must be left first".to_string());
        }
        if !joint && entry.change_count == 0 {
            return unavailable("there is no joint configuration to leave".to_string());
        }

        let index = raft.raft_log.last_index() + 1;
        let change = to_change(entry);
        if let Err(why) = self
            .node
            .propose_conf_change(entry.descriptor.to_vec(), change)
        {
            return unavailable(why.to_string());
        }
        let raft = &self.node.raft;
        let expected = from_c(&CEntry {
            index,
            term: raft.term,
            ..*entry
        });
        assert!(
            raft.raft_log.unstable_entries().last() == Some(&expected)
                && raft.pending_conf_index == index,
            "the raft crate put something else in the place of a change"
        );
        Ok(())
    }

    pub fn apply_change(&mut self, entry: &CEntry) -> Result<(), Refusal> {
        assert!(
            self.unapplied_changes.front() == Some(&entry.index),
            "changes are applied as they are committed, each once, in order"
        );
        if let Err(why) = self.node.apply_conf_change(&to_change(entry)) {
            return refuse(
                Code::Corrupt,
                format!("the change in entry {} cannot be made: {why}", entry.index),
            );
        }
        self.unapplied_changes.pop_front();
        let raft = &self.node.raft;
        if raft.state == StateRole::Leader && !raft.promotable() {
            // The raft crate lets it lead on, and panics when more is committed: it looks for the leader's own part.
            self.cease_leading();
        }
        self.settle();
        Ok(())
    }

    pub fn transfer(&mut self, to: u64) -> Result<(), Refusal> {
        self.assert_between_rounds();
        self.check_leads("hand over")?;
        if !self.conf_state().voters.contains(&to) {
            return refuse(
                Code::Unavailable,
                format!("cannot hand over to node {to}, which is no voter"),
            );
        }
        self.node.transfer_leader(to);
        Ok(())
    }

    fn cease_leading(&mut self) {
        let raft = &mut self.node.raft;
        if raft.state == StateRole::Leader {
            let term = raft.term;
            raft.msgs.clear();
            raft.become_follower(term, 0);
        }
    }

    pub fn step_down(&mut self) {
        self.assert_between_rounds();
        self.cease_leading();
        self.settle();
    }

    pub fn unreachable(&mut self, peer: u64) {
        self.assert_between_rounds();
        self.node.report_unreachable(peer);
    }

    /// To be called with a message that was stepped.
    pub fn note_heard(&mut self, from: u64, kind: MessageType, term: u64) {
        let raft = &self.node.raft;
        if matches!(
            kind,
            MessageType::MsgAppendResponse | MessageType::MsgHeartbeatResponse
        ) && raft.state == StateRole::Leader
            && raft.term == term
        {
            self.heard.note(from, term);
        }
    }

    pub fn progress(&mut self) -> CProgress {
        let raft = &self.node.raft;
        self.peers.clear();
        if raft.state != StateRole::Leader {
            return CProgress {
                peers: self.peers.as_ptr(),
                peer_count: 0,
                has_quorum: false,
            };
        }
        let first = self.node.store().first();
        let ticks = raft.election_timeout() as u64;
        let active = |id: u64| id == raft.id || self.heard.within(id, raft.term, ticks);
        self.peers = raft
            .prs()
            .iter()
            .filter(|(id, _)| **id != raft.id)
            .map(|(id, progress)| CPeer {
                id: *id,
                matched: progress.matched,
                active: active(*id),
                stranded: progress.next_idx < first,
            })
            .collect();
        let majority = |ids: &[u64]| ids.iter().filter(|id| active(**id)).count() * 2 > ids.len();
        let state = raft.prs().conf().to_conf_state();
        let has_quorum = majority(&state.voters)
            && (state.voters_outgoing.is_empty() || majority(&state.voters_outgoing));
        self.peers.sort_unstable_by_key(|peer| peer.id);
        CProgress {
            peers: self.peers.as_ptr(),
            peer_count: self.peers.len(),
            has_quorum,
        }
    }

    /// A follower that took its state from a snapshot, which it got without the raft crate, says so only by the
    /// commit index of its answers. What it has committed is what this log has, so appends can begin after it;
    /// the raft crate would wait for the snapshot to be acknowledged.
    pub fn follow_snapshot(&mut self, message: &Message) {
        let raft = &mut self.node.raft;
        if message.get_msg_type() != MessageType::MsgHeartbeatResponse
            || raft.state != StateRole::Leader
            || message.term != raft.term
            || message.commit > raft.raft_log.last_index()
        {
            return;
        }
        if let Some(progress) = raft.mut_prs().get_mut(message.from) {
            if progress.next_idx <= message.commit {
                // It may have been replicated to before the log was cut; what is in flight to it is of no use then.
                progress.become_probe();
                progress.next_idx = message.commit + 1;
            }
        }
    }
}
