//! Whole configurations: what starts, what does not, and that everything is said at once.

use super::{clamp_rows, load, runtime_dir};
use crate::config::routes::{Access, Local, Notes, Row, ShedClass, Target};
use crate::config::sample::{self, CURRENT, DEVELOPMENT, PRODUCTION, RANDOM, Scratch};
use crate::config::services::ServiceId;
use crate::config::{Environment, Sources};
use crate::http::method::MethodSet;

#[test]
fn development_needs_an_environment_and_a_key() {
    let loaded = sample::loaded(DEVELOPMENT, &[]);
    assert_eq!(loaded.settings.worker.environment, Environment::Development);
    assert_eq!(loaded.settings.worker.services.len(), 19);
    assert_eq!(loaded.settings.worker.tokens.keys.len(), 1);
    assert_eq!(loaded.warnings, []);
    assert_eq!(
        loaded.notices,
        [
            "REDIS_URL is not set: in development the node runs alone",
            "AUTH_USER_CHECK is not set and there is no credential for auth-service, so it is taken as off: tokens of \
             suspended users pass until they expire",
        ]
    );
}

#[test]
fn an_empty_production_reports_everything_at_once() {
    let all = sample::problems(&[("NODE_ENV", "production")], &[]);
    for name in [
        "AUTH_SERVICE_URL",
        "TRANSFER_SERVICE_URL",
        "JWT_PUBLIC_KEY",
        "JWT_ISSUER",
        "REDIS_PASSWORD",
        "CACHE_MAC_KEY",
        "S2S_PRIVATE_KEY",
    ] {
        assert_eq!(
            all.iter().filter(|problem| problem.starts_with(&format!("{name}: "))).count(),
            1,
            "{name}"
        );
    }
    assert_eq!(all.len(), 19 + 5, "{all:#?}");
}

#[test]
fn production_and_staging_start_whatever_the_user_check() {
    for environment in ["production", "staging"] {
        for check in ["", "off", "always", "async"] {
            let changes = [("NODE_ENV", environment), ("AUTH_USER_CHECK", check)];
            assert_eq!(sample::problems(PRODUCTION, &changes), [""; 0], "{environment} {check}");
        }
    }
}

#[test]
fn no_problem_repeats_a_value() {
    let marker = "s3cr3t-marker\u{7}";
    // A path that cannot be read is named; it is no secret.
    let names: Vec<String> = crate::config::settings::all()
        .flat_map(|setting| setting.variables())
        .map(|(name, _)| name)
        .filter(|name| name != "FLOODGATE_CONFIG")
        .collect();
    let changes: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), marker)).collect();
    let all = sample::problems(DEVELOPMENT, &changes);
    assert!(all.len() > 200, "{}", all.len());
    assert!(all.iter().all(|problem| !problem.contains("s3cr3t-marker")), "{all:#?}");
}

#[test]
fn the_effective_configuration_shows_no_secret() {
    let changes = [("JWT_ALGORITHMS", "RS256,HS256"), ("JWT_SECRET", RANDOM)];
    let loaded = sample::loaded(DEVELOPMENT, &changes);
    let printed = loaded.settings.print();
    let debug = format!("{loaded:?}");
    assert!(!printed.contains(RANDOM) && !debug.contains(RANDOM) && !printed.contains("BEGIN"));
    for line in [
        "NODE_ENV = development (environment)",
        "PORT = 3000 (default)",
        "AUTH_SERVICE_URL = http://127.0.0.1:3001 (default)",
        "JWT_SECRET = set (environment)",
        "JWT_PUBLIC_KEY = set (environment)",
        "HEALTH_TOKEN = unset (default)",
        "EXTERNAL_SCHEME = http (default)",
    ] {
        assert!(printed.lines().any(|printed| printed == line), "{line}\n{printed}");
    }
    assert!(
        !printed.contains("CIRCUIT_BREAKER_VOLUME_THRESHOLD_AUTH"),
        "unset members of families are left out"
    );
}

#[test]
fn precedence_is_command_line_environment_file_toml_default() {
    let scratch = Scratch::new();
    let toml = "[server]\nport = 1001\nhost = \"127.0.0.1\"\n[telemetry]\nlog_level = \"warn\"\n";
    let sources = Sources {
        command_line: vec![("PORT".to_owned(), "1004".to_owned())],
        environment: [
            ("NODE_ENV", "development"),
            ("JWT_PUBLIC_KEY", CURRENT),
            ("PORT", "1003"),
            ("LOG_LEVEL", ""),
        ]
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .to_vec(),
        environment_file: Some(
            scratch.file("environment", "PORT=1002\nFLOODGATE_CONNECTIONS_MAX=7\n").into(),
        ),
        file: Some(scratch.file("floodgate.toml", toml).into()),
    };
    let loaded = load(&sources).expect("valid");
    assert_eq!(loaded.settings.supervisor.listen.to_string(), "127.0.0.1:1004");
    assert_eq!(loaded.settings.worker.limits.connections_max, 7);
    let printed = loaded.settings.print();
    for line in [
        "PORT = 1004 (command line)",
        "HOST = 127.0.0.1 (floodgate.toml)",
        "LOG_LEVEL = warn (floodgate.toml)",
        "FLOODGATE_CONNECTIONS_MAX = 7 (environment file)",
    ] {
        assert!(printed.lines().any(|printed| printed == line), "{line}\n{printed}");
    }
    let different: Vec<_> = loaded.notices.iter().filter(|notice| notice.contains("differently")).collect();
    assert_eq!(
        different,
        [
            "PORT is set differently in the command line and the environment; the command line wins",
            "PORT is set differently in the command line and the environment file; the command line wins",
            "PORT is set differently in the command line and the floodgate.toml; the command line wins",
        ]
    );
}

#[test]
fn problems_of_the_route_table_carry_file_and_line() {
    let scratch = Scratch::new();
    let toml = "[[routes]]\nid = \"X1\"\npath = 7\n";
    let sources = Sources {
        file: Some(scratch.file("floodgate.toml", toml).into()),
        ..sample::sources(DEVELOPMENT, &[])
    };
    let all = load(&sources).expect_err("a row without a path");
    assert!(
        all.iter()
            .all(|problem| problem.place.contains("floodgate.toml:") && problem.place.contains(" routes[0]")),
        "{all:?}"
    );
    let unknown = [("SUNSET_NOSUCHROW", "Sun, 06 Nov 1994 08:49:37 GMT")];
    assert!(
        sample::problems(DEVELOPMENT, &unknown).iter().all(|problem| problem.contains("SUNSET_NOSUCHROW"))
    );
}

fn row(target: Target, body_bytes_max: Option<u64>) -> Row {
    Row {
        id: "X1".to_owned(),
        template: "/x".to_owned(),
        segments: Vec::new(),
        methods: MethodSet::default(),
        target,
        access: Access::User,
        timeout_ms: None,
        body_bytes_max,
        notes: Notes::default(),
        class: ShedClass::Browsing,
        reason: String::new(),
    }
}

#[test]
fn the_request_size_bounds_every_row_but_those_of_the_file_service() {
    let services = sample::loaded(DEVELOPMENT, &[]).settings.worker.services;
    let to = |name: &str| Target::Service {
        service: ServiceId::find(name).expect("a service"),
        upstream: Vec::new(),
    };
    let rows = vec![
        row(to("venue"), Some(1_000)),
        row(to("venue"), Some(10)),
        row(to("file"), Some(1_000)),
        row(to("venue"), None),
        row(Target::Local(Local::Live), Some(1_000)),
        row(Target::Service { service: ServiceId(99), upstream: Vec::new() }, Some(1_000)),
    ];
    let caps: Vec<_> = clamp_rows(rows, &services, 100).into_iter().map(|row| row.body_bytes_max).collect();
    assert_eq!(caps, [Some(100), Some(10), Some(1_000), None, Some(100), Some(100)]);
}

#[test]
fn whoever_gives_a_node_orders_needs_its_directory_and_not_the_rest_of_its_configuration() {
    let found = |changes| runtime_dir(&sample::sources(&[], changes)).map_err(|problems| problems.len());
    assert_eq!(found(&[("FLOODGATE_RUNTIME_DIR", "/run/edge")]), Ok("/run/edge".into()));
    assert_eq!(found(&[("FLOODGATE_RUNTIME_DIR", "/run/edge"), ("PORT", "none")]), Ok("/run/edge".into()));
    assert_eq!(found(&[("FLOODGATE_RUNTIME_DIR", "relative"), ("PORT", "none")]), Err(1));
}

#[test]
fn a_file_that_cannot_be_read_may_name_another_directory() {
    let scratch = Scratch::new();
    let broken = scratch.file("broken.toml", "[server]\nruntime_dir = \"/run/edge\nport = 8080\n");
    let wrong = scratch.file("wrong.toml", "[server]\nruntime_dir = \"relative\"\n");
    let other = scratch.file("other.toml", "[server]\nruntime_dir = \"/run/edge\"\nport = \"none\"\n");
    let unclosed = scratch.file("environment", "FLOODGATE_RUNTIME_DIR=\"/run/edge\n");
    let at = |path: &str| Sources { file: Some(path.into()), ..Sources::default() };
    let named = |path: &str| sample::sources(&[], &[("FLOODGATE_CONFIG", path)]);
    let in_environment = |path: &str| Sources { environment_file: Some(path.into()), ..Sources::default() };
    let nowhere = "/nowhere/floodgate";
    for sources in [
        at(nowhere),
        named(nowhere),
        in_environment(nowhere),
        at(&broken),
        named(&broken),
        at(&wrong),
        in_environment(&unclosed),
    ] {
        let problems = runtime_dir(&sources).expect_err("the default may not be meant");
        assert!(!problems.is_empty(), "{:?} {:?}", sources.file, sources.environment_file);
    }
    assert_eq!(runtime_dir(&at(&other)), Ok("/run/edge".into()), "the port is not asked for");
}
