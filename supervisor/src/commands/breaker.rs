//! `floodgate breaker`: shows the circuits of a running node, and holds them.

use super::revoke::{self, Socket};
use super::{ExitCode, print};
use crate::admin::order::{CircuitLine, CircuitOrder, Order, OrderAnswer};
use edge_worker::config::Sources;

/// What `floodgate breaker` is told.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    socket: Socket,
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, PartialEq, Eq, clap::Subcommand)]
enum What {
    /// Where the circuit of each service stands, and what happened in the last ten seconds.
    List { service: Option<String> },
    /// Have the node call the service no more, until close or reset.
    Open { service: String },
    /// Have the node call the service whatever happens, until open or reset.
    Close { service: String },
    /// Close the circuit, forget its failures, and let the node decide again.
    Reset { service: String },
}

/// Gives the order and prints where the circuits stand.
#[must_use]
pub fn run(arguments: Arguments, sources: &Sources) -> ExitCode {
    let Arguments { socket, what } = arguments;
    let (order, service) = match what {
        What::List { service } => (CircuitOrder::List, service),
        What::Open { service } => (CircuitOrder::Open, Some(service)),
        What::Close { service } => (CircuitOrder::Close, Some(service)),
        What::Reset { service } => (CircuitOrder::Reset, Some(service)),
    };
    let order = Order::Circuit { order, service, reason: socket.reason.clone() };
    match revoke::order("breaker", &socket, &order, sources) {
        Ok(OrderAnswer::Circuits { circuits }) => {
            print(&table(&circuits));
            ExitCode::Success
        }
        Ok(_) => revoke::fail("breaker", "the node answered something else", ExitCode::Unavailable),
        Err(code) => code,
    }
}

fn table(circuits: &[CircuitLine]) -> String {
    let mut text = format!(
        "{:<14}{:<11}{:>8}{:>10}{:>9}  {}\n",
        "service", "state", "calls", "failures", "retries", "tried again in"
    );
    for circuit in circuits {
        let CircuitLine { service, state, held, calls, failures, retries, left_ms, elsewhere } = circuit;
        let own = match (held, left_ms) {
            (true, _) => Some("held by an operator".to_owned()),
            (false, 0) => None,
            (false, left_ms) => Some(format!("{:.1} s", *left_ms as f64 / 1_000.0)),
        };
        let notes: Vec<String> = own.into_iter().chain(elsewhere.clone()).collect();
        let note = notes.join("; ");
        let line = format!("{service:<14}{state:<11}{calls:>8}{failures:>10}{retries:>9}  {note}");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests;
