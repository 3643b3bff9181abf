//! Hands warnings of the raft crate to the log of the process.

use std::fmt::Write;

use slog::{Drain, Key, Level, Logger, Never, OwnedKVList, Record, Serializer, KV};

use crate::abi::LoggerFunction;

struct Callback(extern "C" fn(u32, *const u8, usize));

struct Fields(String);

impl Serializer for Fields {
    fn emit_arguments(&mut self, key: Key, value: &std::fmt::Arguments) -> slog::Result {
        write!(self.0, ", {key}: {value}").map_err(|_| slog::Error::Other)
    }
}

impl Drain for Callback {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record, values: &OwnedKVList) -> Result<(), Never> {
        let severity = match record.level() {
            Level::Critical => 1,
            Level::Error => 2,
            Level::Warning => 3,
            _ => return Ok(()),
        };
        let mut fields = Fields(record.msg().to_string());
        // A field that cannot be written is no reason to lose the message.
        let _ = record.kv().serialize(record, &mut fields);
        let _ = values.serialize(record, &mut fields);
        (self.0)(severity, fields.0.as_ptr(), fields.0.len());
        Ok(())
    }
}

pub fn logger(function: LoggerFunction) -> Logger {
    match function {
        Some(function) => Logger::root(Callback(function), slog::o!()),
        None => Logger::root(slog::Discard, slog::o!()),
    }
}
