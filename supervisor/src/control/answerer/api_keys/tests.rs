//! Tiers of records.

use super::*;

#[test]
fn a_word_that_is_no_tier_is_the_lowest() {
    for (word, expected) in [
        (None, Tier::Free),
        (Some("free"), Tier::Free),
        (Some("standard"), Tier::Standard),
        (Some("premium"), Tier::Premium),
        (Some("platinum"), Tier::Free),
    ] {
        let tier = word.map(str::to_owned);
        let record = ApiKeyRecord { venue_id: String::new(), rate_limit: None, tier };
        assert_eq!(super::tier(&record), expected, "{word:?}");
    }
}
