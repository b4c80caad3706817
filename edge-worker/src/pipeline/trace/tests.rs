//! Which parents are continued, and what is believed of them.

use super::*;
use rand::SeedableRng;
use rand::rngs::SmallRng;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn trace(parent: Option<&str>, trusted: bool) -> String {
    Trace::of(parent.map(str::as_bytes), trusted, &mut SmallRng::seed_from_u64(7)).text().to_owned()
}

#[test]
fn a_valid_parent_is_continued_with_a_span_of_ours() {
    let text = trace(Some(PARENT), false);
    assert!(text.starts_with("00-0af7651916cd43dd8448eb211c80319c-"), "{text}");
    assert!(!text.contains("b7ad6b7169203331"), "{text}");
    assert_eq!(text.len(), PARENT.len());
}

#[test]
fn the_sampled_flag_is_believed_from_trusted_proxies_alone() {
    assert!(trace(Some(PARENT), true).ends_with("-01"));
    assert!(trace(Some(PARENT), false).ends_with("-00"));
    assert!(trace(None, true).ends_with("-00"));
}

#[test]
fn what_is_no_parent_begins_a_new_trace() {
    let longer = format!("{PARENT}-more");
    for parent in [
        "",
        "00-zz-1-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01",
        longer.as_str(),
    ] {
        let text = trace(Some(parent), true);
        assert_eq!(read(text.as_bytes()).map(|(_, flags)| flags), Some(0), "{parent}");
        assert!(!text.contains("0af7651916cd43dd8448eb211c80319c"), "{parent}");
    }
}

#[test]
fn a_later_version_is_read_by_the_rules_of_this_one() {
    let parent = PARENT.replacen("00", "01", 1) + "-more";
    assert!(trace(Some(&parent), true).starts_with("00-0af7651916cd43dd8448eb211c80319c-"));
}
