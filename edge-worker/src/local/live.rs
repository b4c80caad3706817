//! `/live`, `/health/live`, `/health/startup`: is the process there, and has it begun?

use super::{Node, answer};
use serde::Serialize;
use shm::readiness::NodePhase;

/// `/live`. True whenever it can be said at all, while draining too.
pub fn live(body: &mut Vec<u8>) -> u16 {
    body.extend_from_slice(br#"{"status":"alive"}"#);
    200
}

/// `/health/live`.
pub fn health_live(body: &mut Vec<u8>) -> u16 {
    body.extend_from_slice(br#"{"status":"ok"}"#);
    200
}

/// `/health/startup`: 503 until the first generation of workers serves.
pub fn startup(node: &Node<'_>, body: &mut Vec<u8>) -> u16 {
    if node.readiness.phase() == NodePhase::Starting {
        let starting =
            Starting { status: "starting", message: "The workers are starting.", initialized: false };
        return answer(503, &starting, body);
    }
    answer(200, &Started { status: "ok", initialized: true, uptime: node.uptime_s() }, body)
}

#[derive(Serialize)]
struct Starting {
    status: &'static str,
    message: &'static str,
    initialized: bool,
}

#[derive(Serialize)]
struct Started {
    status: &'static str,
    initialized: bool,
    /// Seconds.
    uptime: u64,
}
