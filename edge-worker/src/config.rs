//! The validated configuration: what the supervisor reads once and every worker receives in a sealed memfd.
//!
//! Nothing here can be invalid: a value of these types has passed every rule of
//! `docs/reference/settings.md`. What is wrong with an input is a list of [`problem::Problem`]s.

pub mod assemble;
pub mod problem;
pub mod secret;
pub mod environment;
pub mod file;
pub mod settings;
pub mod rule;
pub mod lookup;
pub mod suggestion;
pub mod host;
pub mod server;
pub mod services;
pub mod bulkheads;
pub mod instances;
pub mod routes;
pub mod tokens;
pub mod limits;
pub mod shedding;
pub mod headers;
pub mod telemetry;
pub mod redis;
pub mod roots;
pub mod lookups;
pub mod announced;
pub mod reference;

#[cfg(test)]
pub(crate) mod sample;

pub use assemble::{Loaded, load, runtime_dir};
pub use environment::Sources;
pub use reference::settings_reference;

use serde::{Deserialize, Serialize};

/// Everything, as the supervisor holds it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Travels to the workers.
    pub worker: WorkerSettings,
    /// Never leaves the supervisor.
    pub supervisor: SupervisorSettings,
    /// How users and venues are looked up, with the edge's own credentials. Never leaves the supervisor.
    pub identity: lookups::identity::IdentitySettings,
    /// Sanitised, for `floodgate check --print` and the start log.
    pub effective: Vec<lookup::Effective>,
}

/// What a worker needs, and no more: public keys and the secrets of `design.md`, no Redis or service secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WorkerSettings {
    pub environment: Environment,
    pub log_level: telemetry::LogLevel,
    pub io_driver: IoDriver,
    pub services: Vec<services::Service>,
    pub instances: instances::InstanceSettings,
    /// Who vouches for services over TLS: `UPSTREAM_CA_FILE`, and the system's roots once the supervisor has added
    /// them.
    pub roots: Vec<roots::Root>,
    pub routes: Vec<routes::Row>,
    pub tokens: tokens::TokenSettings,
    pub limits: limits::Limits,
    pub shedding: shedding::Marks,
    pub headers: headers::HeaderSettings,
    pub local: LocalSettings,
    pub users: UserSettings,
    /// Region ids of every name this configuration uses. Empty until the supervisor has interned them.
    pub names: NameTable,
}

/// How a token's user is checked, what happens before the revocation store was seen, and who may leave the tenant; the
/// rest of the look-ups is the supervisor's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserSettings {
    pub check: lookups::identity::UserCheck,
    pub outage_policy: lookups::identity::OutagePolicy,
    /// `AUTH_REMOTE_VALIDATE`.
    pub remote_validate: bool,
    pub revocation_cold: redis::ColdPolicy,
    /// Whether venue-service is asked for one permission at a time.
    pub venue_access: lookups::identity::VenueAccessMode,
    /// `CROSS_TENANT_ADMIN`.
    pub cross_tenant_admin: bool,
    /// `LEGACY_BLACKLIST`, where there is a Redis that could hold one.
    pub older_blacklist: bool,
}

/// What only the supervisor needs.
#[derive(Clone, Debug)]
pub struct SupervisorSettings {
    pub listen: std::net::SocketAddr,
    /// The private address for metrics, health and (later) the status page. Default 127.0.0.1:9090.
    pub admin_listen: std::net::SocketAddr,
    /// Where the unix sockets `control.sock` and `metrics.sock` are made. Default /run/floodgate.
    pub runtime_dir: std::path::PathBuf,
    /// Worker processes; default one a core.
    pub workers: usize,
    pub shutdown_timeout_ms: u64,
    pub drain_delay_ms: u64,
    pub ready_dependencies: Vec<Dependency>,
    pub log_format: telemetry::LogFormat,
    pub metrics_enabled: bool,
    /// `None`: the node runs alone, which only development allows.
    pub redis: Option<redis::RedisSettings>,
    /// `JWKS_URI`.
    pub remote_keys: Option<tokens::key_url::RemoteKeys>,
    /// What a token gets before the node has seen the revocation store; without Redis there is none to see.
    pub revocation_cold_policy: redis::ColdPolicy,
}

/// `NODE_ENV`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    Development,
    Test,
    Staging,
    Production,
}

impl Environment {
    /// The platform's "prod": production or staging.
    #[must_use]
    pub fn is_production(self) -> bool {
        matches!(self, Self::Production | Self::Staging)
    }
}

/// `io_driver`: which kernel interface the workers use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IoDriver {
    /// io_uring, falling back to epoll where the kernel refuses.
    Auto,
    Uring,
    Epoll,
}

/// What gates `/ready`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dependency {
    Redis,
    Auth,
    Venue,
}

/// Answers the edge makes itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LocalSettings {
    /// `METRICS_ALLOWED_CIDRS`; default loopback.
    pub metrics_allowed: Vec<ipnet::IpNet>,
    /// `HEALTH_TOKEN`: opens the detail of `/health`.
    pub health_token: Option<secret::Secret<String>>,
    /// The supervisor's unix socket to which scrapes are forwarded.
    pub metrics_socket: std::path::PathBuf,
    /// What must be reachable; Redis only where there is one.
    pub ready_dependencies: Vec<Dependency>,
    /// Whether the node follows what others revoke; without Redis it runs alone.
    pub follows_redis: bool,
}

/// Region ids (`shm::names`) of the names a configuration uses, interned by the supervisor.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct NameTable {
    /// Parallel to `WorkerSettings::routes`: the id of each row's template.
    pub routes: Vec<u16>,
    /// Parallel to `WorkerSettings::services`.
    pub services: Vec<u16>,
    /// Every permission string that can matter to a row, with its id.
    pub permissions: Vec<(String, u16)>,
    /// Canonical role names with their ids.
    pub roles: Vec<(String, u16)>,
}
