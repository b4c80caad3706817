//! One entry: hits, misses, claims of the dead. The interleavings are in `loom`.

use super::*;
use crate::atomics::Zeroed;

fn slot(index: usize) -> WorkerSlot {
    WorkerSlot::new(index).expect("below the maximum")
}

fn seen(sequence: &Word) -> Sequence {
    Sequence::new(sequence.observe())
}

fn write(entry: &Entry<4>, sequence: &Word, owner: usize, value: &[u64]) {
    let claim = entry.claim(sequence, seen(sequence), slot(owner)).expect("nobody else writes");
    claim.fill(value);
    assert!(claim.publish());
}

fn read(entry: &Entry<4>, sequence: &Word) -> Option<Vec<u64>> {
    entry.read(sequence, seen(sequence), &mut [0; 4]).map(<[u64]>::to_vec)
}

#[test]
fn a_value_is_read_as_it_was_published() {
    let (entry, sequence) = (Entry::<4>::zeroed(), Word::zeroed());
    assert_eq!(read(&entry, &sequence), None, "never written");
    write(&entry, &sequence, 63, &[1, 2, 3]);
    assert_eq!(read(&entry, &sequence), Some(vec![1, 2, 3]));
    write(&entry, &sequence, 0, &[4]);
    assert_eq!(read(&entry, &sequence), Some(vec![4]), "shorter than what stood there");
}

#[test]
fn a_claimed_entry_is_a_miss_and_nobody_else_claims_it() {
    let (entry, sequence) = (Entry::<4>::zeroed(), Word::zeroed());
    write(&entry, &sequence, 1, &[1, 2]);
    let before = seen(&sequence);
    let claim = entry.claim(&sequence, before, slot(2)).expect("free");
    claim.fill(&[1, 2]);
    assert_eq!(read(&entry, &sequence), None, "even the same value is not shown before it is published");
    assert_eq!(entry.read(&sequence, before, &mut [0; 4]), None, "nor to a reader that looked before");
    assert!(entry.claim(&sequence, before, slot(3)).is_none(), "from an old look at the word");
    assert!(entry.claim(&sequence, seen(&sequence), slot(3)).is_none(), "from a new one");
    assert!(claim.publish());
    assert_eq!(read(&entry, &sequence), Some(vec![1, 2]));
}

#[test]
fn only_the_dead_owners_claim_is_swept_and_the_entry_serves_again() {
    let (entry, sequence) = (Entry::<4>::zeroed(), Word::zeroed());
    write(&entry, &sequence, 5, &[1, 2, 3, 4]);
    assert!(!sweep(&sequence, slot(5)), "a finished value is not a claim");
    let dead = entry.claim(&sequence, seen(&sequence), slot(5)).expect("free");
    dead.fill(&[9, 9]);
    drop(dead);
    assert!(!sweep(&sequence, slot(6)), "another slot's claim");
    assert!(sweep(&sequence, slot(5)));
    assert!(seen(&sequence).vacant());
    assert_eq!(read(&entry, &sequence), None, "what the dead writer left is shown to nobody");
    write(&entry, &sequence, 6, &[7]);
    assert_eq!(read(&entry, &sequence), Some(vec![7]));
}

#[test]
fn a_claim_that_was_swept_publishes_nothing() {
    let (entry, sequence) = (Entry::<4>::zeroed(), Word::zeroed());
    let claim = entry.claim(&sequence, seen(&sequence), slot(5)).expect("free");
    claim.fill(&[1]);
    assert!(sweep(&sequence, slot(5)));
    assert!(!claim.publish());
    assert_eq!(read(&entry, &sequence), None);
}

#[test]
fn every_write_has_a_version_of_its_own() {
    let (entry, sequence) = (Entry::<4>::zeroed(), Word::zeroed());
    let mut versions = vec![seen(&sequence)];
    for _ in 0..10 {
        write(&entry, &sequence, 5, &[1]);
        versions.push(seen(&sequence));
        drop(entry.claim(&sequence, seen(&sequence), slot(5)).expect("free"));
        sweep(&sequence, slot(5));
        versions.push(seen(&sequence));
    }
    for (index, version) in versions.iter().enumerate() {
        assert!(!versions[..index].contains(version), "a slow reader could take one value for another");
    }
}

#[test]
fn a_value_with_any_bit_flipped_is_a_miss() {
    let (entry, sequence) = (Entry::<4>::zeroed(), Word::zeroed());
    write(&entry, &sequence, 5, &[1, 2, 3]);
    for word in entry.words[..3].iter().chain([&entry.checksum, &entry.length]) {
        for bit in 0..64 {
            word.store(word.load() ^ 1 << bit);
            assert_eq!(read(&entry, &sequence), None, "bit {bit}");
            word.store(word.load() ^ 1 << bit);
        }
    }
    assert_eq!(read(&entry, &sequence), Some(vec![1, 2, 3]), "all bits are back in place");
}
