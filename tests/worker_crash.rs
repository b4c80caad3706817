//! A worker that dies takes its own connections with it and nothing else.

use crate::harness::process::eventually_gone;
use crate::harness::{Backend, Command, Gate, Metrics, Script, Token, eventually};
use std::time::Duration;

const ROW: &str = "/api/v1/tickets";

#[test]
fn a_killed_worker_is_replaced_and_the_edge_serves_on() {
    let backend = Backend::start();
    let edge = Command::run(&backend).workers(2).start();
    let gone = edge.kill_worker(0);
    let pids = edge.workers_are_replaced(2, gone);
    assert!(!pids.contains(&gone));
    let token = Token::valid().build();
    for _ in 0..20 {
        edge.fetch_as(&token, ROW).expect_status(200);
    }
    edge.metrics_say("the restart is counted and both are up", |metrics| {
        metrics.count("gateway_worker_restarts_total", &[]) == 1
            && metrics.count("gateway_worker_up", &[]) == 2
    });
}

#[test]
fn the_only_worker_may_die_without_a_connection_being_refused() {
    let backend = Backend::start();
    let edge = Command::run(&backend).start();
    let token = Token::valid().build();
    for _ in 0..3 {
        let gone = edge.kill_worker(0);
        // What its ring had accepted dies with it; what comes later must not.
        eventually_gone(gone);
        // The accept queue stands while there is no worker: the request waits for the successor.
        edge.fetch_as(&token, ROW).expect_status(200);
        edge.workers_are_replaced(1, gone);
    }
}

#[test]
fn counters_survive_and_gauges_do_not_leak() {
    let gate = Gate::new();
    let backend = Backend::start().on("/api/v1/tickets/held", Script::gated(&gate));
    let edge = Command::run(&backend).start();
    let token = Token::valid().build();
    for _ in 0..7 {
        edge.fetch_as(&token, ROW).expect_status(200);
    }
    let mut held = edge.client();
    held.request("GET", "/api/v1/tickets/held").bearer(&token).send_only();
    eventually("the request is at the service", || (backend.hits() == 8).then_some(()));
    edge.metrics_say("it is in flight", |metrics| in_flight(metrics) == 1);
    let requests = |metrics: &Metrics| metrics.count("gateway_http_requests_total", &[("status", "200")]);
    let before = requests(&edge.metrics());
    assert_eq!(before, 7);
    let gone = edge.kill_worker(0);
    edge.workers_are_replaced(1, gone);
    assert!(held.try_response_to("GET").is_err(), "the connection of the dead worker breaks");
    let after = edge.metrics_say("the dead worker's gauges are zero", |metrics| {
        in_flight(metrics) == 0 && metrics.count("gateway_active_connections", &[]) == 0
    });
    assert_eq!(requests(&after), before, "counters never go back");
    gate.open();
    edge.fetch_as(&token, ROW).expect_status(200);
    edge.counts("gateway_http_requests_total", &[("status", "200")], before + 1);
}

#[test]
fn other_workers_connections_do_not_notice() {
    let backend = Backend::start();
    let edge = Command::run(&backend).workers(2).start();
    let token = Token::valid().build();
    let mut clients: Vec<_> = (0..32).map(|_| edge.client()).collect();
    for client in &mut clients {
        client.fetch_as(&token, ROW).expect_status(200);
    }
    let gone = edge.kill_worker(1);
    eventually_gone(gone);
    let mut survived = 0;
    for client in &mut clients {
        client.set_timeout(Duration::from_secs(10));
        if client.request("GET", ROW).bearer(&token).try_send().is_ok_and(|answer| answer.status == 200) {
            survived += 1;
        }
    }
    assert!(survived > 0 && survived < 32, "{survived} of 32 connections were at the other worker");
    edge.workers_are_replaced(2, gone);
}

#[test]
fn a_crash_between_two_requests_leaves_verified_tokens_usable() {
    let backend = Backend::start();
    let edge = Command::run(&backend).start();
    let token = Token::valid().build();
    edge.fetch_as(&token, ROW).expect_status(200);
    let gone = edge.kill_worker(0);
    edge.workers_are_replaced(1, gone);
    edge.fetch_as(&token, ROW).expect_status(200);
    assert_eq!(backend.last().header("x-user-id"), Some(crate::harness::token::USER));
}

fn in_flight(metrics: &Metrics) -> u64 {
    metrics.count("gateway_http_requests_in_flight", &[])
}
