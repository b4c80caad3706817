//! The layout hash and the check for gaps.

use super::*;

fn sample(fields: &'static [Field]) -> Structure {
    Structure { name: "Sample", bytes: 16, fields }
}

#[test]
fn the_hash_changes_with_every_name_place_and_size() {
    let samples: [&'static [Field]; 5] = [
        &[Field("a", 0, 8), Field("b", 8, 8)],
        &[Field("a", 0, 8), Field("c", 8, 8)],
        &[Field("b", 0, 8), Field("a", 8, 8)],
        &[Field("a", 0, 8), Field("b", 0, 8)],
        &[Field("a", 0, 8), Field("b", 8, 4)],
    ];
    let hashes = samples.map(|fields| fold_structure(1, &sample(fields)));
    for (index, hash) in hashes.iter().enumerate() {
        assert!(!hashes[..index].contains(hash), "sample {index} has the hash of another one");
    }
    let renamed = Structure { name: "Another", bytes: 16, fields: samples[0] };
    assert_ne!(fold_structure(1, &renamed), hashes[0]);
}

#[test]
fn a_gap_between_fields_is_noticed() {
    assert!(gapless(&sample(&[Field("a", 0, 8), Field("b", 8, 8)])));
    assert!(!gapless(&sample(&[Field("a", 0, 4), Field("b", 8, 8)])), "padding in the middle");
    assert!(!gapless(&sample(&[Field("a", 0, 8)])), "padding at the end, or a field left out");
    assert!(!gapless(&sample(&[Field("b", 8, 8)])), "padding at the start");
}
