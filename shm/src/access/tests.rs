//! Hits, misses, and what is forgotten.

use super::*;
use crate::atomics::Zeroed;
use crate::token_cache::PermissionIds;

type Small = Access<2, 2, 2, 2>;

const NOW: i64 = 1_795_000_000;
const LATER: i64 = NOW + 600;

fn small() -> (Box<Small>, AuthorityWriter) {
    (Box::new(Small::zeroed()), AuthorityWriter::new())
}

/// Digests of one bucket, all different.
fn digest(number: u8) -> [u8; 32] {
    let mut digest = [number; 32];
    digest[0] = 0;
    digest
}

fn user(number: u8) -> UserRecord {
    UserRecord {
        status: UserStatus::Active,
        role: u16::from(number),
        fetched_at_s: NOW - i64::from(number),
        expires_at_s: LATER + i64::from(number),
    }
}

fn decision(number: u8) -> Decision {
    Decision {
        access: VenueAccess::Allowed,
        role: u16::from(number),
        permissions: PermissionIds::new(&[1, 2, u16::from(number)]).expect("few"),
        venue_generation: u64::from(number) << 40,
        expires_at_s: LATER,
    }
}

fn api_key(number: u8) -> ApiKey {
    ApiKey { venue: digest(number), tier: Tier::Standard, rate_limit: Some(7), expires_at_s: LATER }
}

const YES: StaffRecord = StaffRecord { staff: Staff::OfAVenue, expires_at_s: LATER };
const NO: StaffRecord = StaffRecord { staff: Staff::OfNone, expires_at_s: LATER };

#[test]
fn what_is_stored_is_found_until_it_expires() {
    let (access, writer) = small();
    let asked = access.moment(&writer);
    for status in [UserStatus::Active, UserStatus::Inactive, UserStatus::NotFound] {
        let record = UserRecord { status, ..user(1) };
        assert_eq!(access.store_user(&writer, &digest(1), &record, asked, NOW), Kept::Stored);
        assert_eq!(access.user(&digest(1), NOW), Some(record));
        assert_eq!(access.user(&digest(1), record.expires_at_s), None);
    }
    let key = DecisionKey { decision: &digest(2), user: &digest(1), venue: &digest(9) };
    let many: Vec<u16> = (1..=32).collect();
    for permissions in [&[][..], &[7], &many] {
        for access_value in [VenueAccess::Allowed, VenueAccess::Denied] {
            let permissions = PermissionIds::new(permissions).expect("few");
            let record = Decision { access: access_value, permissions, ..decision(3) };
            assert_eq!(access.store_decision(&writer, key, &record, asked, NOW), Kept::Stored);
            assert_eq!(access.decision(&digest(2), NOW), Some(record));
            assert_eq!(access.decision(&digest(2), LATER), None);
        }
    }
    for (record, because_of) in [(YES, Some(&digest(9))), (NO, None)] {
        let key = (&digest(1), because_of);
        assert_eq!(access.store_staff(&writer, key, &record, asked, NOW), Kept::Stored);
        assert_eq!(access.staff(&digest(1), NOW), Some(record));
        assert_eq!(access.staff(&digest(1), LATER), None);
    }
    for (tier, rate_limit) in [
        (Tier::Free, None),
        (Tier::Standard, Some(0)),
        (Tier::Premium, Some(100)),
        (Tier::Free, Some(u32::MAX)),
    ] {
        let record = ApiKey { tier, rate_limit, ..api_key(9) };
        assert_eq!(access.store_api_key(&writer, &digest(1), &record, asked, NOW), Kept::Stored);
        assert_eq!(access.api_key(&digest(1), NOW), Some(record));
        assert_eq!(access.api_key(&digest(1), LATER), None);
    }
    assert_eq!(access.api_key(&digest(2), NOW), None);
    assert_eq!(access.user(&digest(2), NOW), None, "another digest");
    assert_eq!(access.decision(&digest(1), NOW), None);
}

#[test]
fn a_full_bucket_gives_up_what_expires_first() {
    let (access, writer) = small();
    let asked = access.moment(&writer);
    for number in 1..5 {
        assert_eq!(access.store_user(&writer, &digest(number), &user(number), asked, NOW), Kept::Stored);
    }
    assert_eq!(access.store_user(&writer, &digest(3), &user(3), asked, NOW), Kept::Stored, "its own place");
    assert_eq!(access.store_user(&writer, &digest(5), &user(5), asked, NOW), Kept::Evicted);
    assert_eq!(access.user(&digest(1), NOW), None);
    for number in 2..6 {
        assert_eq!(access.user(&digest(number), NOW), Some(user(number)));
    }
    let later = LATER + 2;
    assert_eq!(access.store_user(&writer, &digest(6), &user(6), asked, later), Kept::Stored, "2 has expired");
}

#[test]
fn digests_with_equal_hints_are_told_apart() {
    let (access, writer) = small();
    let asked = access.moment(&writer);
    let mut other = digest(1);
    other[31] = 9;
    access.store_user(&writer, &digest(1), &user(1), asked, NOW);
    assert_eq!(access.user(&other, NOW), None);
}

#[test]
fn a_user_who_is_forgotten_is_forgotten_everywhere() {
    let (access, writer) = small();
    let asked = access.moment(&writer);
    for number in [1, 2] {
        access.store_user(&writer, &digest(number), &user(number), asked, NOW);
        access.store_staff(&writer, (&digest(number), None), &NO, asked, NOW);
        let key = DecisionKey { decision: &digest(number + 10), user: &digest(number), venue: &digest(9) };
        access.store_decision(&writer, key, &decision(number), asked, NOW);
    }
    assert_eq!(access.forget_user(&writer, &digest(1)), 3);
    assert_eq!(access.user(&digest(1), NOW), None);
    assert_eq!(access.staff(&digest(1), NOW), None);
    assert_eq!(access.decision(&digest(11), NOW), None);
    assert_eq!(access.user(&digest(2), NOW), Some(user(2)));
    assert_eq!(access.staff(&digest(2), NOW), Some(NO));
    assert_eq!(access.decision(&digest(12), NOW), Some(decision(2)));
    assert_eq!(access.forget_user(&writer, &digest(1)), 0);
}

#[test]
fn a_venue_that_changed_takes_its_decisions_and_staff_with_it() {
    let (access, writer) = small();
    let asked = access.moment(&writer);
    for number in [1, 2] {
        let venue = digest(number + 20);
        let key = DecisionKey { decision: &digest(number + 10), user: &digest(number), venue: &venue };
        access.store_decision(&writer, key, &decision(number), asked, NOW);
        access.store_staff(&writer, (&digest(number), Some(&venue)), &YES, asked, NOW);
        access.store_user(&writer, &digest(number), &user(number), asked, NOW);
        access.store_api_key(&writer, &digest(number + 30), &api_key(number + 20), asked, NOW);
    }
    assert_eq!(access.forget_venue(&writer, &digest(21)), 3);
    assert_eq!((access.decision(&digest(11), NOW), access.staff(&digest(1), NOW)), (None, None));
    assert_eq!(access.api_key(&digest(31), NOW), None);
    assert_eq!(access.api_key(&digest(32), NOW), Some(api_key(22)));
    assert_eq!(access.decision(&digest(12), NOW), Some(decision(2)));
    assert_eq!(access.staff(&digest(2), NOW), Some(YES));
    assert_eq!(access.user(&digest(1), NOW), Some(user(1)), "users are no venue's");
    assert_eq!(access.forget_all(&writer), 5);
    assert_eq!((access.decision(&digest(12), NOW), access.user(&digest(2), NOW)), (None, None));
}

#[test]
fn an_answer_that_was_asked_for_before_an_event_is_not_stored_after_it() {
    let (access, writer) = small();
    let asked = access.moment(&writer);
    access.forget_user(&writer, &digest(1));
    assert_eq!(access.store_user(&writer, &digest(1), &user(1), asked, NOW), Kept::Outdated);
    assert_eq!(access.user(&digest(1), NOW), None);
    let asked = access.moment(&writer);
    access.forget_venue(&writer, &digest(1));
    let key = DecisionKey { decision: &digest(2), user: &digest(1), venue: &digest(9) };
    assert_eq!(access.store_decision(&writer, key, &decision(1), asked, NOW), Kept::Outdated);
    assert_eq!(access.store_staff(&writer, (&digest(1), None), &NO, asked, NOW), Kept::Outdated);
    assert_eq!(access.store_api_key(&writer, &digest(1), &api_key(1), asked, NOW), Kept::Outdated);
    access.repair(&writer);
    let asked_since = access.moment(&writer);
    assert_ne!(asked_since, asked);
    assert_eq!(access.store_user(&writer, &digest(1), &user(1), asked_since, NOW), Kept::Stored);
}

#[test]
fn a_claim_of_a_dead_supervisor_is_a_miss_and_is_taken_back() {
    let (access, writer) = small();
    let asked = access.moment(&writer);
    for number in 1..5 {
        access.store_user(&writer, &digest(number), &user(number), asked, NOW);
    }
    access.users.tear(Key::new(&digest(2)));
    assert_eq!(access.user(&digest(2), NOW), None);
    assert_eq!(access.user(&digest(1), NOW), Some(user(1)));
    assert_eq!(
        access.store_user(&writer, &digest(5), &user(5), asked, NOW),
        Kept::Stored,
        "in the torn place"
    );
    access.users.tear(Key::new(&digest(3)));
    assert_eq!(access.repair(&writer), 1);
    assert_eq!(access.repair(&writer), 0);
    assert_eq!(access.user(&digest(3), NOW), None);
}

#[test]
fn words_that_are_no_record_are_a_miss() {
    let good = user(1).encode();
    assert_eq!(UserRecord::decode(&good), Some(user(1)));
    assert_eq!(UserRecord::decode(&good[..1]), None);
    assert_eq!(UserRecord::decode(&[good[0] | 0xff << 40, good[1]]), None, "an unknown status");
    assert_eq!(UserRecord::decode(&[good[0] | 1 << 20, good[1]]), None, "no role is so large");
    assert_eq!(StaffRecord::decode(&[0]), None);
    let good = api_key(1).encode();
    assert_eq!(ApiKey::decode(&good), Some(api_key(1)));
    assert_eq!(ApiKey::decode(&good[..5]), None);
    let [a, b, c, d, shape, limit] = good;
    assert_eq!(ApiKey::decode(&[a, b, c, d, shape & 0xffff_ffff, limit]), None, "no tier");
    assert_eq!(ApiKey::decode(&[a, b, c, d, shape, 2 << 32]), None, "no limit is so large");
    let mut words = [0; DECISION_WORDS];
    let length = decision(1).encode(&mut words);
    assert_eq!(Decision::decode(&words[..length]), Some(decision(1)));
    assert_eq!(Decision::decode(&words[..=length]), None, "a word too many");
    assert_eq!(Decision::decode(&words[..length - 1]), None, "a word too few");
    assert_eq!(Decision::decode(&[0; 2]), None);
}
