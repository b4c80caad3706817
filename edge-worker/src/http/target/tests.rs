//! What a target may be, byte by byte, and what is read of a query.

use super::query::{QueryValue, query_tenants, query_value};
use super::*;
use crate::identity::uuid::{is_uuid, same_id as same_identifier};
use proptest::prelude::*;

fn parse(text: &str) -> Result<Target, TargetFault> {
    Target::parse(text.as_bytes())
}

fn accepted(text: &str) -> Target {
    parse(text).unwrap_or_else(|fault| panic!("{text} was refused: {fault:?}"))
}

fn refused(text: &[u8]) {
    let shown = String::from_utf8_lossy(text).into_owned();
    assert_eq!(Target::parse(text), Err(TargetFault::Invalid), "{shown}");
}

#[test]
fn dot_segments_are_refused_raw_and_encoded_in_any_mix() {
    for dots in [".", "..", "%2e", "%2E", "%2e%2e", "%2E%2e", ".%2e", "%2e."] {
        for path in [format!("/{dots}"), format!("/a/{dots}"), format!("/a/{dots}/b"), format!("/{dots}/?q")]
        {
            refused(path.as_bytes());
        }
    }
    for harmless in ["/...", "/%2e%2e%2e", "/.a", "/a.", "/..a", "/.well-known/x", "/%2ea"] {
        accepted(harmless);
    }
}

#[test]
fn encoded_separators_and_controls_are_refused() {
    for code in ["%2f", "%2F", "%5c", "%5C", "%00", "%01", "%0a", "%0D", "%1f", "%7f", "%7F", "%09"] {
        refused(format!("/a/x{code}y").as_bytes());
        refused(format!("/a/{code}").as_bytes());
    }
    for harmless in ["/a%20b", "/a%3Fb%23c", "/%3b", "/%25", "/%c3%a9", "/%ff", "/%80"] {
        accepted(harmless);
    }
}

#[test]
fn double_encoding_of_dots_separators_and_nul_is_refused() {
    for code in
        ["%252e", "%252E", "%252f", "%252F", "%255c", "%255C", "%2500", "%25%32%65", "a%252eb", "%2%35"]
    {
        refused(format!("/a/{code}").as_bytes());
    }
    for harmless in ["/%2520", "/%25", "/%252", "/%25252e", "/%2569nternal", "/a%2541"] {
        accepted(harmless);
    }
}

#[test]
fn raw_bytes_that_are_not_of_a_path_are_refused() {
    for byte in (0_u8..=0x20).chain([b'\\', b';', b'#', 0x7f, 0x80, 0xc3, 0xff]) {
        refused(&[b'/', b'a', byte, b'b']);
        refused(&[b'/', byte]);
    }
    accepted("/!$&'()*+,-.:<=>@[]^_`{|}~\"");
}

#[test]
fn malformed_escapes_are_refused() {
    for text in ["/%", "/a%", "/a%2", "/%zz", "/%2g", "/%g2", "/%%41", "/a%/b", "/a%4/b"] {
        refused(text.as_bytes());
    }
}

#[test]
fn empty_segments_are_refused_except_one_trailing_slash() {
    for text in ["//", "//a", "/a//b", "/a//", "///", "/a//?q"] {
        refused(text.as_bytes());
    }
    assert!(accepted("/a/").trailing_slash());
    assert!(accepted("/a/?q").trailing_slash());
    assert!(!accepted("/a").trailing_slash());
    assert!(!accepted("/").trailing_slash());
}

#[test]
fn only_origin_form_is_a_target() {
    for text in ["", "*", "a", "http://host/", "?q", "example.com:443"] {
        refused(text.as_bytes());
    }
}

#[test]
fn length_and_depth_are_bounded() {
    let longest = format!("/{}", "a".repeat(TARGET_BYTES_MAX - 1));
    assert_eq!(accepted(&longest).len(), 1);
    assert_eq!(parse(&format!("{longest}a")), Err(TargetFault::TooLong));
    let deepest = "/a".repeat(SEGMENTS_MAX);
    assert_eq!(accepted(&deepest).len(), SEGMENTS_MAX);
    assert_eq!(accepted(&format!("{deepest}/")).len(), SEGMENTS_MAX);
    assert_eq!(accepted(&deepest).segment(SEGMENTS_MAX - 1, deepest.as_bytes()), b"a");
    refused(format!("{deepest}/a").as_bytes());
}

#[test]
fn segments_path_and_query_are_offsets_into_the_same_bytes() {
    let text = b"/api/a%20b/c%2B/?x=%2f&y";
    let target = Target::parse(text).expect("valid");
    assert_eq!(target.len(), 3);
    assert!(!target.is_empty());
    assert_eq!(target.segment(1, text), b"a%20b");
    assert_eq!(target.segment(3, text), b"");
    assert_eq!(target.segment(1000, text), b"");
    assert_eq!(target.decoded(1, text), Cow::<[u8]>::Owned(b"a b".to_vec()));
    assert_eq!(target.decoded(2, text).as_ref(), b"c+");
    assert!(matches!(target.decoded(0, text), Cow::Borrowed(b"api")));
    assert_eq!(target.decoded(1000, text).as_ref(), b"");
    assert_eq!(target.rest(1, text), b"/a%20b/c%2B");
    assert_eq!(target.rest(3, text), b"");
    assert_eq!(target.path(text), b"/api/a%20b/c%2B");
    assert_eq!(target.query(text), Some(&b"x=%2f&y"[..]));
    assert_eq!(target.segment(0, b"/ap"), b"", "other bytes give nothing");
}

#[test]
fn the_root_has_no_segments() {
    let target = accepted("/");
    assert!(target.is_empty());
    assert_eq!(target.path(b"/"), b"/");
    assert_eq!(target.query(b"/"), None);
    assert_eq!(accepted("/?").query(b"/?"), Some(&b""[..]));
}

#[test]
fn a_segment_is_decoded_into_a_buffer_only_if_it_fits() {
    let text = b"/abcd/a%62c%64";
    let target = Target::parse(text).expect("valid");
    for index in [0, 1] {
        assert_eq!(target.decode_into(index, text, &mut [0; 4]), Some(&b"abcd"[..]));
        assert_eq!(target.decode_into(index, text, &mut [0; 3]), None);
    }
}

#[test]
fn a_query_may_hold_anything_that_cannot_break_a_request_line() {
    for text in ["/a?x=%zz", "/a?a;b", "/a?\\", "/a?x=/../", "/a?x=%2f%00", "/a??", "/a?x={\"y\":1}"] {
        accepted(text);
    }
    for byte in (0_u8..=0x20).chain([b'#', 0x7f, 0x80, 0xff]) {
        refused(&[b'/', b'a', b'?', b'x', byte]);
    }
}

#[test]
fn internal_is_noticed_in_any_case_and_encoding() {
    for text in ["/internal", "/a/INTERNAL/b", "/a/%69nternal", "/a/InTeRnA%6c/", "/%49%4eternal?x"] {
        assert!(accepted(text).names_internal(), "{text}");
    }
    for text in
        ["/internals", "/interna", "/a-internal", "/a?internal", "/%2569nternal", "/internal%20", "/i"]
    {
        assert!(!accepted(text).names_internal(), "{text}");
    }
}

#[test]
fn query_tenants_are_found_under_every_spelling() {
    let query =
        b"tenantId=a&TENANT_ID=b&x=c&tenant%5Fid=%64&tenantId[]=e&tenantId%5B0%5D=f&tenantid&tenant=g&&=h";
    let found: Vec<Vec<u8>> = query_tenants(query).map(Cow::into_owned).collect();
    assert_eq!(found, [&b"a"[..], b"b", b"d", b"e", b"f", b""]);
    assert_eq!(query_tenants(b"").count(), 0);
}

#[test]
fn contradicting_query_values_are_several() {
    let names = ["venueId", "venue_id"];
    assert_eq!(query_value(b"a=b", &names), QueryValue::Absent);
    assert_eq!(query_value(b"venueId=a+b%2", &names), QueryValue::One(Cow::Borrowed(b"a b%2")));
    assert_eq!(query_value(b"venueId=a&VENUE_ID=a", &names), QueryValue::One(Cow::Borrowed(b"a")));
    assert_eq!(query_value(b"venueId=a&venue_id=b", &names), QueryValue::Several);
}

#[test]
fn identifiers_compare_by_bytes_unless_they_are_uuids() {
    let uuid = b"0a1b2c3d-1111-4222-8333-44445555ABCD";
    assert!(is_uuid(uuid));
    assert!(same_identifier(uuid, &uuid.to_ascii_lowercase()));
    assert!(same_identifier(b"abc", b"abc"));
    assert!(!same_identifier(b"abc", b"ABC"));
    assert!(!same_identifier(uuid, b"0a1b2c3d-1111-4222-8333-44445555abce"));
    for text in [
        "",
        "0a1b2c3d-1111-4222-8333-44445555ABC",
        "0a1b2c3d11111-4222-8333-44445555ABCD",
        "0a1b2c3g-1111-4222-8333-44445555ABCD",
        "0a1b2c3d-1111-4222-8333-44445555ABCDE",
    ] {
        assert!(!is_uuid(text.as_bytes()), "{text}");
    }
}

/// The target put together again from what it tells.
fn joined(target: &Target, bytes: &[u8]) -> Vec<u8> {
    let mut whole: Vec<u8> =
        (0..target.len()).flat_map(|index| [b"/", target.segment(index, bytes)].concat()).collect();
    if target.is_empty() || target.trailing_slash() {
        whole.push(b'/');
    }
    if let Some(query) = target.query(bytes) {
        whole.push(b'?');
        whole.extend(query);
    }
    whole
}

proptest! {
    #[test]
    fn any_bytes_are_answered_and_an_accepted_target_is_its_segments(
        bytes in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let path = [b"/".to_vec(), bytes].concat();
        if let Ok(target) = Target::parse(&path) {
            prop_assert_eq!(joined(&target, &path), path);
        }
    }
}
