//! Revoked at A, refused at B: how soon, and that nothing is lost while Redis, the stream or the link is.

use super::{Figures, Size, tell};
use crate::harness::{Backend, Cable, Client, Command, Edge, RedisServer, Script, Token};
use crate::harness::{eventually, polling};
use std::time::{Duration, Instant};

const ROW: &str = "/api/v1/tickets";
/// However slow the machine, nothing takes longer than this.
const SMALL_WORST: Duration = Duration::from_secs(10);

fn backend() -> Backend {
    Backend::start().on("/auth/logout", Script::answer(204, &[], ""))
}

fn node(backend: &Backend, redis_url: &str) -> Edge {
    let edge =
        Command::run(backend).set("REDIS_URL", redis_url).set("REVOCATION_COLD_POLICY", "deny").start();
    let token = numbered(999_999);
    eventually("the node has read the store", || (edge.fetch_as(&token, ROW).status == 200).then_some(()));
    edge
}

fn numbered(number: usize) -> String {
    Token::valid().claim("jti", format!("00000000-0000-4000-8000-{number:012}")).build()
}

fn tokens(count: usize, from: usize) -> Vec<String> {
    (from..from + count).map(numbered).collect()
}

fn log_out(client: &mut Client, token: &str) {
    client.request("POST", "/api/v1/auth/logout").bearer(token).send().expect_status(204);
}

fn status(client: &mut Client, token: &str) -> u16 {
    client.fetch_as(token, ROW).status
}

/// Asks until the answer is 401, as fast as it comes.
fn refused_after(client: &mut Client, token: &str, since: Instant) -> Duration {
    loop {
        let seen = status(client, token);
        let elapsed = since.elapsed();
        if seen == 401 {
            return elapsed;
        }
        assert_eq!(seen, 200, "a token is good or it is not");
        assert!(elapsed < 3 * SMALL_WORST, "never refused");
    }
}

/// How long it took until none of them was accepted any more; then none is, ever again.
fn caught_up(edge: &Edge, revoked: &[String], since: Instant) -> Duration {
    let mut client = edge.client();
    let last = revoked.iter().map(|token| refused_after(&mut client, token, since)).max();
    for _ in 0..3 {
        let accepted = revoked.iter().filter(|token| status(&mut client, token) != 401).count();
        assert_eq!(accepted, 0, "accepted after the catch-up");
    }
    last.expect("there are tokens")
}

#[test]
fn what_a_revokes_b_refuses_within_milliseconds() {
    let size = Size::of_run();
    let (backend, redis) = (backend(), RedisServer::start());
    let nodes = [node(&backend, &redis.url()), node(&backend, &redis.url())];
    let (mut at_a, mut at_b) = (nodes[0].client(), nodes[1].client());
    let mut times = Vec::new();
    for token in tokens(size.pick(40, 1_000), 0) {
        assert_eq!(status(&mut at_b, &token), 200);
        let began = Instant::now();
        log_out(&mut at_a, &token);
        times.push(refused_after(&mut at_b, &token, began));
    }
    let figures = Figures::of(times);
    tell("from the logout's first byte at A to the first refusal at B", &figures.text());
    assert!(figures.worst() <= size.pick(SMALL_WORST, Duration::from_secs(1)), "{}", figures.text());
    if size == Size::Full {
        assert!(figures.at(50) <= Duration::from_millis(20), "{}", figures.text());
        assert!(figures.at(99) <= Duration::from_millis(100), "{}", figures.text());
    }
}

#[test]
fn a_redis_that_dies_and_forgets_takes_no_revocation_along() {
    let size = Size::of_run();
    let count = size.pick(10, 200);
    let (backend, mut redis) = (backend(), RedisServer::start());
    let nodes = [node(&backend, &redis.url()), node(&backend, &redis.url())];
    let mut at_a = nodes[0].client();
    let (before, meanwhile) = (tokens(count, 0), tokens(count, count));
    before.iter().for_each(|token| log_out(&mut at_a, token));
    caught_up(&nodes[1], &before, Instant::now());
    redis.kill();
    meanwhile.iter().for_each(|token| log_out(&mut at_a, token));
    let (mut now_at_a, mut now_at_b) = (nodes[0].client(), nodes[1].client());
    for token in before.iter().chain(&meanwhile) {
        assert_eq!(status(&mut now_at_a, token), 401, "what A withdraws holds at A at once");
    }
    assert!(before.iter().all(|token| status(&mut now_at_b, token) == 401), "what B knew it knows");
    assert!(meanwhile.iter().all(|token| status(&mut now_at_b, token) == 200), "an outage is no revocation");
    let returned = Instant::now();
    redis.restart();
    let all = [before, meanwhile].concat();
    let took = caught_up(&nodes[1], &all, returned);
    tell("B has caught up after a Redis that lost everything was started again", &format!("{took:.1?}"));
    // A node that comes now finds in Redis what was written before it was empty.
    caught_up(&node(&backend, &redis.url()), &all, Instant::now());
    assert!(took < size.pick(SMALL_WORST, Duration::from_secs(5)), "{took:?}");
}

/// Cuts the link of B for a time in which A revokes, and says how long the catch-up took.
fn across_a_cut(size: Size, away: Duration, meanwhile: impl FnOnce(&RedisServer)) -> Duration {
    let (backend, redis) = (backend(), RedisServer::start());
    let cable = Cable::to(redis.address());
    let far = format!("redis://{}/0", cable.address());
    let nodes = [node(&backend, &redis.url()), node(&backend, &far)];
    let mut at_a = nodes[0].client();
    let began = Instant::now();
    cable.cut();
    let revoked = tokens(size.pick(10, 200), 0);
    revoked.iter().for_each(|token| log_out(&mut at_a, token));
    caught_up(&nodes[0], &revoked, Instant::now());
    let known =
        |redis: &RedisServer| redis.command(&["DBSIZE"]).trim_start_matches(':').trim().parse::<usize>();
    eventually("Redis has all of them", || {
        known(&redis).is_ok_and(|keys| keys > revoked.len()).then_some(())
    });
    meanwhile(&redis);
    polling::pause(away.saturating_sub(began.elapsed()));
    let mut at_b = nodes[1].client();
    assert!(revoked.iter().all(|token| status(&mut at_b, token) == 200), "nothing reached B");
    let healed = Instant::now();
    cable.heal();
    caught_up(&nodes[1], &revoked, healed)
}

#[test]
fn a_link_that_was_cut_is_caught_up_with() {
    let size = Size::of_run();
    let away = size.pick(Duration::from_millis(1_500), Duration::from_secs(10));
    let took = across_a_cut(size, away, |_| {});
    tell(&format!("B has caught up after its link was cut for {away:?}"), &format!("{took:.1?}"));
    assert!(took < size.pick(SMALL_WORST, Duration::from_secs(5)), "{took:?}");
}

#[test]
fn a_stream_that_was_trimmed_in_between_is_made_up_for_by_the_keys() {
    let size = Size::of_run();
    let away = size.pick(Duration::from_millis(200), Duration::from_secs(2));
    let took = across_a_cut(size, away, |redis| {
        redis.command(&["XTRIM", "gateway:revocations", "MAXLEN", "0"]);
    });
    tell("B has caught up although the stream was trimmed meanwhile", &format!("{took:.1?}"));
    assert!(took < size.pick(SMALL_WORST, Duration::from_secs(5)), "{took:?}");
}
