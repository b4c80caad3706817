//! What TLS to a service costs the edge: requests on pooled connections, and connections that are made for one request
//! each, with and without a session to resume. Beside the same without TLS.

use super::contestants::{Contestant, Field};
use super::generator::{self, Load, Pace};
use super::harness::Authority;
use super::report::{Cell, Report};
use super::simulated_service::Handshakes;
use super::{Options, SMALL, WARM_UP, measure};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use std::sync::Arc;

const POOLED: &str = "tls-pooled";
const CONNECTING: &str = "tls-handshakes";
const CONNECTIONS: usize = 64;
const ROUNDS: usize = 9;
/// Health probes of both nodes in a window; they have connections of their own.
const PROBES_MAX: u64 = 80;

/// For `--only`.
pub fn names() -> impl Iterator<Item = &'static str> {
    [POOLED, CONNECTING].into_iter()
}

/// Measures both scenarios where they are wanted, everybody in turns.
pub fn run(field: &Field, options: &Options, report: &mut Report) {
    if !names().any(|name| options.wants(name)) {
        return;
    }
    let authority = Authority::new();
    let before = |name, tickets| {
        let port = field.service.listen(Some(Arc::new(config(&authority, tickets))));
        field.floodgate_before(name, &format!("https://localhost:{port}"), authority.pem())
    };
    let (resuming, starting_over) = (before("floodgate-tls", 2), before("floodgate-tls-full", 0));
    let pooled = [("plain", field.plain()), ("tls", &resuming)];
    if options.wants(POOLED) {
        report.scenario(POOLED, "64 keep-alive connections, and as many to a service over TLS or without");
        in_turns(field, options, &pooled, |name, cell, handshakes| {
            let new = handshakes.full + handshakes.resumed;
            assert!(new <= PROBES_MAX, "{new} handshakes, but connections are pooled");
            report.add(POOLED, name, cell);
        });
    }
    if options.wants(CONNECTING) {
        report.scenario(CONNECTING, "64 keep-alive connections, and one to the service for each request");
        field.service.be_hasty(true);
        let connecting =
            [("plain-connect", field.plain()), ("tls-resumed", &resuming), ("tls-full", &starting_over)];
        in_turns(field, options, &connecting, |name, cell, handshakes| {
            let Handshakes { full, resumed } = handshakes;
            match name {
                "tls-full" => assert!(resumed <= PROBES_MAX && full > PROBES_MAX, "{handshakes:?}"),
                // The first connections of a window may find fewer tickets than there are of them.
                "tls-resumed" => assert!(resumed > 4 * full, "{handshakes:?}"),
                _ => assert!(full + resumed <= PROBES_MAX, "{handshakes:?}"),
            }
            report.add(CONNECTING, name, cell);
        });
        field.service.be_hasty(false);
    }
}

fn in_turns(
    field: &Field,
    options: &Options,
    contestants: &[(&'static str, &Contestant)],
    mut note: impl FnMut(&'static str, Cell, Handshakes),
) {
    for round in 0..options.rounds(ROUNDS) {
        for turn in 0..contestants.len() {
            let (name, contestant) = contestants[(round + turn) % contestants.len()];
            let requests = [contestant.request(&field.token)];
            let load = Load {
                service: &field.service,
                target: contestant.address,
                requests: &requests,
                shape: SMALL,
                connections: CONNECTIONS,
                pace: Pace::Closed,
            };
            generator::run(&load, WARM_UP, || {});
            field.service.handshakes();
            let cell = measure::cell(contestant, &load, options.window());
            assert_eq!(cell.failures, 0, "{name}: every request is answered");
            note(name, cell, field.service.handshakes());
        }
    }
}

/// TLS 1.3 and 1.2 with a P-256 certificate, as rustls does it by default.
fn config(authority: &Authority, tickets: usize) -> ServerConfig {
    let credentials = authority.vouch(&["localhost"]);
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_no_client_auth()
        .with_single_cert(vec![credentials.certificate], credentials.key)
        .expect("they fit");
    config.send_tls13_tickets = tickets;
    config.ticketer = aws_lc_rs::Ticketer::new().expect("tickets can be made");
    config
}
