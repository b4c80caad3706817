//! The command line.

use super::{Arguments, Command};
use clap::{CommandFactory, Parser};

fn parse(arguments: &[&str]) -> Result<Arguments, clap::Error> {
    Arguments::try_parse_from([&["floodgate"], arguments].concat())
}

#[test]
fn the_command_line_is_consistent() {
    Arguments::command().debug_assert();
}

#[test]
fn without_a_command_the_edge_runs() {
    assert!(parse(&[]).expect("valid").command.is_none());
}

#[test]
fn options_stand_before_or_after_the_command() {
    for arguments in [["--set", "PORT=8080", "check", "--print"], ["check", "--print", "--set", "PORT=8080"]]
    {
        let parsed = parse(&arguments).expect("valid");
        assert_eq!(parsed.set, [("PORT".to_owned(), "8080".to_owned())]);
        assert!(matches!(parsed.command, Some(Command::Check { print: true })));
    }
}

#[test]
fn a_value_may_contain_equals_signs_and_be_empty() {
    let parsed = parse(&["--set", "A=b=c", "--set", "D="]).expect("valid");
    assert_eq!(parsed.set, [("A".to_owned(), "b=c".to_owned()), ("D".to_owned(), String::new())]);
}

#[test]
fn an_assignment_without_a_name_is_refused() {
    for text in ["", "=value", "hunter2"] {
        parse(&["--set", text]).expect_err("not an assignment");
    }
}

#[test]
fn a_worker_needs_all_its_numbers() {
    parse(&["worker", "--slot", "0", "--generation", "1"]).expect_err("no listeners");
    parse(&["worker", "--slot", "-1", "--generation", "1", "--listeners", "1"]).expect_err("negative");
    let parsed = parse(&["worker", "--slot", "3", "--generation", "2", "--listeners", "1"]).expect("valid");
    assert!(matches!(parsed.command, Some(Command::Worker(_))));
}
