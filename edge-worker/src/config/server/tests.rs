//! Addresses, workers, shutdown, local answers.

use crate::config::sample::{self, DEVELOPMENT, PRODUCTION, RANDOM, assert_accepted, assert_problems};
use crate::config::{Dependency, IoDriver};

#[test]
fn wrong_values_are_problems() {
    assert_problems(
        DEVELOPMENT,
        &[
            (
                "NODE_ENV",
                "prod",
                "is not one of development, test, staging, production; correct it or remove it",
            ),
            (
                "HOST",
                "example.com",
                "is not an IP address or localhost; correct it, or remove it to get the default `0.0.0.0`",
            ),
            (
                "SHUTDOWN_TIMEOUT_MS",
                "999",
                "is not a whole number from 1000 to 30000; correct it, or remove it to get the default `30000`",
            ),
            (
                "DRAIN_DELAY_MS",
                "30000",
                "is not shorter than SHUTDOWN_TIMEOUT_MS, which includes it; leave time for requests in flight \
                 to finish",
            ),
            (
                "FLOODGATE_RUNTIME_DIR",
                &format!("/{}", "a".repeat(100)),
                "is too long for the path of a unix socket; use a shorter directory such as /run/floodgate",
            ),
            (
                "HEALTH_TOKEN",
                "short",
                "is shorter than 32 bytes; use a random value, for example from `openssl rand -hex 32`",
            ),
        ],
    );
    assert_accepted(DEVELOPMENT, &[("FLOODGATE_ADMIN_LISTEN", "[::1]:0"), ("DRAIN_DELAY_MS", "0")]);
}

#[test]
fn without_an_environment_only_that_is_reported() {
    let expected = "NODE_ENV: is not set, and every other default depends on it; \
                    set development, test, staging or production";
    assert_eq!(sample::problems(DEVELOPMENT, &[("NODE_ENV", "")]), [expected]);
}

#[test]
fn the_supervisor_gets_its_settings() {
    let changes = [
        ("HOST", "localhost"),
        ("PORT", "8080"),
        ("FLOODGATE_ADMIN_LISTEN", "127.0.0.1:9191"),
        ("FLOODGATE_RUNTIME_DIR", "/tmp/f"),
        ("FLOODGATE_WORKERS", "3"),
        ("FLOODGATE_IO_DRIVER", "epoll"),
        ("SHUTDOWN_TIMEOUT_MS", "5000"),
        ("DRAIN_DELAY_MS", "100"),
        ("READY_DEPENDENCIES", "auth"),
        ("ENABLE_METRICS", "false"),
        ("HEALTH_TOKEN", RANDOM),
    ];
    let settings = sample::loaded(DEVELOPMENT, &changes).settings;
    let supervisor = settings.supervisor;
    assert_eq!(supervisor.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(supervisor.admin_listen.to_string(), "127.0.0.1:9191");
    assert_eq!(supervisor.runtime_dir.to_str(), Some("/tmp/f"));
    assert_eq!((supervisor.workers, supervisor.metrics_enabled), (3, false));
    assert_eq!((supervisor.shutdown_timeout_ms, supervisor.drain_delay_ms), (5_000, 100));
    assert_eq!(supervisor.ready_dependencies, [Dependency::Auth]);
    assert_eq!(settings.worker.io_driver, IoDriver::Epoll);
    let local = settings.worker.local;
    assert_eq!(local.metrics_socket.to_str(), Some("/tmp/f/metrics.sock"));
    assert_eq!(local.health_token.map(|token| token.expose().clone()).as_deref(), Some(RANDOM));
    assert_eq!(local.ready_dependencies, [Dependency::Auth]);
}

#[test]
fn redis_gates_readiness_where_there_is_one() {
    let local = |changes| sample::loaded(DEVELOPMENT, changes).settings.worker.local;
    let alone = local(&[]);
    assert_eq!(alone.ready_dependencies, [Dependency::Auth, Dependency::Venue]);
    assert!(!alone.follows_redis);
    let following = local(&[("REDIS_URL", "redis://127.0.0.1:6379/0")]);
    let all = [Dependency::Redis, Dependency::Auth, Dependency::Venue];
    assert_eq!(following.ready_dependencies, all);
    assert!(following.follows_redis);
}

#[test]
fn there_is_a_worker_for_every_core() {
    let workers = sample::loaded(DEVELOPMENT, &[]).settings.supervisor.workers;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    assert_eq!(workers, cores.min(32));
}

#[test]
fn scraping_from_a_private_range_needs_known_proxies() {
    let private = ("METRICS_ALLOWED_CIDRS", "loopback,10.0.0.0/8");
    let expected = "METRICS_ALLOWED_CIDRS: holds a private range while TRUSTED_PROXIES is empty, so every client of \
                    a private load balancer could read metrics; set TRUSTED_PROXIES if a load balancer stands in front";
    assert_eq!(sample::warnings(DEVELOPMENT, &[private]), [expected]);
    assert_eq!(sample::warnings(DEVELOPMENT, &[private, ("TRUSTED_PROXIES", "10.0.0.1")]), [""; 0]);
    assert_eq!(sample::warnings(DEVELOPMENT, &[("METRICS_ALLOWED_CIDRS", "203.0.113.7")]), [""; 0]);
    assert_eq!(sample::problems(PRODUCTION, &[private]), [""; 0]);
}

#[test]
fn a_free_port_is_taken_outside_production_only() {
    assert_accepted(DEVELOPMENT, &[("PORT", "0")]);
    let what = "is 0, which takes any free port; name the port that clients reach";
    assert_problems(PRODUCTION, &[("PORT", "0", what)]);
}
