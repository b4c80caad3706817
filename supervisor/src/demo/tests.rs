//! Tests of the demo as a whole, short of starting an edge.

use super::{Arguments, Platform, environment};
use clap::Parser;
use std::path::Path;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    demo: Arguments,
}

#[test]
fn the_port_is_3000_unless_said_otherwise() {
    let read = |words: &[&str]| Line::try_parse_from(words).map(|line| line.demo);
    let preset = read(&["demo"]).expect("no option is needed");
    assert_eq!(preset, Arguments { port: 3000, platform_only: false });
    let chosen = read(&["demo", "--port", "8080", "--platform-only"]).expect("both options exist");
    assert_eq!(chosen, Arguments { port: 8080, platform_only: true });
    assert!(read(&["demo", "--port", "0"]).is_err());
}

#[test]
fn the_environment_names_every_service_and_the_key() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let variables = tokio::task::LocalSet::new().block_on(&runtime, async {
        let platform = Platform::start().await.expect("loopback ports are free");
        environment(&platform, 3000, Path::new("somewhere"))
    });
    let urls = variables.iter().filter(|(name, _)| name.ends_with("_SERVICE_URL")).count();
    assert_eq!(urls, 19);
    let key = variables.iter().find(|(name, _)| name == "JWT_PUBLIC_KEY").expect("the key is there");
    assert!(key.1.starts_with("-----BEGIN PUBLIC KEY-----"));
}
