//! The operator's side of the control socket: one order, one answer.

use super::order::{self, ANSWER_BYTES_MAX, Order, OrderAnswer, Refusal};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a node may take for each step; its own time-outs are shorter.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum OperatorFault {
    #[error("no node runs behind {}: {cause}; start it, or name the socket with --socket", path.display())]
    NoNode { path: PathBuf, cause: io::Error },
    #[error("{} is not for this user; run it as root, as the user of the node, or in its group", path.display())]
    NotAllowed { path: PathBuf },
    #[error("the node did not answer: {0}; look into its log for what it has done")]
    NoAnswer(io::Error),
    #[error("the node answered something else: {}; {}", .0.what, .0.remedy)]
    Foreign(Refusal),
}

/// Gives the node behind this socket an order, and waits for what became of it.
///
/// # Errors
/// See [`OperatorFault`]. Without an answer the order may still have been carried out.
pub fn give(path: &Path, order: &Order) -> Result<OrderAnswer, OperatorFault> {
    let mut stream = UnixStream::connect(path).map_err(|cause| match cause.kind() {
        io::ErrorKind::PermissionDenied => OperatorFault::NotAllowed { path: path.to_owned() },
        _ => OperatorFault::NoNode { path: path.to_owned(), cause },
    })?;
    let line = exchange(&mut stream, &order::encode_order(order)).map_err(OperatorFault::NoAnswer)?;
    order::decode_answer(&line).map_err(OperatorFault::Foreign)
}

fn exchange(stream: &mut UnixStream, order: &[u8]) -> io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // A node that refuses before it has read answers all the same.
    let written = stream.write_all(order);
    let mut line = Vec::new();
    BufReader::new(stream.take(ANSWER_BYTES_MAX as u64)).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        written?;
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line)
}
