//! What revocations count, until the mirror and the outbox are full.

use super::*;
use crate::cluster::outbox::WAITING_MAX_COUNT;
use crate::cluster::publisher::Published;
use crate::cluster::stream;
use edge_worker::telemetry::metrics::Metric;
use shm::revocations::{Completeness, TOKENS_MAX};

fn security() -> (&'static SupervisorRegion, SecurityLog) {
    let region: &'static SupervisorRegion =
        Box::leak(Box::new(SupervisorRegion::create().expect("a memfd can be made")));
    (region, SecurityLog::new(region.shared()))
}

fn token(number: usize) -> Event {
    Event::Token { token: TokenName::Jti(format!("token-{number}")), exp: clock::wall_seconds() + 900 }
}

fn raised(security: &SecurityLog, event: SecurityEvent) -> u64 {
    security.figures().counted(Metric::SecurityEvents, event as u16, event.severity() as u16)
}

#[test]
fn a_revocation_counts_once_under_its_kind_and_source() {
    let (region, security) = security();
    let mirror = Mirror::new(region, &[7; 32], 30, security.clone());
    let user = Event::User { tenant: "t".into(), sub: "u".into(), epoch: 5, except: None };
    let tenant = Event::Tenant { tenant: "t".into(), epoch: 5 };
    for event in [token(1), token(1), user.clone(), user, tenant] {
        let _ = mirror.apply(&event, RevocationSource::Stream);
    }
    let _ = mirror.apply(&token(1), RevocationSource::Node);
    let counted = |kind: &str, source| {
        let number = REVOCATION_KINDS.iter().position(|word| *word == kind).expect("a kind") as u16;
        security.figures().counted(Metric::Revocations, number, source as u16)
    };
    let kinds = ["jti", "sha256", "user", "tenant"].map(|kind| counted(kind, RevocationSource::Stream));
    assert_eq!(kinds, [1, 0, 1, 1]);
    assert_eq!(counted("jti", RevocationSource::Node), 0, "it was known already");
}

#[test]
fn every_revocation_that_finds_no_place_is_counted_and_a_critical_event() {
    let (region, security) = security();
    let mirror = Mirror::new(region, &[7; 32], 30, security.clone());
    let apply =
        |number: &usize| mirror.apply(&token(*number), RevocationSource::Stream) == Some(Recorded::Full);
    let full = (0..TOKENS_MAX).filter(apply).take(5).count();
    assert_eq!(full, 5, "a table with as many places as entries has some without");
    assert_eq!(security.figures().counted(Metric::RevocationsLost, 0, 0), 5);
    assert_eq!(raised(&security, SecurityEvent::RevocationTableFull), 5);
    assert!(region.authority().revocations.taken().tokens > TOKENS_MAX * 4 / 5);
}

#[test]
fn a_revocation_that_no_other_node_will_hear_of_is_a_critical_event() {
    let (_, security) = security();
    let publisher = Publisher::new("here".to_owned(), 30, security.clone());
    for number in 0..WAITING_MAX_COUNT {
        assert_eq!(publisher.publish(token(number), "test", |_| ()), Published::Waiting);
    }
    assert_eq!(raised(&security, SecurityEvent::RevocationOutboxFull), 0);
    assert_eq!(publisher.publish(token(WAITING_MAX_COUNT), "test", |_| ()), Published::Refused);
    assert_eq!(raised(&security, SecurityEvent::RevocationOutboxFull), 1);
}

#[test]
fn what_found_no_room_stays_in_doubt_until_the_store_was_read_whole() {
    let (region, security) = security();
    let publisher = Publisher::new("here".to_owned(), 30, security.clone());
    let mirror = Mirror::new(region, &[7; 32], 30, security);
    let live = || Update::Sync(SyncState::Live { position: stream::StreamId::default() });
    for update in [Update::Gap(Gap::FirstStart), Update::Whole, live()] {
        mirror.update(update, &publisher);
    }
    let revocations = &region.authority().revocations;
    assert_eq!(revocations.completeness(), Completeness::Complete);
    let is_full =
        |number: &usize| mirror.apply(&token(*number), RevocationSource::Stream) == Some(Recorded::Full);
    assert!((0..TOKENS_MAX).any(|number| is_full(&number)));
    for update in [Update::Sync(SyncState::Stale), live()] {
        mirror.update(update, &publisher);
        assert_eq!((revocations.completeness(), revocations.lost()), (Completeness::Overflowing, 1));
    }
    for update in [Update::Gap(Gap::NoRoom), Update::Whole, live()] {
        mirror.update(update, &publisher);
    }
    assert_eq!((revocations.completeness(), revocations.lost()), (Completeness::Complete, 0));
}

#[test]
fn what_redis_does_not_have_is_not_read_again() {
    let (region, security) = security();
    let publisher = Publisher::new("here".to_owned(), 30, security.clone());
    let mirror = Mirror::new(region, &[7; 32], 30, security);
    for update in [Update::Gap(Gap::FirstStart), Update::Whole] {
        mirror.update(update, &publisher);
    }
    let withdrawals = Withdrawals::new(mirror.clone(), Some(publisher.clone()));
    let is_full = |number: &usize| {
        let withdrawn = withdrawals.mirror.apply(&token(*number), RevocationSource::Stream);
        withdrawn == Some(Recorded::Full)
    };
    let number =
        (0..TOKENS_MAX).find(is_full).expect("a table with as many places as entries has some without");
    assert_eq!(withdrawals.carry_out(token(number), "test").recorded, Some(Recorded::Full));
    for update in [Update::Gap(Gap::NoRoom), Update::Whole] {
        mirror.update(update, &publisher);
    }
    let completeness = region.authority().revocations.completeness();
    assert_eq!(completeness, Completeness::Overflowing, "the letter waits for Redis, and has no other place");
}
