//! Entries of the log, as C++ sees them and as the raft crate does. What comes from other nodes is checked on the way.

use prost::Message as _;
use raft::eraftpb::{
    ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2, Entry, EntryType,
};

use crate::abi::*;

/// Terms, indexes and ids stay below, as in a transaction id, so that adding to them never wraps.
pub const NUMBER_LIMIT: u64 = 1 << 63;
/// Upper bound of an encoded entry with a descriptor; of one that changes the configuration, `CHANGE_BYTES` more.
pub const ENTRY_BYTES: u64 = 96;
const CHANGE_BYTES: u64 = 8 + 16 * MAX_CHANGES as u64;

pub fn encoded_bytes(entry: &CEntry) -> u64 {
    match entry.kind {
        KIND_CHANGE => ENTRY_BYTES + CHANGE_BYTES,
        _ => ENTRY_BYTES,
    }
}

/// An entry as C++ sees it. Refused is whatever `from_c` would not make again, byte for byte.
pub fn to_c(entry: &Entry) -> Result<CEntry, Refusal> {
    let mut out = CEntry::zero();
    out.index = entry.index;
    out.term = entry.term;
    let descriptor = match EntryType::from_i32(entry.entry_type) {
        Some(EntryType::EntryNormal) if entry.context.is_empty() && !entry.sync_log => {
            if entry.data.is_empty() {
                return Ok(out);
            }
            out.kind = KIND_BATCH;
            &entry.data
        }
        Some(EntryType::EntryConfChangeV2) if !entry.sync_log => {
            out.kind = KIND_CHANGE;
            read_change(entry, &mut out)?;
            &entry.context
        }
        _ => {
            return refuse(
                Code::Invalid,
                format!("entry {} is of a kind that is not used here", entry.index),
            )
        }
    };
    if descriptor.len() != DESCRIPTOR_SIZE {
        return refuse(
            Code::Invalid,
            format!(
                "entry {} carries {} bytes, a descriptor has {}",
                entry.index,
                descriptor.len(),
                DESCRIPTOR_SIZE
            ),
        );
    }
    out.descriptor.copy_from_slice(descriptor);
    Ok(out)
}

fn read_change(entry: &Entry, out: &mut CEntry) -> Result<(), Refusal> {
    let invalid = |why: &str| {
        refuse(
            Code::Invalid,
            format!("the change of configuration in entry {} {why}", entry.index),
        )
    };
    let change = match ConfChangeV2::decode(entry.data.as_slice()) {
        Ok(change) => change,
        Err(_) => return invalid("is malformed"),
    };
    if change.changes.len() > MAX_CHANGES {
        return invalid("names too many nodes");
    }
    for (i, single) in change.changes.iter().enumerate() {
        out.change_roles[i] = match ConfChangeType::from_i32(single.change_type) {
            Some(ConfChangeType::AddNode) => ROLE_VOTER,
            Some(ConfChangeType::AddLearnerNode) => ROLE_LEARNER,
            Some(ConfChangeType::RemoveNode) => ROLE_NONE,
            None => return invalid("is of an unknown kind"),
        };
        if single.node_id == 0 || single.node_id >= NUMBER_LIMIT {
            return invalid("names an impossible node");
        }
        if out.change_ids[..i].contains(&single.node_id) {
            return invalid("names a node twice");
        }
        out.change_ids[i] = single.node_id;
    }
    out.change_count = change.changes.len() as u32;
    out.change_joint =
        out.change_count == 1 && change.transition == ConfChangeTransition::Explicit as i32;
    // One way to say it: no unknown fields, no context of its own, no other transitions than are used here.
    if to_change(out).encode_to_vec() != entry.data {
        return invalid("is not written as it is here");
    }
    Ok(())
}

/// A joint configuration is never left automatically: the entry that leaves it carries a batch as any other.
pub fn to_change(entry: &CEntry) -> ConfChangeV2 {
    let count = entry.change_count as usize;
    let transition = match count {
        0 => ConfChangeTransition::Auto,
        1 if !entry.change_joint => ConfChangeTransition::Auto,
        _ => ConfChangeTransition::Explicit,
    };
    let single = |i: usize| ConfChangeSingle {
        node_id: entry.change_ids[i],
        change_type: match entry.change_roles[i] {
            ROLE_VOTER => ConfChangeType::AddNode,
            ROLE_LEARNER => ConfChangeType::AddLearnerNode,
            ROLE_NONE => ConfChangeType::RemoveNode,
            role => panic!("a change gives the unknown role {role}"),
        } as i32,
    };
    ConfChangeV2 {
        transition: transition as i32,
        changes: (0..count).map(single).collect(),
        ..Default::default()
    }
}

pub fn from_c(entry: &CEntry) -> Entry {
    let mut out = Entry {
        index: entry.index,
        term: entry.term,
        ..Default::default()
    };
    match entry.kind {
        KIND_EMPTY => {}
        KIND_BATCH => out.data = entry.descriptor.to_vec(),
        KIND_CHANGE => {
            out.entry_type = EntryType::EntryConfChangeV2 as i32;
            out.data = to_change(entry).encode_to_vec();
            out.context = entry.descriptor.to_vec();
        }
        kind => panic!("the log handed out an entry of kind {kind}"),
    }
    out
}
