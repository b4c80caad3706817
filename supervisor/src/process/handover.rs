//! The worker's settings, written once into a sealed memfd that every worker of a generation receives.

use edge_worker::config::WorkerSettings;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;

/// Writes the settings and seals the memfd against any change, by ourselves too.
pub fn seal(settings: &WorkerSettings) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = File::from(memfd_create("floodgate-settings", flags)?);
    let bytes = serde_json::to_vec(settings).map_err(io::Error::other)?;
    file.write_all(&bytes)?;
    fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL)?;
    Ok(file.into())
}
