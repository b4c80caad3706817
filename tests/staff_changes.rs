//! Whoever is no longer staff is refused with the next request: at once here, within a second on other nodes.

use crate::harness::script::answer_bytes;
use crate::harness::token::OTHER_USER;
use crate::harness::{Backend, Command, Edge, Gate, RedisServer, Script, Step, Token, eventually};
use crate::venues::{
    CLUB, HALL, asked, check_of, fan, listed, manager, nobody, platform, send, settings_of, status,
};
use std::time::{Duration, Instant};

const MAC_KEY: &str = "one-key-for-all-nodes-of-this-test";

/// Somebody who runs the platform, and whom nobody is asked about.
fn admin() -> String {
    Token::of_role("admin").user(OTHER_USER).build()
}

fn change(edge: &Edge, method: &str, path: &str) -> u16 {
    send(&mut edge.client(), method, path, &admin())
}

fn staff_of(venue: &str) -> String {
    format!("/api/v1/venues/{venue}/staff")
}

#[test]
fn every_change_of_staff_voids_what_was_decided_about_the_venue_at_once() {
    let (venue, _services, edge) = platform([(check_of(CLUB), manager())]);
    let one = format!("/api/v1/venues/{HALL}");
    let encoded = staff_of(&HALL.replace('0', "%30"));
    let changes = [
        ("POST", staff_of(HALL)),
        ("DELETE", format!("{}/{OTHER_USER}", staff_of(HALL))),
        ("PATCH", format!("{}/{OTHER_USER}/role", staff_of(&HALL.to_uppercase()))),
        ("PUT", encoded),
        ("PUT", one.clone()),
        ("PATCH", one.clone()),
        ("POST", format!("/api/v1/auth/venues/{HALL}/roles")),
        ("DELETE", format!("/api/v1/venue/{HALL}")),
    ];
    for (method, path) in changes {
        venue.script(&check_of(HALL), manager());
        // The denial of the round before has its own life; another user's decision takes its place here.
        let token = Token::valid().user(&format!("user-of-{method}-{}", path.len())).build();
        let mut client = edge.client();
        assert_eq!(send(&mut client, "GET", &settings_of(HALL), &token), 200, "{method} {path}");
        venue.script(&check_of(HALL), nobody());
        assert_eq!(send(&mut client, "GET", &settings_of(HALL), &token), 200, "it is believed for a while");
        assert_eq!(change(&edge, method, &path), 200);
        assert_eq!(send(&mut client, "GET", &settings_of(HALL), &token), 404, "{method} {path}");
    }
    assert_eq!(status(&edge, "GET", &settings_of(CLUB)), 200);
    let before = asked(&venue);
    assert_eq!(change(&edge, "POST", &staff_of(HALL)), 200);
    assert_eq!(status(&edge, "GET", &settings_of(CLUB)), 200);
    assert_eq!(asked(&venue), before, "other venues are not asked about again");
}

#[test]
fn whoever_loses_the_venue_that_made_it_staff_is_asked_about_again() {
    let (venue, _services, edge) = platform([("/api/v1/venues/user".to_owned(), listed(&[HALL]))]);
    assert_eq!(status(&edge, "POST", "/api/v1/scan"), 200);
    venue.script("/api/v1/venues/user", listed(&[]));
    assert_eq!(status(&edge, "POST", "/api/v1/scan"), 200);
    assert_eq!(change(&edge, "DELETE", &staff_of(HALL)), 200);
    assert_eq!(status(&edge, "POST", "/api/v1/scan"), 403);
}

#[test]
fn a_change_that_failed_or_only_reads_voids_nothing() {
    let (venue, _services, edge) = platform([(check_of(HALL), manager())]);
    assert_eq!(status(&edge, "GET", &settings_of(HALL)), 200);
    venue.script(&staff_of(HALL), Script::answer(409, &[], "{}"));
    assert_eq!(change(&edge, "DELETE", &staff_of(HALL)), 409);
    venue.script(&staff_of(HALL), Script::answer(200, &[], "{}"));
    assert_eq!(change(&edge, "GET", &staff_of(HALL)), 200);
    assert_eq!(change(&edge, "PUT", &settings_of(HALL)), 200);
    assert_eq!(status(&edge, "GET", &settings_of(HALL)), 200);
    assert_eq!(asked(&venue), 1);
}

#[test]
fn a_question_that_was_asked_before_the_change_answers_nobody_who_asks_after_it() {
    let gate = Gate::new();
    let allowed = answer_bytes(200, &[], br#"{"hasAccess":true,"role":"manager","permissions":[]}"#);
    let slow = Script::of(vec![Step::Await(gate.clone()), Step::Send(allowed)]);
    let (venue, _services, edge) = platform([(check_of(HALL), slow)]);
    let mut early = edge.client();
    early.request("GET", &settings_of(HALL)).bearer(&fan()).send_only();
    eventually("the question is on its way", || (asked(&venue) == 1).then_some(()));
    venue.script(&check_of(HALL), nobody());
    assert_eq!(change(&edge, "DELETE", &staff_of(HALL)), 200);
    assert_eq!(status(&edge, "GET", &settings_of(HALL)), 404, "asked anew");
    gate.open();
    // It asked in time; what it was told is forgotten with it.
    early.response_to("GET").expect_status(200);
    assert_eq!(status(&edge, "GET", &settings_of(HALL)), 404);
    assert_eq!(asked(&venue), 2);
}

#[test]
fn on_other_nodes_a_removal_takes_less_than_a_second() {
    let redis = RedisServer::start();
    let venue = Backend::named("venue").on(&check_of(HALL), manager());
    let services = Backend::start();
    let node = || {
        let command = Command::run(&services).service("venue", &venue).set("CACHE_MAC_KEY", MAC_KEY);
        command.set("REDIS_URL", &redis.url()).start()
    };
    let [here, there] = [node(), node()];
    assert_eq!(status(&here, "GET", &settings_of(HALL)), 200);
    eventually("the decision is in Redis", || {
        let found = redis.command(&["KEYS", "cache:venue:access:*"]);
        found.contains(HALL).then_some(())
    });
    assert_eq!(status(&there, "GET", &settings_of(HALL)), 200);
    assert_eq!(asked(&venue), 1, "what one node was told, the other need not ask");
    venue.script(&check_of(HALL), nobody());
    assert_eq!(change(&here, "DELETE", &staff_of(HALL)), 200);
    let changed = Instant::now();
    assert_eq!(status(&here, "GET", &settings_of(HALL)), 404, "here at once");
    eventually("the other node refuses too", || {
        (status(&there, "GET", &settings_of(HALL)) == 404).then_some(())
    });
    let taken = changed.elapsed();
    assert!(taken < Duration::from_secs(1), "{taken:?} until the other node knew");
    assert_eq!(redis.command(&["GET", &format!("cache:venue:gen:{HALL}")]), "$1\r\n1\r\n");
}

#[test]
fn a_removal_while_redis_is_away_holds_here_and_reaches_the_others_when_it_returns() {
    let mut redis = RedisServer::start();
    let venue = Backend::named("venue").on(&check_of(HALL), manager());
    let services = Backend::start();
    let node = || Command::run(&services).service("venue", &venue).set("REDIS_URL", &redis.url()).start();
    let [here, there] = [node(), node()];
    for edge in [&here, &there] {
        assert_eq!(status(edge, "GET", &settings_of(HALL)), 200);
    }
    redis.kill();
    venue.script(&check_of(HALL), nobody());
    assert_eq!(change(&here, "DELETE", &staff_of(HALL)), 200);
    assert_eq!(status(&here, "GET", &settings_of(HALL)), 404);
    redis.restart();
    eventually("the other node catches up", || {
        (status(&there, "GET", &settings_of(HALL)) == 404).then_some(())
    });
}
