//! Sources and their order, environment files, secret files, unknown names.

use super::{Source, Sources, read_text};
use crate::config::problem::Report;
use crate::config::sample::{self, DEVELOPMENT, RANDOM, Scratch};
use std::path::Path;

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

/// What an environment file of this text makes of a development configuration.
fn report_of(text: &str) -> (Vec<String>, Vec<String>, Vec<(String, String)>) {
    let mut report = Report::default();
    let all = super::parse_environment_file(text, "env", &mut report);
    let problems = report.problems.iter().map(ToString::to_string).collect();
    (problems, report.notices, all.into_iter().map(|one| (one.name, one.text)).collect())
}

#[test]
fn environment_files_are_read_as_systemd_reads_them() {
    let text = "\u{20}\n# comment\n; comment\nA=1\nexport B = two words \nC=\"x \\\"y\\\" \\\\ \\n\"\nD='it\\s'\n\
                E=\"-----BEGIN\n body  \n-----END\"\nF=\nG=\"\"\n";
    let (problems, _, all) = report_of(text);
    assert_eq!(problems, [""; 0]);
    let expected = [
        ("A", "1"),
        ("B", "two words"),
        ("C", "x \"y\" \\ \\n"),
        ("D", "it\\s"),
        ("E", "-----BEGIN\n body\n-----END"),
        ("F", ""),
        ("G", ""),
    ];
    assert_eq!(all, pairs(&expected));
}

#[test]
fn lines_that_are_no_assignment_are_problems_with_their_line() {
    for (text, expected) in [
        ("A=1\nnonsense", "env:2: is not NAME=value; correct the line or start it with #"),
        ("1A=1", "env:1: is not NAME=value; correct the line or start it with #"),
        ("A B=1", "env:1: is not NAME=value; correct the line or start it with #"),
        ("=1", "env:1: is not NAME=value; correct the line or start it with #"),
        ("A=\"open\nB=1", "env:1: opens a quote that is never closed; close it"),
        ("A=\"x\\", "env:1: opens a quote that is never closed; close it"),
        ("A=\"x\" # why", "env:1: has text after its closing quote; put comments on lines of their own"),
        ("A=1\nA=1", "env:2: sets A a second time; keep one of the lines"),
    ] {
        assert_eq!(report_of(text).0, [expected], "{text}");
    }
}

#[test]
fn unreadable_files_are_problems() {
    let scratch = Scratch::new();
    let missing = format!("{}-missing", scratch.file("x", ""));
    let sources = Sources {
        environment_file: Some(missing.clone().into()),
        file: Some(missing.clone().into()),
        ..sample::sources(DEVELOPMENT, &[])
    };
    let report = sources.read().lookup.report;
    let problems: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        problems,
        [
            format!("{missing}: cannot be read (entity not found); correct --env-file"),
            format!("{missing}: cannot be read (entity not found); correct --config or FLOODGATE_CONFIG"),
        ]
    );
}

#[test]
fn files_are_bounded() {
    let scratch = Scratch::new();
    let path = scratch.file("x", "12345");
    assert_eq!(read_text(Path::new(&path), 5).as_deref(), Ok("12345"));
    assert_eq!(read_text(Path::new(&path), 4), Err("is larger than 4 bytes".to_owned()));
    let path = scratch.file("y", [0xff, 0xfe]);
    assert_eq!(read_text(Path::new(&path), 5), Err("cannot be read (invalid data)".to_owned()));
}

#[test]
fn the_configuration_file_can_be_named_by_a_variable() {
    let scratch = Scratch::new();
    let toml = scratch.file("floodgate.toml", "[server]\nport = 4711\n");
    let loaded = sample::loaded(DEVELOPMENT, &[("FLOODGATE_CONFIG", &toml)]);
    assert_eq!(loaded.settings.supervisor.listen.port(), 4711);
    let broken = scratch.file("broken.toml", "port = ");
    let problems = sample::problems(DEVELOPMENT, &[("FLOODGATE_CONFIG", &broken)]);
    assert!(problems.iter().all(|problem| problem.contains("broken.toml:1: is not TOML")), "{problems:?}");
    assert_eq!(problems.len(), 1);
}

#[test]
fn a_value_counts_without_the_space_around_it_and_as_unset_if_there_is_nothing_else() {
    let port = |text| sample::loaded(DEVELOPMENT, &[("PORT", text)]).settings.supervisor.listen.port();
    assert_eq!(port(" 4711\t"), 4711);
    assert_eq!(port(" \t"), port(""));
}

#[test]
fn a_secret_prints_that_it_is_set_and_nothing_of_what_it_is() {
    let token = sample::loaded(DEVELOPMENT, &[("HEALTH_TOKEN", RANDOM)]).settings.worker.local.health_token;
    assert_eq!(format!("{token:?}"), "Some([set])");
}

#[test]
fn secrets_come_from_files_without_their_line_end() {
    let scratch = Scratch::new();
    for (content, expected) in [
        (format!("{RANDOM}\n"), RANDOM.to_owned()),
        (format!("{RANDOM}\r\n"), RANDOM.to_owned()),
        (format!("{RANDOM}\n\n"), format!("{RANDOM}\n")),
        (format!(" {RANDOM}"), format!(" {RANDOM}")),
    ] {
        let path = scratch.file("token", content);
        let loaded = sample::loaded(DEVELOPMENT, &[("HEALTH_TOKEN_FILE", &path)]);
        let token = loaded.settings.worker.local.health_token.expect("set");
        assert_eq!(token.expose(), &expected);
        assert_eq!(loaded.warnings, []);
    }
}

#[test]
fn secret_files_that_cannot_serve_are_problems() {
    let scratch = Scratch::new();
    let empty = scratch.file("empty", "\n");
    let short = scratch.file("short", "short\n");
    let large = scratch.file("large", "x".repeat(65_537));
    let remedy = "name a file that the supervisor can read";
    for (path, expected) in [
        (empty.as_str(), format!("names a file that is empty; {remedy}")),
        (large.as_str(), format!("names a file that is larger than 65536 bytes; {remedy}")),
        ("/nowhere/at/all", format!("names a file that cannot be read (entity not found); {remedy}")),
        (
            short.as_str(),
            "is shorter than 32 bytes; use a random value, for example from `openssl rand -hex 32`"
                .to_owned(),
        ),
    ] {
        let problems = sample::problems(DEVELOPMENT, &[("HEALTH_TOKEN_FILE", path)]);
        assert_eq!(problems, [format!("HEALTH_TOKEN_FILE: {expected}")]);
    }
}

#[test]
fn a_secret_and_its_file_together_are_a_problem() {
    let scratch = Scratch::new();
    let path = scratch.file("token", RANDOM);
    let problems = sample::problems(DEVELOPMENT, &[("HEALTH_TOKEN", RANDOM), ("HEALTH_TOKEN_FILE", &path)]);
    assert_eq!(problems, ["HEALTH_TOKEN: HEALTH_TOKEN and HEALTH_TOKEN_FILE are both set; keep one of them"]);
}

#[test]
fn a_secret_that_others_can_read_is_a_warning() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::new();
    let path = scratch.file("token", RANDOM);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("our own file");
    let warnings = sample::warnings(DEVELOPMENT, &[("HEALTH_TOKEN_FILE", &path)]);
    assert_eq!(warnings, ["HEALTH_TOKEN_FILE: names a file that every user can read; chmod 0400"]);
    let toml = scratch.file("floodgate.toml", format!("[server]\nhealth_token = \"{RANDOM}\"\n"));
    let warnings = sample::warnings(DEVELOPMENT, &[("FLOODGATE_CONFIG", &toml)]);
    let place = format!("HEALTH_TOKEN ({toml}:2 server.health_token)");
    let remedy = "use HEALTH_TOKEN_FILE, so that the file can be shown around";
    assert_eq!(warnings, [format!("{place}: a secret stands in floodgate.toml; {remedy}")]);
}

#[test]
fn only_settings_that_are_long_or_secret_have_a_file_form() {
    let notices = sample::loaded(DEVELOPMENT, &[("PORT_FILE", "/x")]).notices;
    assert!(notices.iter().all(|notice| !notice.contains("PORT_FILE")), "short names are not ours to judge");
    let problems = sample::problems(DEVELOPMENT, &[("FLOODGATE_WORKERS_FILE", "/x")]);
    assert_eq!(
        problems,
        ["FLOODGATE_WORKERS_FILE: is not a setting; remove it, or see docs/reference/settings.md"]
    );
}

#[test]
fn an_older_spelling_counts_and_may_not_contradict() {
    let loaded = sample::loaded(DEVELOPMENT, &[("RATE_LIMIT_MAX", "7")]);
    assert!(loaded.settings.print().contains("RATE_LIMIT_GLOBAL_MAX = 7 (environment)"));
    let agree = [("RATE_LIMIT_MAX", "7"), ("RATE_LIMIT_GLOBAL_MAX", "7")];
    assert_eq!(sample::problems(DEVELOPMENT, &agree), [""; 0]);
    let differ = [("RATE_LIMIT_GLOBAL_MAX", "8"), ("RATE_LIMIT_MAX", "7")];
    let expected = "RATE_LIMIT_GLOBAL_MAX: is set twice, differently, in the environment; \
                    keep one of RATE_LIMIT_GLOBAL_MAX and RATE_LIMIT_MAX";
    assert_eq!(sample::problems(DEVELOPMENT, &differ), [expected]);
}

#[test]
fn unknown_names_are_problems_where_they_are_ours() {
    for (name, expected) in [
        ("FLOODGATE_WORKER", "is not a setting; did you mean `FLOODGATE_WORKERS`?"),
        ("HEALTH_PATH_VENEU", "is not a setting; did you mean `HEALTH_PATH_VENUE`?"),
        ("UPSTREAM_TOKEN_X", "is not a setting; remove it, or see docs/reference/settings.md"),
    ] {
        assert_eq!(sample::problems(DEVELOPMENT, &[(name, "1")]), [format!("{name}: {expected}")]);
    }
    let sources = Sources { command_line: pairs(&[("PROT", "1")]), ..sample::sources(DEVELOPMENT, &[]) };
    let report = sources.read().lookup.report;
    assert_eq!(report.problems.len(), 1);
    assert_eq!(report.problems[0].to_string(), "PROT: is not a setting; did you mean `PORT`?");
}

#[test]
fn unknown_names_elsewhere_are_mentioned() {
    let scratch = Scratch::new();
    let file = scratch.file("environment", "FOREIGN=1\nJWT_PUBLIC_KEYS=1\nFLOODGATE_X=1\n");
    let sources = Sources {
        environment_file: Some(file.clone().into()),
        ..sample::sources(DEVELOPMENT, &[("JWT_ISSUERS", "1"), ("PATH", "/bin"), ("SHLVL", "1")])
    };
    let report = sources.read().lookup.report;
    assert_eq!(
        report.notices,
        [
            format!("FOREIGN ({file}:1) is unknown and ignored"),
            format!("JWT_PUBLIC_KEYS ({file}:2) is unknown and ignored; did you mean JWT_PUBLIC_KEY?"),
            "JWT_ISSUERS is unknown and ignored; did you mean JWT_ISSUER?".to_owned(),
        ]
    );
    let expected =
        format!("FLOODGATE_X ({file}:3): is not a setting; remove it, or see docs/reference/settings.md");
    assert_eq!(report.problems.iter().map(ToString::to_string).collect::<Vec<_>>(), [expected]);
}

#[test]
fn variables_of_the_older_gateway_are_named_once() {
    let changes = [("SERVICE_NAME", "x"), ("ENABLE_SWAGGER", "true"), ("JWT_ACCESS_EXPIRY", "15m")];
    let notices = sample::loaded(DEVELOPMENT, &changes).notices;
    assert!(
        notices
            .contains(&"accepted without effect: ENABLE_SWAGGER, JWT_ACCESS_EXPIRY, SERVICE_NAME".to_owned()),
        "{notices:?}"
    );
}

#[test]
fn the_sources_of_a_process_hold_its_environment() {
    let sources = Sources::of_process(pairs(&[("PORT", "1")]), Some("/env".into()), Some("/toml".into()));
    assert!(sources.environment.iter().any(|(name, _)| name == "PATH"));
    assert_eq!(sources.environment_file.as_deref(), Some(Path::new("/env")));
    assert_eq!(sources.file.as_deref(), Some(Path::new("/toml")));
    assert_eq!(sources.command_line, pairs(&[("PORT", "1")]));
}

#[test]
fn sources_are_ordered_and_have_names() {
    let all = [Source::Preset, Source::File, Source::EnvironmentFile, Source::Process, Source::CommandLine];
    assert!(all.is_sorted());
    let names = all.map(Source::as_str);
    assert_eq!(names, ["default", "floodgate.toml", "environment file", "environment", "command line"]);
}
