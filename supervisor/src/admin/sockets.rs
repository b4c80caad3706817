//! Opens the private address and the unix sockets, and makes the directory that holds them.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use tokio::net::{TcpListener, UnixListener};

/// Why the private address cannot be served; the process does not start.
#[derive(Debug, thiserror::Error)]
pub enum SocketFault {
    #[error("cannot listen on {address} (admin_listen): {cause}; choose a free address")]
    Address { address: SocketAddr, cause: io::Error },
    #[error("cannot make or use the directory {} (runtime_dir): {cause}; choose one that this user may write", path.display())]
    Directory { path: PathBuf, cause: io::Error },
    #[error("{} is in use by a running process; stop it or choose another runtime_dir", path.display())]
    InUse { path: PathBuf },
    #[error("{} is in the way and is not a socket; remove it", path.display())]
    NotASocket { path: PathBuf },
    #[error("cannot listen on {}: {cause}", path.display())]
    Socket { path: PathBuf, cause: io::Error },
}

/// File name of the socket for forwarded scrapes, in `runtime_dir`.
pub const METRICS_SOCKET: &str = "metrics.sock";
/// File name of the socket for orders of operators, in `runtime_dir`.
pub const CONTROL_SOCKET: &str = "control.sock";
/// A directory made here is for this user and group alone.
const DIRECTORY_MODE: u32 = 0o750;
const SOCKET_MODE: u32 = 0o660;

/// Opens the admin address. Port 0 takes a free one.
///
/// # Errors
/// When the address is taken, not of this host, or not allowed.
pub async fn bind_address(address: SocketAddr) -> Result<TcpListener, SocketFault> {
    TcpListener::bind(address).await.map_err(|cause| SocketFault::Address { address, cause })
}

/// Opens a socket with this name in `directory`, which is made if it is missing. This user and group may connect.
///
/// # Errors
/// When the directory cannot be made or written, or something else stands or listens there.
pub fn bind_socket(directory: &Path, name: &str) -> Result<UnixListener, SocketFault> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(DIRECTORY_MODE)
        .create(directory)
        .map_err(|cause| SocketFault::Directory { path: directory.to_owned(), cause })?;
    let path = directory.join(name);
    remove_stale(&path)?;
    let listener =
        UnixListener::bind(&path).map_err(|cause| SocketFault::Socket { path: path.clone(), cause })?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(SOCKET_MODE))
        .map_err(|cause| SocketFault::Socket { path, cause })?;
    Ok(listener)
}

/// Removes the socket of a predecessor that is dead. One that answers, and anything that is no socket, stays.
fn remove_stale(path: &Path) -> Result<(), SocketFault> {
    let socket = |cause| SocketFault::Socket { path: path.to_owned(), cause };
    match std::fs::symlink_metadata(path) {
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(cause) => return Err(socket(cause)),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(SocketFault::NotASocket { path: path.to_owned() });
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(SocketFault::InUse { path: path.to_owned() }),
        Err(fault) if fault.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(socket)
        }
        Err(cause) => Err(socket(cause)),
    }
}

#[cfg(test)]
pub(crate) mod tests;
