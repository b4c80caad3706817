//! Look-ups, eviction, and entries that are not what they seem.

use super::*;
use crate::atomics::Zeroed;
use crate::words::Text;

type Small = TokenCache<2>;

const NOW: i64 = 1_795_000_000;

fn slot(index: usize) -> WorkerSlot {
    WorkerSlot::new(index).expect("below the maximum")
}

/// Digests of one bucket, all different.
fn digest(number: u8) -> [u8; 32] {
    let mut digest = [number; 32];
    digest[0] = 0;
    digest
}

fn token(number: u8, expires_at: i64) -> CachedToken {
    CachedToken {
        sub: Text::new(&format!("user-{number}")).expect("short"),
        tenant: Text::new("tenant").expect("short"),
        jti: Text::new("").expect("short"),
        role: u16::from(number),
        permissions: PermissionIds::new(&[1, 2, u16::from(number)]).expect("few"),
        issued_at: NOW - 1,
        not_before: -1,
        expires_at,
        validated_at: 7,
        key: 7,
        settings: u64::MAX,
    }
}

#[test]
fn a_token_is_found_by_its_digest_alone() {
    let cache = Small::zeroed();
    assert_eq!(cache.find(&digest(1)), None);
    assert_eq!(cache.find(&[0; 32]), None, "an empty place is nobody's token");
    assert_eq!(cache.store(slot(3), &digest(1), &token(1, NOW + 60), NOW), Placed::Stored);
    assert_eq!(cache.find(&digest(1)), Some(token(1, NOW + 60)));
    assert_eq!(cache.find(&digest(2)), None);
}

#[test]
fn a_digest_that_differs_in_one_bit_is_another_token() {
    let cache = Small::zeroed();
    cache.store(slot(3), &digest(1), &token(1, NOW + 60), NOW);
    for bit in 0..256 {
        let mut other = digest(1);
        other[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(cache.find(&other), None, "bit {bit}");
    }
}

#[test]
fn the_longest_token_fits() {
    let cache = Small::zeroed();
    let longest = CachedToken {
        sub: Text::new(&"s".repeat(128)).expect("it fits"),
        tenant: Text::new(&"t".repeat(64)).expect("it fits"),
        jti: Text::new(&"j".repeat(64)).expect("it fits"),
        permissions: PermissionIds::new(&[u16::MAX; PERMISSIONS_MAX]).expect("it fits"),
        ..token(1, i64::MAX)
    };
    assert_eq!(cache.store(slot(0), &digest(1), &longest, NOW), Placed::Stored);
    assert_eq!(cache.find(&digest(1)), Some(longest));
    assert!(PermissionIds::new(&[0; PERMISSIONS_MAX + 1]).is_none());
}

#[test]
fn a_token_that_is_stored_again_replaces_itself() {
    let cache = Small::zeroed();
    for number in 1..=3 {
        cache.store(slot(0), &digest(number), &token(number, NOW + 60), NOW);
    }
    for settings in 0..20 {
        let again = CachedToken { settings, ..token(2, NOW + 60) };
        assert_eq!(cache.store(slot(1), &digest(2), &again, NOW), Placed::Stored);
        assert_eq!(cache.find(&digest(2)), Some(again));
    }
    assert_eq!(cache.find(&digest(1)), Some(token(1, NOW + 60)));
    assert_eq!(cache.find(&digest(3)), Some(token(3, NOW + 60)));
}

#[test]
fn an_expired_token_goes_first_and_then_the_one_that_expires_first() {
    let cache = Small::zeroed();
    for (number, expires_at) in [(1, NOW + 30), (2, NOW), (3, NOW + 20), (4, NOW + 40)] {
        assert_eq!(
            cache.store(slot(0), &digest(number), &token(number, expires_at), NOW - 9),
            Placed::Stored
        );
    }
    assert_eq!(cache.store(slot(0), &digest(5), &token(5, NOW + 50), NOW), Placed::Stored);
    assert_eq!(cache.find(&digest(2)), None, "the expired one went");
    assert_eq!(cache.store(slot(0), &digest(6), &token(6, NOW + 60), NOW), Placed::Evicted);
    assert_eq!(cache.find(&digest(3)), None, "the one that expires first went");
    for number in [1, 4, 5, 6] {
        assert_eq!(cache.find(&digest(number)).map(|token| token.role), Some(u16::from(number)));
    }
}

#[test]
fn what_dead_workers_left_is_passed_over_until_it_is_swept() {
    let cache = Small::zeroed();
    for number in 1..=4 {
        cache.store(slot(0), &digest(number), &token(number, NOW + 60), NOW);
    }
    for (way, owner) in [(0, 8), (1, 9), (2, 9), (3, 9)] {
        let sequence = &cache.buckets[0].sequences[way];
        let seen = Sequence::new(sequence.observe());
        drop(cache.bodies[0][way].claim(sequence, seen, slot(owner)).expect("free"));
    }
    assert_eq!(cache.claimed_entries(), 4);
    assert!((1..=4).all(|number| cache.find(&digest(number)).is_none()));
    assert_eq!(cache.store(slot(0), &digest(5), &token(5, NOW + 60), NOW), Placed::Busy);
    assert_eq!(cache.find(&digest(5)), None);

    assert_eq!((cache.sweep(slot(7)), cache.sweep(slot(9)), cache.sweep(slot(9))), (0, 3, 0));
    assert_eq!(cache.claimed_entries(), 1);
    assert_eq!(cache.store(slot(0), &digest(5), &token(5, NOW + 60), NOW), Placed::Stored);
    assert_eq!(cache.find(&digest(5)), Some(token(5, NOW + 60)));
    assert_eq!(cache.sweep(slot(8)), 1);
    assert_eq!(cache.claimed_entries(), 0);
    assert!((1..=4).all(|number| cache.find(&digest(number)).is_none()), "what was claimed stays lost");
}

#[test]
fn words_that_are_no_token_are_refused() {
    let mut words = [0; BODY_WORDS];
    let length = token(1, NOW).encode(&mut words);
    assert_eq!(CachedToken::decode(&words[..length]), Some(token(1, NOW)));
    assert_eq!(CachedToken::decode(&words[..length + 1]), None, "a word too many");
    assert_eq!(CachedToken::decode(&words[..length - 1]), None, "a word too few");
    for byte in [0, 1, 2, 3, 6, 7] {
        let mut broken = words;
        broken[0] ^= 0xff << (8 * byte);
        assert_eq!(CachedToken::decode(&broken[..length]), None, "length byte {byte}");
    }
}

#[test]
fn times_beyond_the_hints_range_only_change_what_goes_first() {
    assert_eq!(hint_seconds(-1), 0);
    assert_eq!(hint_seconds(i64::MAX), u64::from(u32::MAX));
    let cache = Small::zeroed();
    for (number, expires_at) in [(1, i64::MAX), (2, i64::MIN), (3, -1), (4, 0)] {
        cache.store(slot(0), &digest(number), &token(number, expires_at), NOW);
        assert_eq!(cache.find(&digest(number)), Some(token(number, expires_at)));
    }
}
