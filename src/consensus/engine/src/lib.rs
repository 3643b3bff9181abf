//! The raft algorithm behind a C ABI; `concordat_engine.h` says what each function promises and asks for.

mod abi;
mod engine;
mod entry;
mod log;
mod membership;
mod message;
mod options;
mod output;
mod storage;
mod timeouts;

use std::os::raw::c_void;

use abi::*;
use engine::Engine;
use raft::eraftpb::ConfState;

/// # Safety
/// `pointer` is null or valid for reads and not changed by anyone else during `'a`.
unsafe fn required<'a, T>(pointer: *const T, name: &str) -> &'a T {
    match pointer.as_ref() {
        Some(value) => value,
        None => panic!("{name} is null"),
    }
}

/// # Safety
/// `pointer` is null or valid for reads and writes and used by no one else during `'a`.
unsafe fn required_mut<'a, T>(pointer: *mut T, name: &str) -> &'a mut T {
    match pointer.as_mut() {
        Some(value) => value,
        None => panic!("{name} is null"),
    }
}

/// # Safety
/// `pointer` is valid for `size` elements, or `size` is 0.
unsafe fn slice<'a, T>(pointer: *const T, size: usize, name: &str) -> &'a [T] {
    if size == 0 {
        return &[];
    }
    assert!(!pointer.is_null(), "{name} is null");
    std::slice::from_raw_parts(pointer, size)
}

/// # Safety
/// `error` is null or valid for writes.
unsafe fn report(outcome: Result<(), Refusal>, error: *mut ErrorBuffer) -> u32 {
    match outcome {
        Ok(()) => Code::Ok as u32,
        Err(refusal) => {
            if let Some(buffer) = error.as_mut() {
                buffer.fill(&refusal.message);
            }
            refusal.code as u32
        }
    }
}

/// # Safety
/// As the header says of every pointer.
#[no_mangle]
pub unsafe extern "C" fn concordat_engine_create(
    options: *const COptions,
    log: *const CLog,
    logger: LoggerFunction,
    engine: *mut *mut Engine,
    error: *mut ErrorBuffer,
) -> u32 {
    let options = required(options, "options");
    let members = &options.configuration;
    let conf_state = ConfState {
        voters: slice(members.voters, members.voter_count, "voters").to_vec(),
        learners: slice(members.learners, members.learner_count, "learners").to_vec(),
        voters_outgoing: slice(
            members.voters_outgoing,
            members.voter_outgoing_count,
            "outgoing voters",
        )
        .to_vec(),
        learners_next: slice(
            members.learners_next,
            members.learner_next_count,
            "next learners",
        )
        .to_vec(),
        auto_leave: false,
    };
    let created = Engine::create(options, conf_state, *required(log, "log"), logger);
    let place = required_mut(engine, "engine");
    report(
        created.map(|made| *place = Box::into_raw(Box::new(made))),
        error,
    )
}

/// # Safety
/// `engine` comes from `concordat_engine_create` and is not used again.
#[no_mangle]
pub unsafe extern "C" fn concordat_engine_destroy(engine: *mut Engine) {
    if !engine.is_null() {
        drop(Box::from_raw(engine));
    }
}

/// # Safety
/// As the header says of every pointer.
#[no_mangle]
pub unsafe extern "C" fn concordat_engine_tick(engine: *mut Engine) {
    required_mut(engine, "engine").tick();
}

/// # Safety
/// As the header says of every pointer.
#[no_mangle]
pub unsafe extern "C" fn concordat_engine_campaign(
    engine: *mut Engine,
    error: *mut ErrorBuffer,
) -> u32 {
    report(required_mut(engine, "engine").campaign(), error)
}

/// # Safety
/// `descriptor` is valid for `DESCRIPTOR_SIZE` bytes.
#[no_mangle]
pub unsafe extern "C" fn concordat_engine_propose(
    engine: *mut Engine,
    descriptor: *const u8,
    error: *mut ErrorBuffer,
) -> u32 {
    let descriptor = slice(descriptor, DESCRIPTOR_SIZE, "descriptor");
    report(required_mut(engine, "engine").propose(descriptor), error)
}

/// # Safety
/// As the header says of every pointer.
#[no_mangle]
pub unsafe extern "C" fn concordat_engine_propose_change(
    engine: *mut Engine,
    entry: *const CEntry,
    error: *mut ErrorBuffer,
) -> u32 {
    let entry = required(entry, "entry");
    report(required_mut(engine, "engine").propose_change(entry), error)
}

/// # Safety
/// As the header says of every pointer.
#[no_mangle]
pub unsafe extern "C" fn concordat_engine_transfer(
    engine: *mut Engine,
    to: u64,
    error: *mut ErrorBuffer,
) -> u32 {
    report(required_mut(engine, "engine").transfer(to), error)
}

/// # Safety
/// As the header says of every pointer.
#[no_mangle]
pub unsafe extern "C" fn concordat_engine_step_down(engine: *mut Engine) {
    required_mut(engine, "engine").step_down();
}

/// # Safety
/// As the header says of every pointer.
#[no_mangle]
pub unsafe extern "C" fn concordat_engine_unreachable(engine: *mut Engine, peer: u64) {
    required_mut(engine, "engine").unreachable(peer);
}

/// # Safety
/// As the header says of every pointer.
#[no_mangle]
pub unsafe extern "C" fn concordat_engine_take_part(engine: *mut Engine) {
    required_mut(engine, "engine").take_part();
}

/// # Safety
/// As the header says of every pointer.
#[no_mangle]
pub unsafe extern "C" fn concordat_engine_vote_for(engine: *mut Engine, id: u64) {
    required_mut(engine, "engine").vote_for(id);
}

/// # Safety
/// As the header says of every pointer.
#[no_mangle]
pub unsafe extern "C" fn concordat_engine_learn_committed(
    engine: *mut Engine,
    index: u64,
    term: u64,
) {
    required_mut(engine, "engine").learn_committed(index, term);
}

/// # Safety
/// As the header says of every pointer.
#[no_mangle]
pub unsafe extern "C" fn concordat_engine_read_index(
    engine: *mut Engine,
    token: u64,
    error: *mut ErrorBuffer,
) -> u32 {
    report(required_mut(engine, "engine").read_index(token), error)
}

/// # Safety
/// `bytes` is valid for `size` bytes; `visit` may be called with `context`.
#[no_mangle]
pub unsafe extern "C" fn concordat_engine_step(
    engine: *mut Engine,
    bytes: *const u8,
    size: usize,
    visit: Visit,
    context: *mut c_void,
    error: *mut ErrorBuffer,
) -> u32 {
    let bytes = slice(bytes, size, "bytes");
    report(
        required_mut(engine, "engine").step(bytes, visit, context),
        error,
    )
}

/// # Safety
/// As the header says of every pointer.
#[no_mangle]
pub unsafe extern "C" fn concordat_engine_get_status(engine: *const Engine, status: *mut CStatus) {
    *required_mut(status, "status") = required(engine, "engine").status();
}

/// # Safety
/// As the header says of every pointer.
#[no_mangle]
pub unsafe extern "C" fn concordat_engine_get_progress(
    engine: *mut Engine,
    progress: *mut CProgress,
) {
    *required_mut(progress, "progress") = required_mut(engine, "engine").progress();
}

/// # Safety
/// As the header says of every pointer.
#[no_mangle]
pub unsafe extern "C" fn concordat_engine_get_configuration(
    engine: *mut Engine,
    configuration: *mut CConfiguration,
) {
    let place = required_mut(configuration, "configuration");
    *place = required_mut(engine, "engine").configuration();
}

/// # Safety
/// As the header says of every pointer.
#[no_mangle]
pub unsafe extern "C" fn concordat_engine_has_ready(engine: *const Engine) -> bool {
    required(engine, "engine").has_ready()
}

/// # Safety
/// As the header says of every pointer.
#[no_mangle]
pub unsafe extern "C" fn concordat_engine_take_ready(engine: *mut Engine, ready: *mut CReady) {
    let place = required_mut(ready, "ready");
    *place = required_mut(engine, "engine").take_ready();
}

/// # Safety
/// As the header says of every pointer.
#[no_mangle]
pub unsafe extern "C" fn concordat_engine_advance(engine: *mut Engine, ready: *mut CReady) {
    let place = required_mut(ready, "ready");
    *place = required_mut(engine, "engine").advance();
}

/// # Safety
/// As the header says of every pointer.
#[no_mangle]
pub unsafe extern "C" fn concordat_engine_advance_early(engine: *mut Engine) {
    required_mut(engine, "engine").advance_early();
}

/// # Safety
/// As the header says of every pointer.
#[no_mangle]
pub unsafe extern "C" fn concordat_engine_persisted(engine: *mut Engine, number: u64) {
    required_mut(engine, "engine").persisted(number);
}

/// # Safety
/// As the header says of every pointer.
#[no_mangle]
pub unsafe extern "C" fn concordat_engine_apply_change(
    engine: *mut Engine,
    entry: *const CEntry,
    error: *mut ErrorBuffer,
) -> u32 {
    let entry = required(entry, "entry");
    report(required_mut(engine, "engine").apply_change(entry), error)
}

/// # Safety
/// As the header says of every pointer.
#[no_mangle]
pub unsafe extern "C" fn concordat_engine_applied(engine: *mut Engine, index: u64) {
    required_mut(engine, "engine").applied(index);
}

/// # Safety
/// `bytes` is valid for `size` bytes; `visit` may be called with `context`.
#[no_mangle]
pub unsafe extern "C" fn concordat_engine_inspect(
    bytes: *const u8,
    size: usize,
    visit: Visit,
    context: *mut c_void,
    summary: *mut CSummary,
    error: *mut ErrorBuffer,
) -> u32 {
    let place = required_mut(summary, "summary");
    let outcome = message::parse(slice(bytes, size, "bytes"), visit, context);
    report(
        outcome.map(|message| {
            *place = CSummary {
                from: message.from,
                to: message.to,
                term: message.term,
            }
        }),
        error,
    )
}

/// See `concordat_engine_layout` of the header.
#[no_mangle]
pub extern "C" fn concordat_engine_layout() -> u64 {
    use std::mem::size_of;
    [
        size_of::<ErrorBuffer>(),
        size_of::<CEntry>(),
        size_of::<CLog>(),
        size_of::<CHardState>(),
        size_of::<CConfiguration>(),
        size_of::<COptions>(),
        size_of::<CMessage>(),
        size_of::<CRead>(),
        size_of::<CReady>(),
        size_of::<CStatus>(),
        size_of::<CPeer>(),
        size_of::<CProgress>(),
        size_of::<CSummary>(),
    ]
    .iter()
    .fold(0, |sum: u64, size| {
        sum.wrapping_mul(31).wrapping_add(*size as u64)
    })
}
