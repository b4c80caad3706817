//! Every access class, read and written again.

use super::*;
use crate::config::routes::pattern::segments;

fn read(words: &str) -> Result<Access, Mistake> {
    access(words, &segments("/a/{venueId}/{userId}").expect("valid"))
}

#[test]
fn every_class_is_read_and_prints_as_the_same_words() {
    for words in [
        "pub",
        "scrapers",
        "user",
        "own:userId",
        "perm:tickets:purchase",
        "role:admin,compliance-admin",
        "staff:events:update",
        "venue:member",
        "venue:owner",
        "venue:venue:update",
        "own:userId or staff:customers:view",
        "query-venue:reports:view or staff:reports:view",
        "perm:tickets:purchase or perm:tickets:sell or role:admin",
    ] {
        let class = read(words).unwrap_or_else(|mistake| panic!("{words}: {}", mistake.what));
        assert_eq!(class.words(&segments("/a/{venueId}/{userId}").expect("valid")), words);
    }
    let venue = Access::Venue { need: VenueNeed::Owner, venue: VenueFrom::Segment(1) };
    assert_eq!(read("venue:owner"), Ok(venue));
    assert_eq!(read("own:userId"), Ok(Access::Own { segment: 2 }));
    assert_eq!(Access::Own { segment: 0 }.words(&[]), "own:?");
}

#[test]
fn only_public_classes_are_public() {
    assert!(Access::Public.is_public() && Access::Scrapers.is_public());
    assert!(!Access::User.is_public() && !Access::Any(vec![Access::Public]).is_public());
}

#[test]
fn unknown_words_are_mistakes() {
    for (words, wanted) in [
        ("", "is not an access class"),
        ("public", "is not an access class"),
        ("pub:x", "is not an access class"),
        ("user:x", "is not an access class"),
        ("perm:tickets:purchase or tickets:sell", "is not an access class"),
        ("perm:", "is not a permission"),
        ("staff:Events Update", "is not a permission"),
        ("venue:", "is not a permission"),
        ("query-venue:A or user", "is not a permission"),
        ("role:", "is not a canonical role"),
        ("role:admin,chief", "is not a canonical role"),
        ("own:other", "which the path does not have"),
        ("own:", "which the path does not have"),
        ("user or role:admin", "lets everybody through"),
        ("role:admin or pub", "lets everybody through"),
        ("staff:x or query-venue:member", "too late"),
        ("query-venue:member or query-venue:owner", "too late"),
        ("query-venue:member", "without a venue in the query"),
        ("venue:owner or venue:reports:view", "several things of one venue"),
    ] {
        let mistake = read(words).expect_err(words);
        assert!(mistake.what.contains(wanted), "{words}: {}", mistake.what);
    }
    let mistake = access("venue:member", &segments("/a").expect("valid")).expect_err("no venue");
    assert!(mistake.what.contains("{venueId}"), "{}", mistake.what);
}
