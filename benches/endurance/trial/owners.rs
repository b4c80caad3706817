//! Which client connections a worker holds: the kernel's list of sockets beside the process's descriptors.

use std::collections::HashSet;
use std::io;

/// Local ports of the clients whose connections to `edge_port` this process has accepted.
///
/// A connection that still waits in an accept queue belongs to nobody: it has no inode yet.
pub fn client_ports(pid: u32, edge_port: u16) -> io::Result<HashSet<u16>> {
    let inodes = socket_inodes(pid)?;
    let table = std::fs::read_to_string("/proc/self/net/tcp")?;
    let rows = table.lines().skip(1).filter_map(row);
    Ok(rows
        .filter(|row| row.local_port == edge_port && row.state != LISTENING && inodes.contains(&row.inode))
        .map(|row| row.remote_port)
        .collect())
}

/// Descriptors that a process has open.
pub fn descriptors(pid: u32) -> io::Result<usize> {
    Ok(std::fs::read_dir(format!("/proc/{pid}/fd"))?.count())
}

struct Row {
    local_port: u16,
    remote_port: u16,
    state: String,
    inode: u64,
}

const LISTENING: &str = "0A";

/// `sl local:port remote:port st tx:rx tr:when retransmits uid timeout inode ..`, addresses in hexadecimal.
fn row(line: &str) -> Option<Row> {
    let mut words = line.split_whitespace().skip(1);
    let mut port = || u16::from_str_radix(words.next()?.rsplit_once(':')?.1, 16).ok();
    let (local_port, remote_port) = (port()?, port()?);
    let state = words.next()?.to_owned();
    let inode = words.nth(5)?.parse().ok()?;
    Some(Row { local_port, remote_port, state, inode })
}

fn socket_inodes(pid: u32) -> io::Result<HashSet<u64>> {
    let mut inodes = HashSet::new();
    for descriptor in std::fs::read_dir(format!("/proc/{pid}/fd"))? {
        // A descriptor may be closed between two looks.
        let Ok(target) = std::fs::read_link(descriptor?.path()) else { continue };
        let name = target.to_string_lossy();
        let inode = name.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'));
        inodes.extend(inode.and_then(|inode| inode.parse::<u64>().ok()));
    }
    Ok(inodes)
}
