//! What is revoked stays so, however tables fill up, are swept, torn and repaired.

use super::*;
use crate::atomics::Zeroed;

/// 32 places for tokens, as many for cut-offs.
type Small = Revocations<2, 2>;

const NOW: i64 = 1_795_000_000;
const LATER: i64 = NOW + 900;
const KEY: u64 = 0x00d1_6e57;

fn small() -> (Box<Small>, AuthorityWriter) {
    let (revocations, writer) = (Box::new(Small::zeroed()), AuthorityWriter::new());
    assert_eq!(revocations.repair(&writer, KEY), Repaired::Emptied, "a new region was never synced");
    (revocations, writer)
}

/// Digests spread like real ones.
fn digest(number: u64) -> [u8; 32] {
    let words = [1, 2, 3, 4].map(|salt| crate::words::mix(number << 3 | salt).to_le_bytes());
    words.concat().try_into().expect("four words")
}

/// Digests that have one bucket and one tag in common, in both their homes.
fn twin(number: u64) -> [u8; 32] {
    let words = [0, 0, 7, number].map(u64::to_le_bytes);
    words.concat().try_into().expect("four words")
}

#[test]
fn places_are_taken_until_a_sweep_frees_them() {
    let (revocations, writer) = small();
    assert_eq!(revocations.taken(), Taken::default());
    for number in [1, 2, 2] {
        let _ = revocations.revoke_token(&writer, &digest(number), LATER, NOW);
    }
    let cutoff = Cutoff::new(NOW, None);
    let _ = revocations.raise_not_before(&writer, (Scope::User, &digest(3)), cutoff, LATER, NOW);
    assert_eq!(revocations.taken(), Taken { tokens: 2, cutoffs: 1 });
    revocations.sweep(&writer, LATER);
    assert_eq!(revocations.taken(), Taken::default());
}

const REVOKED: Verdict = Verdict::Revoked(Cause::Token);

#[test]
fn a_revoked_token_is_known_until_it_expires() {
    let (revocations, writer) = small();
    let generation = revocations.generation();
    assert_eq!(revocations.token(&digest(1), NOW), Verdict::Clear);
    assert_eq!(revocations.revoke_token(&writer, &digest(1), LATER, NOW), Recorded::Inserted);
    assert_ne!(revocations.generation(), generation);
    assert_eq!(revocations.token(&digest(1), LATER - 1), REVOKED);
    assert_eq!(revocations.token(&digest(1), LATER), Verdict::Clear);
    assert_eq!(revocations.token(&digest(2), NOW), Verdict::Clear);
}

#[test]
fn a_second_event_makes_a_revocation_longer_and_never_shorter() {
    let (revocations, writer) = small();
    revocations.revoke_token(&writer, &digest(1), LATER, NOW);
    let generation = revocations.generation();
    assert_eq!(revocations.revoke_token(&writer, &digest(1), LATER - 5, NOW), Recorded::AlreadyThere);
    assert_eq!(revocations.generation(), generation, "nothing has changed");
    assert_eq!(revocations.token(&digest(1), LATER - 1), REVOKED);
    assert_eq!(revocations.revoke_token(&writer, &digest(1), LATER + 5, NOW), Recorded::Extended);
    assert_eq!(revocations.token(&digest(1), LATER + 4), REVOKED);
    assert_ne!(revocations.generation(), generation);
}

#[test]
fn what_has_expired_before_it_came_is_not_recorded() {
    let (revocations, writer) = small();
    assert_eq!(revocations.revoke_token(&writer, &digest(1), NOW, NOW), Recorded::Expired);
    assert_eq!(revocations.revoke_token(&writer, &digest(1), -1, NOW), Recorded::Expired);
    let cutoff = Cutoff::new(NOW, None);
    let user = (Scope::User, &digest(1));
    assert_eq!(revocations.raise_not_before(&writer, user, cutoff, NOW, NOW), Recorded::Expired);
    assert_eq!(revocations.sweep(&writer, NOW), Swept::default());
}

#[test]
fn a_full_bucket_evicts_nothing_counts_what_it_refuses_and_fails_closed() {
    let (revocations, writer) = small();
    for number in 0..16 {
        assert_eq!(revocations.revoke_token(&writer, &twin(number), LATER, NOW), Recorded::Inserted);
    }
    revocations.begin_sync(&writer);
    revocations.end_sync(&writer, 1);
    assert_eq!(revocations.completeness(), Completeness::Complete);
    assert_eq!(revocations.revoke_token(&writer, &twin(16), LATER, NOW), Recorded::Full);
    assert_eq!((revocations.completeness(), revocations.lost()), (Completeness::Overflowing, 1));
    for number in 0..16 {
        assert_eq!(revocations.token(&twin(number), NOW), REVOKED, "token {number}");
    }
    assert_eq!(revocations.token(&twin(16), NOW), Verdict::Unsure);
    assert_eq!(revocations.token(&digest(99), NOW), Verdict::Unsure, "whatever is not found");
    assert_eq!(revocations.not_before(Scope::User, &digest(99), NOW), NotBefore::Unsure);
    assert_eq!(revocations.revoke_token(&writer, &twin(3), LATER + 1, NOW), Recorded::Extended);
}

#[test]
fn what_was_lost_is_forgotten_only_when_a_whole_snapshot_found_room() {
    let (revocations, writer) = small();
    for number in 0..17 {
        revocations.revoke_token(&writer, &twin(number), LATER, NOW);
    }
    revocations.begin_sync(&writer);
    assert_eq!(revocations.completeness(), Completeness::Overflowing, "the snapshot is not whole yet");
    assert_eq!(revocations.revoke_token(&writer, &twin(16), LATER, NOW), Recorded::Full);
    revocations.end_sync(&writer, 1);
    assert_eq!((revocations.completeness(), revocations.lost()), (Completeness::Overflowing, 1));

    revocations.begin_sync(&writer);
    revocations.begin_sync(&writer);
    assert_eq!(revocations.lost(), 1, "a snapshot that was given up proves nothing");
    assert_eq!(revocations.revoke_token(&writer, &twin(16), LATER + 9, LATER), Recorded::Inserted);
    revocations.end_sync(&writer, 2);
    assert_eq!((revocations.completeness(), revocations.lost()), (Completeness::Complete, 0));
    assert_eq!(revocations.token(&twin(16), LATER), REVOKED);
}

#[test]
fn a_link_that_comes_back_finds_no_room_for_what_was_lost() {
    let (revocations, writer) = small();
    revocations.fall_behind(&writer);
    revocations.catch_up(&writer, 1);
    assert_eq!(revocations.completeness(), Completeness::NeverSynced, "nothing was ever read whole");
    revocations.begin_sync(&writer);
    revocations.end_sync(&writer, 1);
    revocations.fall_behind(&writer);
    assert_eq!(revocations.completeness(), Completeness::Syncing);
    revocations.catch_up(&writer, 2);
    assert_eq!((revocations.completeness(), revocations.synced_at_ms()), (Completeness::Complete, Some(2)));
    for number in 0..17 {
        revocations.revoke_token(&writer, &twin(number), LATER, NOW);
    }
    revocations.fall_behind(&writer);
    revocations.catch_up(&writer, 3);
    assert_eq!((revocations.completeness(), revocations.lost()), (Completeness::Overflowing, 1));
    assert_eq!(revocations.token(&twin(16), NOW), Verdict::Unsure);
}

#[test]
fn a_weaker_cutoff_that_is_found_does_not_hide_a_stricter_one_that_was_lost() {
    let (revocations, writer) = small();
    let raise = |number, epoch, expires, now| {
        let user = (Scope::User, &twin(number));
        revocations.raise_not_before(&writer, user, Cutoff::new(epoch, None), expires, now)
    };
    for number in 0..16 {
        raise(number, NOW, if number == 0 { NOW + 1 } else { LATER }, NOW);
    }
    assert_eq!(raise(16, NOW, LATER, NOW), Recorded::Full);
    assert_eq!(raise(16, NOW - 50, LATER, NOW + 1), Recorded::Inserted);
    assert_eq!(revocations.not_before(Scope::User, &twin(16), NOW + 1), NotBefore::Unsure);
    let (token, tenant) = (digest(1), digest(2));
    let verdict = |issued_at_s| {
        let presented = Presented { token: &token, jti: None, user: &twin(16), tenant: &tenant, issued_at_s };
        revocations.verdict(&presented, NOW + 1)
    };
    assert_eq!(verdict(NOW - 10), Verdict::Unsure);
    assert_eq!(verdict(NOW - 50), Verdict::Revoked(Cause::User), "the weaker one is enough");
}

#[test]
fn freeing_a_place_hides_nothing_that_stands_after_it() {
    let (revocations, writer) = small();
    for number in 0..16 {
        revocations.revoke_token(
            &writer,
            &twin(number),
            NOW + 1 + i64::try_from(number).expect("small"),
            NOW,
        );
    }
    for gone in 0..16 {
        let now = NOW + 1 + gone;
        let swept = revocations.sweep(&writer, now);
        assert_eq!((swept.tokens_freed, swept.tokens_kept), (1, usize::try_from(15 - gone).expect("small")));
        for number in 0..16 {
            let live = i64::try_from(number).expect("small") > gone;
            let expected = if live { REVOKED } else { Verdict::Clear };
            assert_eq!(revocations.token(&twin(number), now), expected, "token {number} after {gone}");
        }
    }
}

#[test]
fn an_expired_entry_gives_its_place_to_another_and_can_come_back() {
    let (revocations, writer) = small();
    for number in 0..16 {
        revocations.revoke_token(&writer, &twin(number), if number == 5 { NOW + 1 } else { LATER }, NOW);
    }
    let now = NOW + 1;
    assert_eq!(
        revocations.revoke_token(&writer, &twin(5), NOW + 2, now),
        Recorded::Inserted,
        "its own place"
    );
    let now = NOW + 2;
    assert_eq!(revocations.sweep(&writer, now).tokens_freed, 1);
    assert_eq!(revocations.revoke_token(&writer, &twin(5), NOW + 3, now), Recorded::Inserted, "swept");
    assert_eq!(revocations.token(&twin(5), now), REVOKED);
    let now = NOW + 3;
    assert_eq!(revocations.revoke_token(&writer, &twin(99), LATER, now), Recorded::Inserted);
    assert_eq!(revocations.revoke_token(&writer, &twin(5), LATER, now), Recorded::Full);
    assert_eq!(revocations.token(&twin(99), now), REVOKED);
}

#[test]
fn a_key_that_kept_its_slot_but_lost_its_tag_is_found_again() {
    let (revocations, writer) = small();
    revocations.revoke_token(&writer, &twin(1), NOW + 1, NOW);
    let place = revocations.tokens.shown(0).next().expect("one stands there");
    // A supervisor that died between the tag and the slot of the next one.
    revocations.tokens.show_other_key(place, Key::new(&digest(2)));
    assert_eq!(revocations.token(&digest(2), NOW + 1), Verdict::Clear);
    assert_eq!(revocations.revoke_token(&writer, &twin(1), LATER, NOW + 1), Recorded::Inserted);
    assert_eq!(revocations.token(&twin(1), NOW + 1), REVOKED);
}

#[test]
fn most_of_the_table_can_be_used_before_anything_is_refused() {
    let (revocations, writer) = (Box::new(Revocations::<64, 1>::zeroed()), AuthorityWriter::new());
    let places = 64 * 16;
    let refused = (0..)
        .find(|number| revocations.revoke_token(&writer, &digest(*number), LATER, NOW) == Recorded::Full);
    let refused = refused.expect("no table is without end");
    assert!(refused > places * 85 / 100, "the first refusal came after {refused} of {places}");
    assert!((0..refused).all(|number| revocations.token(&digest(number), NOW) == REVOKED));
}

#[test]
fn every_answer_agrees_with_a_plain_map_while_entries_come_and_go() {
    let (revocations, writer) = small();
    let mut known = std::collections::HashMap::new();
    for step in 0..20_000_u64 {
        let random = crate::words::mix(step ^ 0x5eed);
        let now = NOW + i64::try_from(step / 40).expect("small");
        let number = random % 48;
        let expires = now + i64::try_from(random >> 32 & 7).expect("small");
        match revocations.revoke_token(&writer, &digest(number), expires, now) {
            Recorded::Full => {
                revocations.begin_sync(&writer);
                revocations.end_sync(&writer, 1);
                known.entry(number).and_modify(|_| panic!("token {number} had a place")).or_insert(0);
                known.remove(&number);
            }
            Recorded::Inserted | Recorded::Extended => drop(known.insert(number, expires)),
            Recorded::AlreadyThere => assert!(known[&number] >= expires),
            Recorded::Expired => assert_eq!(expires, now),
        }
        if random & 0x3ff == 0 {
            revocations.sweep(&writer, now);
        }
        known.retain(|_, expires| *expires > now);
        for number in 0..48 {
            let expected = if known.contains_key(&number) { REVOKED } else { Verdict::Clear };
            assert_eq!(revocations.token(&digest(number), now), expected, "step {step}, token {number}");
        }
    }
}

#[test]
fn a_torn_token_slot_is_unsure_for_its_digest_alone_until_it_is_repaired() {
    let (revocations, writer) = small();
    revocations.revoke_token(&writer, &twin(1), LATER, NOW);
    revocations.begin_sync(&writer);
    revocations.end_sync(&writer, 1);
    let place = revocations.tokens.tear(Key::new(&digest(5)), seconds(LATER));
    assert_eq!(revocations.token(&digest(5), NOW), Verdict::Unsure);
    assert_eq!(revocations.token(&twin(1), NOW), REVOKED);
    assert_eq!(revocations.token(&digest(6), NOW), Verdict::Clear);
    assert_eq!(revocations.sweep(&writer, LATER).tokens_kept, 1, "what is torn is not swept");

    let generation = revocations.generation();
    assert_eq!(revocations.repair(&writer, KEY), Repaired::Kept { torn: 1 });
    assert_ne!(revocations.generation(), generation);
    assert_eq!(revocations.completeness(), Completeness::Syncing);
    assert_eq!(revocations.token(&digest(5), NOW), Verdict::Clear, "it was never acknowledged");
    assert!(!revocations.tokens.shown(place.bucket).any(|other| other.way == place.way));
    assert_eq!(revocations.repair(&writer, KEY), Repaired::Kept { torn: 0 });
}

#[test]
fn a_torn_slot_that_was_not_repaired_serves_the_next_entry() {
    let (revocations, writer) = small();
    revocations.tokens.tear(Key::new(&digest(5)), seconds(LATER));
    assert_eq!(revocations.revoke_token(&writer, &digest(5), LATER, NOW), Recorded::Inserted);
    assert_eq!(revocations.token(&digest(5), NOW), REVOKED);
    assert_eq!(revocations.repair(&writer, KEY), Repaired::Kept { torn: 0 });
}

#[test]
fn a_torn_cutoff_slot_is_unsure_and_a_half_raised_one_keeps_its_old_value() {
    let (revocations, writer) = small();
    let old = Cutoff::new(NOW, Some(&digest(70)));
    let user = (Scope::User, &digest(1));
    revocations.raise_not_before(&writer, user, old, LATER, NOW);
    let key = ScopedKey { scope: Scope::User, key: Key::new(&digest(1)) };
    revocations.cutoffs.raise_by_half(key, Cutoff::new(NOW + 9, Some(&digest(71))));
    assert_eq!(revocations.not_before(Scope::User, &digest(1), NOW), NotBefore::Since(old));
    let torn = ScopedKey { scope: Scope::Tenant, key: Key::new(&digest(2)) };
    revocations.cutoffs.tear(torn, Cutoff::new(NOW, None));
    assert_eq!(revocations.not_before(Scope::Tenant, &digest(2), NOW), NotBefore::Unsure);

    assert_eq!(revocations.repair(&writer, KEY), Repaired::Kept { torn: 1 });
    assert_eq!(revocations.not_before(Scope::Tenant, &digest(2), NOW), NotBefore::Unlimited);
    assert_eq!(revocations.not_before(Scope::User, &digest(1), NOW), NotBefore::Since(old));
    let raised = revocations.raise_not_before(&writer, user, Cutoff::new(NOW + 9, None), LATER, NOW);
    assert_eq!(raised, Recorded::Extended);
    let expected = NotBefore::Since(Cutoff::new(NOW + 9, None));
    assert_eq!(revocations.not_before(Scope::User, &digest(1), NOW), expected);
}

#[test]
fn users_and_tenants_with_one_digest_are_two_entries() {
    let (revocations, writer) = small();
    let cutoff = Cutoff::new(NOW, None);
    revocations.raise_not_before(&writer, (Scope::User, &digest(1)), cutoff, LATER, NOW);
    assert_eq!(revocations.not_before(Scope::Tenant, &digest(1), NOW), NotBefore::Unlimited);
    let tenant = (Scope::Tenant, &digest(1));
    assert_eq!(revocations.raise_not_before(&writer, tenant, cutoff, LATER, NOW), Recorded::Inserted);
    assert_eq!(revocations.not_before(Scope::Tenant, &digest(1), LATER - 1), NotBefore::Since(cutoff));
    assert_eq!(revocations.not_before(Scope::Tenant, &digest(1), LATER), NotBefore::Unlimited);
    assert_eq!(revocations.sweep(&writer, LATER).cutoffs_freed, 2);
}

#[test]
fn an_older_event_changes_nothing_and_a_later_one_wins() {
    let (revocations, writer) = small();
    let raise = |cutoff, expires| {
        revocations.raise_not_before(&writer, (Scope::User, &digest(1)), cutoff, expires, NOW)
    };
    let since = || revocations.not_before(Scope::User, &digest(1), NOW);
    assert_eq!(raise(Cutoff::new(100, None), LATER), Recorded::Inserted);
    assert_eq!(raise(Cutoff::new(50, None), LATER - 9), Recorded::AlreadyThere);
    assert_eq!(since(), NotBefore::Since(Cutoff::new(100, None)));
    assert_eq!(raise(Cutoff::new(100, Some(&digest(9))), LATER), Recorded::AlreadyThere, "none is stricter");
    assert_eq!(raise(Cutoff::new(50, None), LATER + 9), Recorded::Extended, "in time only");
    assert_eq!(since(), NotBefore::Since(Cutoff::new(100, None)));
    assert_eq!(raise(Cutoff::new(200, Some(&digest(9))), LATER), Recorded::Extended);
    let NotBefore::Since(cutoff) = since() else { panic!("it is live") };
    assert_eq!(cutoff.epoch_s(), 200);
    assert!(!cutoff.revokes(150, Some(&digest(9))) && cutoff.revokes(150, Some(&digest(8))));
    assert!(cutoff.revokes(100, Some(&digest(9))), "what the first event revoked stays revoked");
    assert_eq!(raise(Cutoff::new(200, None), LATER), Recorded::Extended);
    assert_eq!(since(), NotBefore::Since(Cutoff::new(200, None)), "the one without exception wins");
}

#[test]
fn merged_cutoffs_revoke_exactly_what_one_of_them_revokes() {
    let excepts = [None, Some(digest(1)), Some(digest(2))];
    let single = || (0..4).flat_map(move |epoch| excepts.map(|except| Cutoff::new(epoch, except.as_ref())));
    let pairs = || single().flat_map(|one| single().map(move |other| (one, other, one.merged(other))));
    let agrees = |merged: Cutoff, parts: &[Cutoff]| {
        for jti in [None, Some(digest(1)), Some(digest(2)), Some(digest(3))] {
            for issued_at_s in -1..5 {
                let expected = parts.iter().any(|part| part.revokes(issued_at_s, jti.as_ref()));
                assert_eq!(merged.revokes(issued_at_s, jti.as_ref()), expected, "{parts:?}: {merged:?}");
            }
        }
    };
    for (one, other, merged) in pairs() {
        agrees(merged, &[one, other]);
        assert_eq!(merged, other.merged(one));
        let (times, except) = merged.words();
        assert_eq!(Cutoff::from_words(times, except), merged);
        for third in single() {
            agrees(merged.merged(third), &[one, other, third]);
        }
    }
}

#[test]
fn times_that_do_not_fit_revoke_more_rather_than_less() {
    assert!(Cutoff::new(i64::MAX, None).revokes(i64::from(u32::MAX), None));
    assert!(Cutoff::new(-5, None).revokes(0, None), "a token without a time of issue");
    let (revocations, writer) = small();
    revocations.revoke_token(&writer, &digest(1), i64::MAX, NOW);
    let tenant = (Scope::Tenant, &digest(1));
    revocations.raise_not_before(&writer, tenant, Cutoff::new(NOW, None), i64::MAX, NOW);
    assert_eq!(revocations.token(&digest(1), NOW), REVOKED);
    assert!(matches!(revocations.not_before(Scope::Tenant, &digest(1), NOW), NotBefore::Since(_)));
}

#[test]
fn one_verdict_takes_the_strictest_of_token_user_and_tenant() {
    let (revocations, writer) = small();
    let (token, user, tenant) = (digest(1), digest(2), digest(3));
    let verdict = |issued_at_s| {
        let presented =
            Presented { token: &token, jti: Some(&token), user: &user, tenant: &tenant, issued_at_s };
        revocations.verdict(&presented, NOW)
    };
    assert_eq!(verdict(NOW), Verdict::Clear);
    revocations.raise_not_before(&writer, (Scope::Tenant, &tenant), Cutoff::new(50, None), LATER, NOW);
    assert_eq!(verdict(50), Verdict::Revoked(Cause::Tenant));
    assert_eq!(verdict(51), Verdict::Clear);
    let but_this_one = Cutoff::new(99, Some(&token));
    revocations.raise_not_before(&writer, (Scope::User, &user), but_this_one, LATER, NOW);
    assert_eq!(verdict(99), Verdict::Clear, "it is the excepted one");
    let key = ScopedKey { scope: Scope::User, key: Key::new(&user) };
    revocations.cutoffs.tear_own(key);
    assert_eq!(verdict(99), Verdict::Unsure);
    assert_eq!(verdict(50), Verdict::Revoked(Cause::Tenant), "which is sure");
    revocations.revoke_token(&writer, &token, LATER, NOW);
    assert_eq!(verdict(99), REVOKED);
}

#[test]
fn state_age_and_position_are_kept() {
    let (revocations, writer) = small();
    assert_eq!(revocations.completeness(), Completeness::NeverSynced);
    assert_eq!((revocations.synced_at_ms(), revocations.last_applied(&writer)), (None, None));
    revocations.begin_sync(&writer);
    assert_eq!(revocations.completeness(), Completeness::NeverSynced, "until the first snapshot is whole");
    revocations.end_sync(&writer, 5);
    assert_eq!((revocations.completeness(), revocations.synced_at_ms()), (Completeness::Complete, Some(5)));
    revocations.set_synced_at_ms(&writer, 7);
    assert_eq!(revocations.synced_at_ms(), Some(7));
    for number in 0..5 {
        let id = StreamId { ms: number, seq: number * 3 };
        revocations.set_last_applied(&writer, id);
        assert_eq!(revocations.last_applied(&writer), Some(id));
        let before = StreamId { ms: number.saturating_sub(1), seq: id.seq.saturating_sub(3) };
        assert!(
            revocations.head.positions().contains(&before),
            "a death in the next write leaves a whole one"
        );
    }
    revocations.begin_sync(&writer);
    assert_eq!(revocations.completeness(), Completeness::Syncing);
}

#[test]
fn a_mirror_under_another_digest_key_is_emptied() {
    let (revocations, writer) = small();
    revocations.revoke_token(&writer, &digest(1), LATER, NOW);
    revocations.raise_not_before(&writer, (Scope::User, &digest(1)), Cutoff::new(NOW, None), LATER, NOW);
    revocations.end_sync(&writer, 5);
    revocations.set_last_applied(&writer, StreamId { ms: 1, seq: 2 });
    assert_eq!(revocations.repair(&writer, KEY), Repaired::Kept { torn: 0 });
    assert_eq!(revocations.token(&digest(1), NOW), REVOKED);
    assert_eq!(revocations.repair(&writer, KEY + 1), Repaired::Emptied);
    assert_eq!(revocations.completeness(), Completeness::NeverSynced);
    assert_eq!((revocations.synced_at_ms(), revocations.last_applied(&writer)), (None, None));
    assert_eq!(revocations.token(&digest(1), NOW), Verdict::Clear);
    assert_eq!(revocations.sweep(&writer, NOW), Swept::default());
}
