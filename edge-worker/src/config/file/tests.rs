//! floodgate.toml: keys, types, places.

use super::File;
use crate::config::problem::Report;
use crate::config::sample::{self, Scratch};

fn read(text: &str) -> (Vec<String>, Vec<(String, String, String)>) {
    let mut report = Report::default();
    let file = File::parse("f.toml", text.to_owned(), &mut report);
    let all = file.map(|file| file.assignments(&mut report)).unwrap_or_default();
    let problems = report.problems.iter().map(ToString::to_string).collect();
    (problems, all.into_iter().map(|one| (one.name, one.text, one.place.unwrap_or_default())).collect())
}

#[test]
fn keys_become_variables_with_file_and_line() {
    let text = "[server]\nport = 0x0fA0\nhost = '::'\n\n[services.auth]\nurls = [\"http://a\", \"http://b\"]\n\
                [telemetry]\nsampling_ratio = 0.5\ntracing = false\n[tokens]\nsecret_file = \"/run/s\"\n\
                [sunset]\nT9 = \"x\"\n[[routes]]\nid = \"anything\"\n";
    let (problems, mut all) = read(text);
    assert_eq!(problems, [""; 0]);
    all.sort();
    let expected = [
        ("AUTH_SERVICE_URL", "http://a,http://b", "f.toml:6 services.auth.urls"),
        ("ENABLE_TRACING", "false", "f.toml:9 telemetry.tracing"),
        ("HOST", "::", "f.toml:3 server.host"),
        ("JWT_SECRET_FILE", "/run/s", "f.toml:11 tokens.secret_file"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.5", "f.toml:8 telemetry.sampling_ratio"),
        ("PORT", "4000", "f.toml:2 server.port"),
        ("SUNSET_T9", "x", "f.toml:13 sunset.T9"),
    ];
    let expected = expected.map(|(name, text, place)| (name.to_owned(), text.to_owned(), place.to_owned()));
    assert_eq!(all, expected);
}

#[test]
fn unknown_keys_and_unfit_values_are_problems_with_file_and_line() {
    let types = "write a string, number, boolean or a list of strings";
    for (text, expected) in [
        ("[server]\nprot = 1", "f.toml:2 server.prot: is not a key; did you mean `server.port`?".to_owned()),
        ("[sever]\nport = 1", "f.toml:1 sever: is not a key; did you mean `server`?".to_owned()),
        (
            "[elsewhere]",
            "f.toml:1 elsewhere: is not a key; remove it, or see docs/reference/settings.md".to_owned(),
        ),
        (
            "server = 1",
            "f.toml:1 server: is a table, not a value; see docs/reference/settings.md for its keys"
                .to_owned(),
        ),
        (
            "[server]\nport = 2020-01-01",
            format!("f.toml:2 server.port: is of a wrong type (datetime); {types}"),
        ),
        ("[server.port]\nx = 1", format!("f.toml:1 server.port: is of a wrong type (table); {types}")),
        ("[server]\nport = [[1]]", format!("f.toml:2 server.port: is of a wrong type (array); {types}")),
        (
            "[server]\nport_file = 1",
            "f.toml:2 server.port_file: is not a key; remove it, or see docs/reference/settings.md"
                .to_owned(),
        ),
        (
            "[server]\nport = 99999999999999999999",
            format!("f.toml:2 server.port: is of a wrong type (integer); {types}"),
        ),
    ] {
        assert_eq!(read(text).0, [expected], "{text}");
    }
}

#[test]
fn syntax_errors_are_all_reported() {
    let (problems, all) = read("[server]\nport = \nhost = \"x\n");
    assert_eq!((problems.len(), all.len()), (2, 0), "{problems:?}");
    assert!(problems[0].starts_with("f.toml:2: is not TOML ("), "{problems:?}");
    assert!(problems[1].starts_with("f.toml:3: is not TOML ("), "{problems:?}");
    let twice = read("[server]\nport = 1\nport = 2\n").0;
    assert!(twice[0].starts_with("f.toml:3: is not TOML (duplicate key"), "{twice:?}");
}

#[test]
fn the_example_file_is_valid() {
    let scratch = Scratch::new();
    let key = scratch.file("auth.public.pem", sample::CURRENT);
    let example = include_str!("../../../../systemd/floodgate.toml");
    assert!(example.contains("/etc/floodgate/auth.public.pem"));
    let path = scratch.file("floodgate.toml", example.replace("/etc/floodgate/auth.public.pem", &key));
    let loaded = sample::loaded(&[], &[("FLOODGATE_CONFIG", &path)]);
    assert_eq!(loaded.warnings, []);
    let event = &loaded.settings.worker.services[2];
    assert_eq!((event.name.as_str(), event.instances.len()), ("event", 2));
    assert_eq!(loaded.settings.worker.headers.trusted_proxies, []);
}
