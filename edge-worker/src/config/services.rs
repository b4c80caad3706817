//! The nineteen services: defaults as one table, and a service as configured.

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// Index into `WorkerSettings::services`; the order is that of the table and never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ServiceId(pub u8);

/// One service as configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    pub name: String,
    pub instances: Vec<Instance>,
    pub criticality: Criticality,
    pub read_timeout_ms: u64,
    pub write_timeout_ms: u64,
    pub body_bytes_max: u64,
    /// Idle upstream connections are closed after this, below the service's own keep-alive time.
    pub pool_idle_ms: u64,
    pub health_path: String,
}

/// One base URL of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    pub host: String,
    pub port: u16,
    /// `host[:port]` as it is sent in `Host`.
    pub authority: String,
    /// What the supervisor resolved the host to; empty means unresolvable.
    pub addresses: Vec<SocketAddr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Criticality {
    /// Gates readiness.
    Ready,
    /// Pages on-call, shed last.
    Business,
    Normal,
}
