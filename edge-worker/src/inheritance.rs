//! The complete list of what a worker receives from the supervisor, and of how it leaves.
//!
//! A worker reads no file and no environment variable: descriptors at fixed numbers and three arguments are
//! all it gets. `supervisor/src/process/spawn.rs` puts them into place, `supervisor/src/process/sys.rs`
//! adopts them.

use crate::config::WorkerSettings;
use std::net::TcpListener;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// Numbers of the descriptors in a fresh worker. 0 is `/dev/null`, 1 and 2 are the supervisor's.
pub const CONTROL_DESCRIPTOR: i32 = 3;
pub const SETTINGS_DESCRIPTOR: i32 = 4;
pub const AUTHORITY_DESCRIPTOR: i32 = 5;
pub const SHARED_DESCRIPTOR: i32 = 6;
pub const ASKS_DESCRIPTOR: i32 = 7;
/// The first listener; the others follow without a gap.
pub const LISTENER_DESCRIPTOR: i32 = 8;
/// Listeners one worker may serve: its own and those of siblings that keep failing.
pub const LISTENERS_MAX: usize = 64;
/// Bytes of the settings a worker is willing to read.
pub const SETTINGS_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Everything a worker has.
#[derive(Debug)]
pub struct Inheritance {
    /// Its block in the region: `shm::WorkerSlot`.
    pub slot: usize,
    /// Which set of settings it runs, from 1 upwards.
    pub generation: u32,
    /// Life-cycle frames, both ways. End of file means that the supervisor is gone.
    pub control: UnixStream,
    /// A sealed memfd with the JSON of [`WorkerSettings`]; siblings share it, see [`read_settings`].
    pub settings: OwnedFd,
    /// The authority region, read-only.
    pub authority: OwnedFd,
    /// The shared region.
    pub shared: OwnedFd,
    /// Questions and their answers; see `control::asks`.
    pub asks: UnixStream,
    /// Bound and listening, at least one.
    pub listeners: Vec<TcpListener>,
}

/// How a worker leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leave {
    /// Everything in flight was answered.
    Clean,
    /// So many requests were cut at the end of the drain.
    Cut(u64),
    /// The worker cannot go on; one sentence for the log.
    Fault(String),
}

/// Why the settings in the memfd cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsFault {
    #[error("the settings cannot be read: {0}")]
    Read(#[from] rustix::io::Errno),
    #[error("the settings are larger than {SETTINGS_BYTES_MAX} bytes")]
    Length,
    /// The parser's message may quote a value, and a value may be secret: only the position is kept.
    #[error("the settings are not valid at line {line}, column {column}")]
    Shape { line: usize, column: usize },
}

/// Reads the settings without moving the file offset, which all workers share.
pub fn read_settings(settings: BorrowedFd<'_>) -> Result<WorkerSettings, SettingsFault> {
    let stated = rustix::fs::fstat(settings)?.st_size;
    let length = usize::try_from(stated).map_err(|_| SettingsFault::Length)?;
    if length > SETTINGS_BYTES_MAX {
        return Err(SettingsFault::Length);
    }
    let mut bytes = vec![0_u8; length];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        let offset = u64::try_from(filled).map_err(|_| SettingsFault::Length)?;
        let count = rustix::io::retry_on_intr(|| rustix::io::pread(settings, &mut *rest, offset))?;
        if count == 0 {
            break;
        }
        filled += count;
    }
    bytes.truncate(filled);
    serde_json::from_slice(&bytes)
        .map_err(|fault| SettingsFault::Shape { line: fault.line(), column: fault.column() })
}

#[cfg(test)]
mod tests;
