//! Which texts are UUIDs, and when two ids are one.

use super::*;

const LOWER: &[u8] = b"3f2b8c1e-9a4d-4c5b-8e7f-0123456789ab";
const UPPER: &[u8] = b"3F2B8C1E-9A4D-4C5B-8E7F-0123456789AB";

#[test]
fn a_hyphenated_uuid_of_any_version_and_case_is_one() {
    assert!(is_uuid(LOWER));
    assert!(is_uuid(UPPER));
    assert!(is_uuid(b"00000000-0000-0000-0000-000000000000"));
}

#[test]
fn other_spellings_are_not_uuids() {
    let others: [&[u8]; 8] = [
        b"",
        b"3f2b8c1e9a4d4c5b8e7f0123456789ab",
        b"{3f2b8c1e-9a4d-4c5b-8e7f-0123456789ab}",
        b"3f2b8c1e-9a4d-4c5b-8e7f-0123456789a",
        b"3f2b8c1e-9a4d-4c5b-8e7f-0123456789abc",
        b"3f2b8c1e-9a4d-4c5b-8e7f-0123456789ag",
        b"3f2b8c1e-9a4d-4c5b-8e7f00123456789ab",
        b"3f2b8c1e09a4d-4c5b-8e7f-0123456789ab",
    ];
    for other in others {
        assert!(!is_uuid(other), "{}", String::from_utf8_lossy(other));
    }
}

#[test]
fn uuids_are_one_in_any_case_and_other_ids_only_byte_for_byte() {
    assert!(same_id(LOWER, UPPER));
    assert!(same_id(b"auth0|7", b"auth0|7"));
    assert!(!same_id(b"Alice", b"alice"));
    assert!(!same_id(LOWER, b"3f2b8c1e-9a4d-4c5b-8e7f-0123456789ac"));
    assert!(!same_id(LOWER, b""));
}

#[test]
fn a_random_uuid_names_its_version_and_variant() {
    let id = random();
    let characters: Vec<char> = id.chars().collect();
    assert_eq!(characters.len(), 36);
    assert_eq!(characters.get(14), Some(&'4'), "{id}");
    assert!(characters.get(19).is_some_and(|digit| "89ab".contains(*digit)), "{id}");
    assert_ne!(id, random());
}

#[test]
fn a_uuid_is_kept_in_lower_case() {
    assert_eq!(Uuid::parse(LOWER), Uuid::parse(UPPER));
    let uuid = Uuid::parse(UPPER).expect("a UUID");
    assert_eq!(uuid.as_str().as_bytes(), LOWER);
    assert_eq!(format!("{uuid:?}").as_bytes(), LOWER);
    assert_eq!(Uuid::parse(b"3f2b8c1e9a4d4c5b8e7f0123456789ab"), None);
    assert_eq!(Uuid::parse(b"3f2b8c1e-9a4d-4c5b-8e7f-0123456789ag"), None);
}
