//! Sockets of the living, of the dead, and things that are no sockets.

use super::*;
use std::os::unix::net::UnixListener as StdListener;

/// A directory of this test alone, removed at its end.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("floodgate-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Directory(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("it exists").permissions().mode() & 0o777
}

#[tokio::test]
async fn the_directory_is_made_and_closed_to_others() {
    let directory = Directory::new("made");
    let _listener = bind_socket(directory.path(), METRICS_SOCKET).expect("it can be made");
    assert_eq!(mode(directory.path()) & 0o007, 0);
    assert_eq!(mode(&directory.path().join(METRICS_SOCKET)), SOCKET_MODE);
}

#[tokio::test]
async fn the_socket_of_a_dead_predecessor_is_replaced() {
    let directory = Directory::new("stale");
    std::fs::create_dir_all(directory.path()).expect("a directory");
    drop(StdListener::bind(directory.path().join(METRICS_SOCKET)).expect("a socket"));
    bind_socket(directory.path(), METRICS_SOCKET).expect("nobody listens");
}

#[tokio::test]
async fn the_socket_of_a_living_process_is_left_alone() {
    let directory = Directory::new("living");
    let first = bind_socket(directory.path(), METRICS_SOCKET).expect("the first");
    let fault = bind_socket(directory.path(), METRICS_SOCKET).expect_err("the second");
    assert!(matches!(fault, SocketFault::InUse { .. }), "{fault}");
    drop(first);
}

#[tokio::test]
async fn a_file_in_the_way_is_never_removed() {
    let directory = Directory::new("file");
    std::fs::create_dir_all(directory.path()).expect("a directory");
    let path = directory.path().join(METRICS_SOCKET);
    std::fs::write(&path, "precious").expect("a file");
    let fault = bind_socket(directory.path(), METRICS_SOCKET).expect_err("a file is no socket");
    assert!(matches!(fault, SocketFault::NotASocket { .. }), "{fault}");
    assert_eq!(std::fs::read_to_string(&path).expect("it is still there"), "precious");
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_named() {
    let directory = Directory::new("impossible");
    std::fs::write(directory.path(), "a file").expect("a file");
    let fault = bind_socket(&directory.path().join("below"), METRICS_SOCKET).expect_err("below a file");
    assert!(fault.to_string().contains("runtime_dir"), "{fault}");
    std::fs::remove_file(directory.path()).expect("it was made here");
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let first = bind_address(([127, 0, 0, 1], 0).into()).await.expect("a free port");
    let address = first.local_addr().expect("bound");
    let fault = bind_address(address).await.expect_err("it is taken");
    assert!(fault.to_string().contains(&address.to_string()), "{fault}");
}
