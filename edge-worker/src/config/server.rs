//! The process: environment, addresses, workers, shutdown.

use super::lookup::Lookup;
use super::rule::Rule;
use super::settings::Setting;
use super::{Dependency, Environment, IoDriver, LocalSettings, SupervisorSettings};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

pub(super) const SETTINGS: &[Setting] = &[
    Setting::new(
        "NODE_ENV",
        "server.environment",
        Rule::Word(&["development", "test", "staging", "production"]),
        "What this installation is; production rules hold in staging, too",
    )
    .required("always"),
    Setting::new("HOST", "server.host", Rule::Address, "Address that clients reach").preset("0.0.0.0"),
    Setting::new(
        "PORT",
        "server.port",
        Rule::Number(0, 65_535),
        "Port that clients reach; 0 takes a free one (for tests, not in production)",
    )
    .preset("3000"),
    Setting::new(
        "FLOODGATE_ADMIN_LISTEN",
        "server.admin_listen",
        Rule::SocketAddress,
        "Private address for metrics and health; port 0 lets the kernel choose",
    )
    .preset("127.0.0.1:9090"),
    Setting::new(
        "FLOODGATE_RUNTIME_DIR",
        "server.runtime_dir",
        Rule::Path,
        "Directory of the unix sockets `control.sock` (orders of operators) and `metrics.sock`",
    )
    .preset("/run/floodgate"),
    Setting::new(
        "FLOODGATE_WORKERS",
        "server.workers",
        Rule::Number(1, super::limits::WORKERS_MAX),
        "Worker processes",
    )
    .preset_rule("one a core"),
    Setting::new(
        "FLOODGATE_IO_DRIVER",
        "server.io_driver",
        Rule::Word(&["auto", "uring", "epoll"]),
        "Kernel interface of the workers; auto falls back to epoll where io_uring is refused",
    )
    .preset("auto"),
    Setting::new(
        "FLOODGATE_CONFIG",
        "server.config",
        Rule::Text,
        "Path of floodgate.toml; without effect inside that file",
    ),
    Setting::new(
        "SHUTDOWN_TIMEOUT_MS",
        "server.shutdown_timeout_ms",
        Rule::Number(1_000, 30_000),
        "Milliseconds from SIGTERM to exit, whatever is still in flight",
    )
    .preset("30000"),
    Setting::new(
        "DRAIN_DELAY_MS",
        "server.drain_delay_ms",
        Rule::Number(0, 30_000),
        "Milliseconds between failing readiness and closing the listeners; inside SHUTDOWN_TIMEOUT_MS",
    )
    .preset("2000"),
    Setting::new(
        "READY_DEPENDENCIES",
        "server.ready_dependencies",
        Rule::Words(&["redis", "auth", "venue"]),
        "What must be reachable for `/ready` to answer 200; redis counts where there is one",
    )
    .preset("redis,auth,venue"),
    Setting::new(
        "METRICS_ALLOWED_CIDRS",
        "server.metrics_allowed_cidrs",
        Rule::Networks,
        "Client addresses that may read `/metrics` at the public address; others get 404",
    )
    .preset("loopback"),
    Setting::new(
        "HEALTH_TOKEN",
        "server.health_token",
        Rule::Secret(32),
        "Bearer token that opens the details of `/health`",
    )
    .secret(),
];

/// `NODE_ENV`. Without a legal one the rest is checked as in development, so that nothing is reported
/// that may not apply.
pub(super) fn environment(lookup: &mut Lookup) -> Environment {
    lookup.require(
        "NODE_ENV",
        "every other default depends on it",
        "set development, test, staging or production",
    );
    lookup.words("NODE_ENV").first().copied().unwrap_or(Environment::Development)
}

pub(super) fn io_driver(lookup: &Lookup) -> IoDriver {
    lookup.word("FLOODGATE_IO_DRIVER")
}

pub(super) fn read(lookup: &mut Lookup, environment: Environment) -> SupervisorSettings {
    if environment.is_production() && lookup.number("PORT") == 0 {
        lookup.problem("PORT", "is 0, which takes any free port", "name the port that clients reach");
    }
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    lookup.preset("FLOODGATE_WORKERS", &cores.min(WORKERS_MAX_COUNT).to_string());
    let shutdown_timeout_ms = lookup.number("SHUTDOWN_TIMEOUT_MS");
    let drain_delay_ms = lookup.number("DRAIN_DELAY_MS");
    if drain_delay_ms >= shutdown_timeout_ms {
        lookup.problem(
            "DRAIN_DELAY_MS",
            "is not shorter than SHUTDOWN_TIMEOUT_MS, which includes it",
            "leave time for requests in flight to finish",
        );
    }
    SupervisorSettings {
        listen: SocketAddr::new(host(lookup), u16::try_from(lookup.number("PORT")).unwrap_or(0)),
        admin_listen: lookup
            .text("FLOODGATE_ADMIN_LISTEN")
            .and_then(|text| text.parse().ok())
            .expect("the table gives a default that passes the rule"),
        runtime_dir: runtime_dir(lookup),
        workers: usize::try_from(lookup.number("FLOODGATE_WORKERS")).unwrap_or(1),
        shutdown_timeout_ms,
        drain_delay_ms,
        ready_dependencies: lookup.words("READY_DEPENDENCIES"),
        log_format: super::telemetry::log_format(lookup),
        metrics_enabled: lookup.flag("ENABLE_METRICS"),
        // Read after this, with what belongs to them.
        redis: None,
        remote_keys: None,
        revocation_cold_policy: super::redis::ColdPolicy::Deny,
    }
}

fn host(lookup: &Lookup) -> IpAddr {
    let literal = lookup.text("HOST").and_then(|text| text.parse().ok());
    // The rule leaves `localhost` as the only other value.
    literal.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

pub(super) fn runtime_dir(lookup: &mut Lookup) -> PathBuf {
    let path = PathBuf::from(lookup.text("FLOODGATE_RUNTIME_DIR").unwrap_or_default());
    if path.join(METRICS_SOCKET).as_os_str().len() > SOCKET_PATH_BYTES_MAX {
        lookup.problem(
            "FLOODGATE_RUNTIME_DIR",
            "is too long for the path of a unix socket",
            "use a shorter directory such as /run/floodgate",
        );
    }
    path
}

/// What the edge answers itself. A node that runs alone has no Redis to depend on.
pub(super) fn local(lookup: &mut Lookup, supervisor: &SupervisorSettings) -> LocalSettings {
    let metrics_allowed = lookup.networks("METRICS_ALLOWED_CIDRS");
    let behind_unknown_proxy = !lookup.is_given("TRUSTED_PROXIES");
    if behind_unknown_proxy && metrics_allowed.iter().any(super::host::is_private) {
        lookup.warning(
            "METRICS_ALLOWED_CIDRS",
            "holds a private range while TRUSTED_PROXIES is empty, so every client of a private load balancer \
             could read metrics",
            "set TRUSTED_PROXIES if a load balancer stands in front",
        );
    }
    LocalSettings {
        metrics_allowed,
        health_token: lookup.text("HEALTH_TOKEN").map(|text| super::secret::Secret::new(text.to_owned())),
        metrics_socket: supervisor.runtime_dir.join(METRICS_SOCKET),
        ready_dependencies: supervisor
            .ready_dependencies
            .iter()
            .copied()
            .filter(|dependency| *dependency != Dependency::Redis || supervisor.redis.is_some())
            .collect(),
        follows_redis: supervisor.redis.is_some(),
    }
}

const METRICS_SOCKET: &str = "metrics.sock";
/// `sockaddr_un.sun_path` without its final zero.
const SOCKET_PATH_BYTES_MAX: usize = 107;
const WORKERS_MAX_COUNT: usize = 32;
const _: () = assert!(WORKERS_MAX_COUNT as u64 == super::limits::WORKERS_MAX);

#[cfg(test)]
mod tests;
