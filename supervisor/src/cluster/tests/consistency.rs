//! A revocation made at one node is known at the other, whatever happens to Redis and to the link between.

use super::servers::{Cable, Node, PATIENCE, Server, eventually, revocation, settings};
use crate::cluster::connection::LinkState;
use crate::cluster::event::{Event, TokenName};
use crate::cluster::operation::{Operation, OperationEnd};
use crate::cluster::publisher::Published;
use crate::cluster::stream::{Gap, STREAM};
use edge_worker::clock;
use edge_worker::config::redis::Topology;
use edge_worker::telemetry::metrics::Metric;
use edge_worker::telemetry::security_events::SecurityEvent;

#[tokio::test]
async fn what_one_node_revokes_the_other_knows() {
    let server = Server::start().await;
    let a = Node::live("a", &server.settings()).await;
    let b = Node::live("b", &server.settings()).await;
    let mut taken = Vec::new();
    for number in 0..100 {
        let jti = format!("token-{number}");
        let started = clock::now();
        assert_eq!(a.revoke(&jti), Published::Waiting);
        assert!(a.knows(&jti), "at once where it was made");
        eventually("the other node knows it", || b.knows(&jti)).await;
        taken.push(clock::now().since(started));
    }
    taken.sort();
    eprintln!("revocation at A known at B: median {:?}, worst {:?} of 100", taken[50], taken[99]);
    assert_eq!(server.command(&["GET", "session:blacklist:jti:token-7"]), "$1\r\n1\r\n");
    let ttl: i64 =
        server.command(&["TTL", "session:blacklist:jti:token-7"])[1..].trim().parse().expect("a number");
    assert!((900..=931).contains(&ttl), "the remaining life and the skew, not {ttl}");
    assert_eq!(b.gaps(), [Gap::FirstStart]);
    let state = *b.state.borrow();
    assert_eq!((state.entries, state.malformed, state.faults), (100, 0, 0));
}

#[tokio::test]
async fn a_node_that_starts_later_reads_every_durable_key() {
    let server = Server::start().await;
    let a = Node::live("a", &server.settings()).await;
    let now = clock::wall_seconds();
    let events = [
        revocation("one"),
        Event::Token { token: TokenName::Sha256("ab".repeat(32)), exp: now + 900 },
        Event::User { tenant: "t".into(), sub: "auth0:u".into(), epoch: now - 9, except: Some("j".into()) },
        Event::Tenant { tenant: "t".into(), epoch: now - 8 },
    ];
    for event in &events {
        assert_eq!(a.publisher.publish(event.clone(), "test", |_| ()), Published::Waiting);
    }
    for number in 0..2_000 {
        assert_eq!(a.revoke(&format!("many-{number}")), Published::Waiting);
    }
    a.publisher.flushed().await;
    server.command(&["DEL", STREAM]);
    server.command(&["SET", "session:blacklist:eyJhbGciOi.raw.token", "1"]);
    server.command(&["SET", "session:nbf:user:t:broken", "no JSON"]);
    server.command(&["SADD", "session:nbf:tenant:broken", "no text"]);
    let b = Node::live("b", &server.settings()).await;
    for event in &events[2..] {
        assert!(b.has_seen(event), "{event:?}");
    }
    assert!(b.knows("one") && (0..2_000).all(|number| b.knows(&format!("many-{number}"))));
    assert_eq!(b.state.borrow().malformed, 2, "passed over, and nothing else lost");
    let counted = |metric| b.connection.figures().counted(metric, 0, 0);
    assert_eq!(counted(Metric::RevocationEntriesMalformed), 2);
    assert_eq!(counted(Metric::RevocationSnapshots), 1);
}

#[tokio::test]
async fn a_node_that_may_not_read_a_durable_key_does_not_take_the_store_for_read() {
    let server = Server::start().await;
    let a = Node::live("a", &server.settings()).await;
    assert_eq!(a.revoke("one"), Published::Waiting);
    a.publisher.flushed().await;
    server.command(&["ACL", "SETUSER", "default", "-get"]);
    let b = Node::start("b", &server.settings());
    eventually("it was tried", || b.state.borrow().faults > 1).await;
    assert!(!b.is_live() && b.state.borrow().malformed == 0);
    server.command(&["ACL", "SETUSER", "default", "+get"]);
    eventually("read whole", || b.is_live()).await;
    assert!(b.knows("one"));
}

#[tokio::test]
async fn a_later_epoch_is_not_taken_back_by_an_older_write() {
    let server = Server::start().await;
    let a = Node::live("a", &server.settings()).await;
    let epoch = clock::wall_seconds() - 100;
    let user = |epoch, except: Option<&str>| Event::User {
        tenant: "t".into(),
        sub: "u".into(),
        epoch,
        except: except.map(Into::into),
    };
    let stored = async |event| {
        assert_eq!(a.publisher.publish(event, "test", |_| ()), Published::Waiting);
        a.publisher.flushed().await;
        server.command(&["GET", "session:nbf:user:t:u"])
    };
    assert!(stored(user(epoch, Some("j"))).await.contains(r#""except":"j""#));
    assert!(stored(user(epoch - 50, None)).await.contains(&epoch.to_string()), "the later one stays");
    let both = stored(user(epoch, Some("k"))).await;
    assert!(both.contains(r#""except":null"#), "two exceptions of one second except nobody: {both}");
    assert!(stored(user(epoch + 1, Some("k"))).await.contains(r#""except":"k""#));
    for strange in [&["SET", "session:nbf:user:t:u", "no JSON"][..], &["SADD", "session:nbf:user:t:u", "x"]] {
        server.command(&["DEL", "session:nbf:user:t:u"]);
        server.command(strange);
        assert!(stored(user(epoch, None)).await.contains(&epoch.to_string()), "{strange:?} is overwritten");
    }
}

#[tokio::test]
async fn writes_wait_for_redis_and_survive_its_restart() {
    let mut server = Server::start().await;
    let a = Node::live("a", &server.settings()).await;
    let b = Node::live("b", &server.settings()).await;
    assert_eq!(a.revoke("before"), Published::Waiting);
    eventually("seen", || b.knows("before")).await;
    server.kill();
    eventually("both notice", || !a.is_live() && !b.is_live()).await;
    let down = || matches!(*a.connection.state().borrow(), LinkState::Down { .. });
    eventually("the link is known to be down", down).await;
    assert_eq!(a.revoke("meanwhile"), Published::Waiting);
    assert!(a.knows("meanwhile") && !b.knows("meanwhile"));
    assert_eq!(a.publisher.waiting(), 1);
    let healed = clock::now();
    server.restart().await;
    eventually("the other node catches up", || b.knows("meanwhile")).await;
    eprintln!("caught up {:?} after the restart of Redis", clock::now().since(healed));
    eventually("both live", || a.is_live() && b.is_live()).await;
    assert!(b.gaps().contains(&Gap::Lost));
    // What was there before is written again by its maker: a third node finds it.
    a.publisher.flushed().await;
    let c = Node::live("c", &server.settings()).await;
    eventually("written again", || c.knows("before") && c.knows("meanwhile")).await;
}

#[tokio::test]
async fn a_trimmed_stream_is_made_up_for_by_a_scan() {
    let server = Server::start().await;
    let cable = Cable::to(server.port).await;
    let a = Node::live("a", &server.settings()).await;
    let b = Node::live("b", &settings(Topology::Single, &[cable.port])).await;
    cable.cut();
    eventually("the cut is noticed", || !b.is_live()).await;
    for number in 0..500 {
        assert_eq!(a.revoke(&format!("token-{number}")), Published::Waiting);
    }
    a.publisher.flushed().await;
    server.command(&["XTRIM", STREAM, "MAXLEN", "3"]);
    assert!(!b.knows("token-0"));
    cable.heal();
    eventually("live again", || b.is_live()).await;
    eventually("all there", || (0..500).all(|number| b.knows(&format!("token-{number}")))).await;
    assert_eq!(b.gaps(), [Gap::FirstStart, Gap::Trimmed]);
}

#[tokio::test]
async fn a_link_that_was_cut_catches_up_by_id() {
    let server = Server::start().await;
    let cable = Cable::to(server.port).await;
    let a = Node::live("a", &server.settings()).await;
    let b = Node::live("b", &settings(Topology::Single, &[cable.port])).await;
    cable.cut();
    eventually("the cut is noticed", || !b.is_live()).await;
    assert!(b.state.borrow().staleness(clock::now()) > std::time::Duration::ZERO);
    for number in 0..50 {
        assert_eq!(a.revoke(&format!("token-{number}")), Published::Waiting);
        assert_eq!(b.revoke(&format!("other-{number}")), Published::Waiting);
    }
    let healed = clock::now();
    cable.heal();
    eventually("B has A's", || (0..50).all(|number| b.knows(&format!("token-{number}")))).await;
    eventually("A has B's", || (0..50).all(|number| a.knows(&format!("other-{number}")))).await;
    eprintln!("caught up {:?} after the link healed", clock::now().since(healed));
    assert_eq!(b.gaps(), [Gap::FirstStart], "nothing was missing, so nothing was scanned");
}

#[tokio::test]
async fn many_entries_at_once_leave_others_their_turn() {
    let server = Server::start().await;
    let cable = Cable::to(server.port).await;
    let a = Node::live("a", &server.settings()).await;
    let b = Node::live("b", &settings(Topology::Single, &[cable.port])).await;
    cable.cut();
    eventually("the cut is noticed", || !b.is_live()).await;
    for number in 0..1_000 {
        assert_eq!(a.revoke(&format!("token-{number}")), Published::Waiting);
    }
    a.publisher.flushed().await;
    cable.heal();
    let (mut known, mut most) = (0, 0);
    let all = async {
        while known < 1_000 {
            tokio::task::yield_now().await;
            let now = b.known();
            (known, most) = (now, most.max(now - known));
        }
    };
    tokio::time::timeout(PATIENCE, all).await.expect("all arrive");
    assert!(most <= 100, "{most} at once");
}

#[tokio::test]
async fn a_flushed_redis_gets_the_revocations_again() {
    let server = Server::start().await;
    let cable = Cable::to(server.port).await;
    let a = Node::live("a", &server.settings()).await;
    let b = Node::live("b", &settings(Topology::Single, &[cable.port])).await;
    assert_eq!(a.revoke("before"), Published::Waiting);
    eventually("seen", || b.knows("before")).await;
    cable.cut();
    eventually("the cut is noticed", || !b.is_live()).await;
    assert_eq!(a.revoke("unseen"), Published::Waiting);
    a.publisher.flushed().await;
    server.command(&["FLUSHALL"]);
    assert_eq!(a.revoke("after"), Published::Waiting);
    cable.heal();
    for jti in ["unseen", "after"] {
        eventually("nothing is lost", || b.knows(jti)).await;
    }
    let c = Node::live("c", &server.settings()).await;
    for jti in ["before", "unseen", "after"] {
        eventually("durable again", || c.knows(jti)).await;
    }
}

#[tokio::test]
async fn an_entry_that_means_nothing_is_passed_over() {
    let server = Server::start().await;
    let b = Node::live("b", &server.settings()).await;
    let add = |words: &[&str]| server.command(&[&["XADD", STREAM, "*"], words].concat());
    add(&["v", "2", "kind", "jti", "id", "x", "exp", "9999999999"]);
    add(&["v", "1", "kind", "moon", "id", "x"]);
    add(&["v", "1", "kind", "user", "id", "u", "tenant", "t", "epoch", "soon"]);
    add(&[
        "v",
        "1",
        "kind",
        "jti",
        "id",
        "by-a-service",
        "exp",
        "9999999999",
        "src",
        "auth",
        "colour",
        "red",
    ]);
    eventually("the good one arrives", || b.knows("by-a-service")).await;
    eventually("all counted", || b.state.borrow().entries == 4).await;
    assert_eq!(b.state.borrow().malformed, 3);
    assert_eq!(b.connection.figures().counted(Metric::RevocationEntriesMalformed, 0, 0), 3);
    assert!(b.is_live());
}

#[tokio::test]
async fn a_revocation_of_an_expired_token_is_not_written() {
    let server = Server::start().await;
    let a = Node::live("a", &server.settings()).await;
    let old = Event::Token { token: TokenName::Jti("old".into()), exp: clock::wall_seconds() - 31 };
    assert_eq!(a.publisher.publish(old, "test", |_| ()), Published::Over);
    assert_eq!(a.publisher.waiting(), 0);
    assert_eq!(server.command(&["DBSIZE"]), ":0\r\n");
}

#[tokio::test]
async fn a_redis_that_refuses_writes_gets_them_later() {
    let server = Server::start().await;
    let a = Node::live("a", &server.settings()).await;
    let b = Node::live("b", &server.settings()).await;
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    for number in 0..3 {
        assert_eq!(a.revoke(&format!("token-{number}")), Published::Waiting);
    }
    let failed = OperationEnd::Failed as u16;
    let refused =
        || a.connection.figures().counted(Metric::RedisOperations, Operation::Publish as u16, failed) > 12;
    eventually("it was tried again and again", refused).await;
    assert!(a.is_live(), "Redis is up all the same");
    assert_eq!((a.publisher.waiting(), a.publisher.unpublished()), (3, 3), "none is given up");
    assert_eq!(a.security.figures().gauged(Metric::RevocationsUnpublished, 0), 3);
    server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    eventually("all arrive", || (0..3).all(|number| b.knows(&format!("token-{number}")))).await;
    a.publisher.flushed().await;
}

#[tokio::test]
async fn one_write_that_redis_always_refuses_holds_up_no_other_and_is_a_critical_event() {
    let server = Server::start().await;
    let a = Node::live("a", &server.settings()).await;
    let b = Node::live("b", &server.settings()).await;
    server.command(&["SET", "cache:venue:gen:v", "no number"]);
    let refused = Event::Venue { id: "v".into(), generation: None };
    assert_eq!(a.publisher.publish(refused.clone(), "test", |_| ()), Published::Waiting);
    for number in 0..3 {
        assert_eq!(a.revoke(&format!("token-{number}")), Published::Waiting);
    }
    let flushed = tokio::time::timeout(PATIENCE, a.publisher.flushed()).await;
    flushed.expect("nobody waits for what is refused");
    assert!(a.publisher.is_refused(&refused));
    eventually("the others arrived", || (0..3).all(|number| b.knows(&format!("token-{number}")))).await;
    let figures = a.security.figures();
    let event = SecurityEvent::RevocationRefused;
    let raised = || figures.counted(Metric::SecurityEvents, event as u16, event.severity() as u16);
    let unpublished = || [0, 1].map(|state| figures.gauged(Metric::RevocationsUnpublished, state));
    assert_eq!((raised(), unpublished(), a.publisher.unpublished()), (1, [0, 1], 1));
    a.publisher.retry_refused();
    let tried = tokio::time::timeout(PATIENCE, a.publisher.flushed()).await;
    tried.expect("it is refused again");
    assert_eq!((raised(), unpublished()), (1, [0, 1]), "it was told once");
    server.command(&["SET", "cache:venue:gen:v", "4"]);
    a.publisher.retry_refused();
    a.publisher.flushed().await;
    assert_eq!((unpublished(), a.publisher.unpublished()), ([0, 0], 0));
    assert_eq!(server.command(&["GET", "cache:venue:gen:v"]), "$1\r\n5\r\n");
    eventually("the other node hears of it", || b.has_seen(&refused)).await;
}

#[tokio::test]
async fn a_change_at_a_venue_is_counted_and_told() {
    let server = Server::start().await;
    let a = Node::live("a", &server.settings()).await;
    let b = Node::live("b", &server.settings()).await;
    let event = Event::Venue { id: "v".into(), generation: None };
    for count in ["1", "2"] {
        assert_eq!(a.publisher.publish(event.clone(), "test", |_| ()), Published::Waiting);
        a.publisher.flushed().await;
        assert_eq!(server.command(&["GET", "cache:venue:gen:v"]), format!("$1\r\n{count}\r\n"));
    }
    eventually("the other node hears of it", || b.has_seen(&event)).await;
}
