//! URLs, deadlines, caps and health paths of the services.

use super::{Breaker, Criticality, SERVICES, Service, ServiceDefaults, ServiceId};
use crate::config::headers::Scheme;
use crate::config::sample::{self, Changes, DEVELOPMENT, PRODUCTION, RANDOM, assert_problems};

fn service(base: Changes<'_>, name: &str, changes: Changes<'_>) -> Service {
    let all = sample::loaded(base, changes).settings.worker.services;
    all.into_iter().find(|service| service.name == name).expect("a service of the table")
}

/// Test is the environment that needs all URLs and starts.
fn in_test(changes: Changes<'static>) -> Vec<(&'static str, &'static str)> {
    let base = PRODUCTION.iter().filter(|(name, _)| *name != "NODE_ENV").copied();
    base.chain([("NODE_ENV", "test")]).chain(changes.iter().copied()).collect()
}

#[test]
fn services_are_found_by_name_in_the_order_of_the_table() {
    assert_eq!(ServiceId::find("auth"), Some(ServiceId(0)));
    assert_eq!(ServiceId::find("transfer"), Some(ServiceId(18)));
    assert_eq!(ServiceId::find("mint"), None);
    assert_eq!(ServiceId(17).defaults().map(|service| service.name), Some("minting"));
    assert!(ServiceId(19).defaults().is_none());
    let all = sample::loaded(DEVELOPMENT, &[]).settings.worker.services;
    assert!(all.iter().zip(&SERVICES).all(|(service, defaults)| service.name == defaults.name));
    assert_eq!(SERVICES.iter().filter(|service| service.criticality == Criticality::Business).count(), 5);
    assert_eq!(SERVICES[14].breaker.reset_ms, 120_000);
}

#[test]
fn development_reaches_the_services_on_this_machine() {
    let auth = service(DEVELOPMENT, "auth", &[]);
    assert_eq!(auth.instances.len(), 1);
    assert_eq!(auth.instances[0].authority, "127.0.0.1:3001");
    assert_eq!(auth.instances[0].addresses, ["127.0.0.1:3001".parse().expect("an address")]);
    assert_eq!((auth.read_timeout_ms, auth.write_timeout_ms, auth.body_bytes_max), (5_000, 5_000, 1 << 20));
    assert_eq!((auth.pool_idle_ms, auth.health_path.as_str()), (60_000, "/health/live"));
    assert_eq!(service(DEVELOPMENT, "scanning", &[]).pool_idle_ms, 4_000);
    assert_eq!(service(DEVELOPMENT, "file", &[]).body_bytes_max, 100 << 20);
}

#[test]
fn other_environments_need_every_url() {
    let base = in_test(&[]);
    let scanning = service(&base, "scanning", &[]);
    let authorities: Vec<_> = scanning.instances.iter().map(|instance| instance.authority.as_str()).collect();
    assert_eq!(authorities, ["10.0.0.9:3009", "10.0.0.10:3009"]);
    let marketplace = &service(&base, "marketplace", &[]).instances[0];
    assert_eq!((marketplace.host.as_str(), marketplace.port), ("marketplace.internal", 80));
    assert_eq!((marketplace.authority.as_str(), marketplace.addresses.len()), ("marketplace.internal", 0));
    let expected = "VENUE_SERVICE_URL: is not set, and only development has a default; \
                    set the base URL of the service";
    assert_eq!(sample::problems(&base, &[("VENUE_SERVICE_URL", "")]), [expected]);
    assert_eq!(sample::problems(PRODUCTION, &[("VENUE_SERVICE_URL", "")]), [expected]);
}

#[test]
fn wrong_urls_are_problems() {
    let write = "write http://host:port or https://host:port, several instances separated by commas";
    assert_problems(
        DEVELOPMENT,
        &[
            (
                "AUTH_SERVICE_URL",
                "auth:3001",
                &format!("URL 1 does not start with http:// or https://; {write}"),
            ),
            (
                "AUTH_SERVICE_URL",
                "http://a,http://b/v1",
                &format!("URL 2 holds a path, query or fragment; {write}"),
            ),
            ("AUTH_SERVICE_URL", "http://u:p@a", &format!("URL 1 holds a user name or password; {write}")),
            ("AUTH_SERVICE_URL", "http://a,http://A:80", "lists one instance twice; remove the repetition"),
            (
                "FILE_SERVICE_URL",
                "http://files,https://0x1",
                "URL 2 has a host that no certificate can name; use a DNS name or an address",
            ),
            (
                "UPSTREAM_TOKEN_MODE_ORDER",
                "exchange",
                "token exchange is not built yet; remove it; tokens are passed through",
            ),
            (
                "HEALTH_PATH_ORDER",
                "health",
                "is not a path that starts with / and holds no placeholder; \
                 correct it, or remove it to get the default (see the table of services)",
            ),
        ],
    );
}

#[test]
fn production_with_required_tls_refuses_http() {
    let all = sample::problems(PRODUCTION, &[("UPSTREAM_TLS_REQUIRED", "true")]);
    let what = "URL 1 is http while UPSTREAM_TLS_REQUIRED is true; \
                write https, or set UPSTREAM_TLS_REQUIRED to false on a private network";
    assert_eq!(all.len(), 20, "one of them has two instances");
    assert_eq!(all.iter().filter(|problem| problem.contains(what)).count(), 19, "{all:?}");
    assert!(all.iter().any(|problem| problem.starts_with("SCANNING_SERVICE_URL: URL 2 is http")), "{all:?}");
    assert_eq!(sample::problems(DEVELOPMENT, &[("UPSTREAM_TLS_REQUIRED", "true")]), [""; 0]);
}

#[test]
fn an_instance_over_tls_stands_beside_one_without() {
    let urls = [("ORDER_SERVICE_URL", "https://order.internal,https://[fd00::1]:8443,http://order.internal")];
    let order = service(DEVELOPMENT, "order", &urls);
    let seen: Vec<_> = order
        .instances
        .iter()
        .map(|instance| (instance.scheme, instance.authority.as_str(), instance.port))
        .collect();
    let expected = [
        (Scheme::Https, "order.internal", 443),
        (Scheme::Https, "[fd00::1]:8443", 8443),
        (Scheme::Http, "order.internal", 80),
    ];
    assert_eq!(seen, expected);
    assert_eq!(order.instances[1].host, "fd00::1", "as a certificate names it");
}

#[test]
fn deadlines_follow_their_overrides() {
    let changes = [
        ("TIMEOUT_DEFAULT", "1000"),
        ("TIMEOUT_PAYMENT", "2000"),
        ("TIMEOUT_NFT_MINTING", "3000"),
        ("FLOODGATE_WRITE_TIMEOUT_MS_ORDER", "4000"),
        ("FLOODGATE_READ_TIMEOUT_MS_ORDER", "4001"),
    ];
    for (name, read, write) in [
        ("venue", 5_000, 1_000),
        ("search", 5_000, 1_000),
        ("payment", 5_000, 2_000),
        ("minting", 10_000, 3_000),
        ("auth", 5_000, 5_000),
        ("order", 4_001, 4_000),
    ] {
        let service = service(DEVELOPMENT, name, &changes);
        assert_eq!((service.read_timeout_ms, service.write_timeout_ms), (read, write), "{name}");
    }
    assert_eq!(service(DEVELOPMENT, "payment", &[]).write_timeout_ms, 30_000);
    assert_eq!(service(DEVELOPMENT, "minting", &[]).write_timeout_ms, 90_000);
}

#[test]
fn the_request_size_bounds_body_caps() {
    let small = [("MAX_REQUEST_SIZE", "1kb")];
    assert_eq!(service(DEVELOPMENT, "venue", &small).body_bytes_max, 1_024);
    assert_eq!(service(DEVELOPMENT, "file", &small).body_bytes_max, 100 << 20);
    let cap = [("FLOODGATE_BODY_BYTES_MAX_VENUE", "20mb")];
    let expected = "FLOODGATE_BODY_BYTES_MAX_VENUE: is above MAX_REQUEST_SIZE, which bounds it; \
                    raise MAX_REQUEST_SIZE, too";
    assert_eq!(sample::warnings(DEVELOPMENT, &cap), [expected]);
    let raised = [("FLOODGATE_BODY_BYTES_MAX_VENUE", "20mb"), ("MAX_REQUEST_SIZE", "20mb")];
    assert_eq!(service(DEVELOPMENT, "venue", &raised).body_bytes_max, 20 << 20);
    assert_eq!(sample::warnings(DEVELOPMENT, &raised), [""; 0]);
}

#[test]
fn settings_of_one_service_are_recognised() {
    let changes = [("HEALTH_PATH_VENUE", "/alive"), ("CIRCUIT_BREAKER_VOLUME_THRESHOLD_VENUE", "5")];
    assert_eq!(service(DEVELOPMENT, "venue", &changes).health_path, "/alive");
    let notices = sample::loaded(DEVELOPMENT, &[("UPSTREAM_TOKEN_SECRET_VENUE", RANDOM)]).notices;
    assert!(notices.iter().any(|notice| notice.starts_with("UPSTREAM_TOKEN_SECRET_VENUE is set and valid")));
}

#[test]
fn a_circuit_is_that_of_the_table_unless_a_variable_says_otherwise() {
    let breaker = |name, changes| {
        let Breaker { error_percent, reset_ms, volume } = service(DEVELOPMENT, name, changes).breaker;
        (error_percent, reset_ms, volume)
    };
    assert_eq!(breaker("auth", &[]), (50, 60_000, 20));
    let all = [
        ("CIRCUIT_BREAKER_ERROR_THRESHOLD", "75"),
        ("CIRCUIT_BREAKER_RESET_TIMEOUT", "1500"),
        ("CIRCUIT_BREAKER_VOLUME_THRESHOLD", "7"),
        ("CIRCUIT_BREAKER_RESET_TIMEOUT_AUTH", "250"),
    ];
    assert_eq!(breaker("auth", &all), (75, 250, 7));
    assert_eq!(breaker("venue", &all), (75, 1_500, 7));
    assert_eq!(breaker("blockchain", &all), (75, 1_500, 7));
}

/// The table itself is built by the compiler, which no test would notice.
#[test]
fn a_row_is_built_from_the_commonest_values() {
    let plain = ServiceDefaults::new("x", 1, Criticality::Normal);
    assert_eq!((plain.read_timeout_s, plain.write_timeout_s, plain.body_mib), (5, 10, 1));
    let breaker =
        |row: ServiceDefaults| (row.breaker.error_percent, row.breaker.reset_ms, row.breaker.volume);
    assert_eq!((breaker(plain), plain.health_path), ((50, 60_000, 20), "/health/live"));
    let changed = plain.timeouts(2, 3).body(4).breaker(5, 6, 7).health("/h");
    assert_eq!((changed.read_timeout_s, changed.write_timeout_s, changed.body_mib), (2, 3, 4));
    assert_eq!((breaker(changed), changed.health_path, changed.name), ((5, 6_000, 7), "/h", "x"));
    assert_eq!((plain.in_flight_max, plain.places(8).in_flight_max), (1_024, 8));
    assert_eq!(ServiceDefaults::new("x", 1, Criticality::Business).in_flight_max, 4_096);
}
