//! Models of the mirror: a reader beside the supervisor, and what a dead supervisor left.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::atomics::{Zeroed, outcomes};

/// Two places for tokens and two for cut-offs.
type Tiny = Revocations<1, 1>;

const NOW: i64 = 100;
const LATER: i64 = 200;
const FIRST: [u8; 32] = [1; 32];
const SECOND: [u8; 32] = [2; 32];
const USER: (Scope, &[u8; 32]) = (Scope::User, &FIRST);

fn name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Clear => "clear",
        Verdict::Revoked(_) => "revoked",
        Verdict::Unsure => "unsure",
    }
}

/// The epoch of an answer that is one of these cut-offs, each raised on top of the one before.
fn epoch(answer: NotBefore, raised: &[Cutoff]) -> Option<i64> {
    let whole = |end| raised[..=end].iter().copied().reduce(Cutoff::merged);
    match answer {
        NotBefore::Unlimited => Some(-1),
        NotBefore::Since(cutoff) => {
            let known = (0..raised.len()).any(|end| whole(end) == Some(cutoff));
            assert!(known, "a mixture: {cutoff:?}");
            Some(cutoff.epoch_s())
        }
        NotBefore::Unsure => None,
    }
}

#[test]
fn a_generation_that_is_seen_brings_the_revocation_with_it() {
    let seen = outcomes(|| {
        let revocations = Arc::new(Tiny::zeroed());
        let reader = Arc::clone(&revocations);
        let thread = ::loom::thread::spawn(move || {
            let generation = reader.generation();
            let verdict = reader.token(&FIRST, NOW);
            assert!(generation == 0 || verdict == Verdict::Revoked(Cause::Token), "acknowledged, not found");
            name(verdict)
        });
        revocations.revoke_token(&AuthorityWriter::new(), &FIRST, LATER, NOW);
        thread.join().expect("the reader found what was acknowledged")
    });
    assert_eq!(seen, BTreeSet::from(["clear", "revoked", "unsure"]));
}

#[test]
fn a_live_revocation_is_found_while_its_neighbour_is_replaced_and_it_is_extended() {
    let seen = outcomes(|| {
        let (revocations, writer) = (Arc::new(Tiny::zeroed()), AuthorityWriter::new());
        revocations.revoke_token(&writer, &SECOND, NOW, NOW - 1);
        revocations.revoke_token(&writer, &FIRST, LATER, NOW - 1);
        let reader = Arc::clone(&revocations);
        let thread = ::loom::thread::spawn(move || name(reader.token(&FIRST, NOW)));
        revocations.sweep(&writer, NOW);
        revocations.revoke_token(&writer, &[3; 32], LATER, NOW);
        revocations.revoke_token(&writer, &FIRST, LATER + 1, NOW);
        thread.join().expect("the reader does not panic")
    });
    assert_eq!(seen, BTreeSet::from(["revoked"]));
}

#[test]
fn a_digest_made_of_two_that_share_a_slot_is_never_found() {
    let seen = outcomes(|| {
        let (revocations, writer) = (Arc::new(Tiny::zeroed()), AuthorityWriter::new());
        for expired in [FIRST, [3; 32]] {
            revocations.revoke_token(&writer, &expired, NOW, NOW - 1);
        }
        let reader = Arc::clone(&revocations);
        let mut mixture = SECOND;
        mixture[..16].copy_from_slice(&FIRST[..16]);
        let thread = ::loom::thread::spawn(move || name(reader.token(&mixture, NOW)));
        revocations.revoke_token(&writer, &SECOND, LATER, NOW);
        thread.join().expect("the reader does not panic")
    });
    assert_eq!(seen, BTreeSet::from(["clear", "unsure"]));
}

#[test]
fn a_cutoff_that_is_raised_is_the_old_one_or_the_new_one_or_unsure_and_never_none() {
    let seen = outcomes(|| {
        let raised = [Cutoff::new(7, None), Cutoff::new(9, Some(&SECOND))];
        let (revocations, writer) = (Arc::new(Tiny::zeroed()), AuthorityWriter::new());
        revocations.raise_not_before(&writer, USER, raised[0], LATER, NOW);
        let reader = Arc::clone(&revocations);
        let thread = ::loom::thread::spawn(move || epoch(reader.not_before(USER.0, USER.1, NOW), &raised));
        revocations.raise_not_before(&writer, USER, raised[1], LATER, NOW);
        thread.join().expect("the reader saw no mixture")
    });
    assert_eq!(seen, BTreeSet::from([Some(7), Some(9)]), "one write overtakes nobody");
}

#[test]
fn a_reader_that_is_overtaken_twice_sees_no_mixture() {
    let seen = outcomes(|| {
        let raised = [Cutoff::new(5, Some(&FIRST)), Cutoff::new(7, None), Cutoff::new(9, Some(&SECOND))];
        let (revocations, writer) = (Arc::new(Tiny::zeroed()), AuthorityWriter::new());
        revocations.raise_not_before(&writer, USER, raised[0], LATER, NOW);
        let reader = Arc::clone(&revocations);
        let thread = ::loom::thread::spawn(move || epoch(reader.not_before(USER.0, USER.1, NOW), &raised));
        revocations.raise_not_before(&writer, USER, raised[1], LATER, NOW);
        revocations.raise_not_before(&writer, USER, raised[2], LATER, NOW);
        thread.join().expect("the reader saw no mixture")
    });
    assert!(seen.is_subset(&BTreeSet::from([None, Some(5), Some(7), Some(9)])), "{seen:?}");
    assert!(seen.contains(&Some(9)), "{seen:?}");
}

#[test]
fn a_mirror_that_is_seen_complete_has_what_was_lost_before() {
    let seen = outcomes(|| {
        let (revocations, writer) = (Arc::new(Tiny::zeroed()), AuthorityWriter::new());
        for other in [[3; 32], [4; 32]] {
            revocations.revoke_token(&writer, &other, NOW, NOW - 1);
        }
        assert_eq!(revocations.revoke_token(&writer, &FIRST, LATER, NOW - 1), Recorded::Full);
        let reader = Arc::clone(&revocations);
        let thread = ::loom::thread::spawn(move || name(reader.token(&FIRST, NOW)));
        revocations.begin_sync(&writer);
        revocations.revoke_token(&writer, &FIRST, LATER, NOW);
        revocations.end_sync(&writer, 1);
        thread.join().expect("the reader does not panic")
    });
    assert_eq!(seen, BTreeSet::from(["revoked", "unsure"]), "and never clear");
}
