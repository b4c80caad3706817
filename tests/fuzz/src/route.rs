//! Targets and the route table: whatever a client writes, what goes upstream stays below its row's own prefix, and
//! no reading of it, decoded once or not, leaves that prefix again.

use edge_worker::config::routes::{Part, Target as Destination, load};
use edge_worker::http::method::Method;
use edge_worker::http::target::{SEGMENTS_MAX, Target};
use edge_worker::pipeline::rejection::Rejection;
use edge_worker::pipeline::route::{Found, Matched, RouteTable, check_query_tenant};
use std::sync::OnceLock;

/// The first byte chooses the method, the rest is the target. Panics where something does not hold.
pub fn check(input: &[u8]) {
    static TABLE: OnceLock<RouteTable> = OnceLock::new();
    let Some((first, bytes)) = input.split_first() else { return };
    let method = Method::ALL[usize::from(*first) % Method::ALL.len()];
    let table = TABLE.get_or_init(|| {
        RouteTable::new(load(None, &["mandrill".to_owned()], &[]).expect("the built-in table is valid"))
    });
    let Ok(target) = Target::parse(bytes) else { return };
    is_made_of_its_segments(&target, bytes);
    match table.find(method, &target, bytes) {
        Ok(Found::Row(matched)) => {
            assert!(!target.names_internal() && matched.row().target != Destination::Deny);
            assert!(matched.row().methods.contains(method));
            stays_below_its_row(&matched, bytes);
            let tenant = check_query_tenant(&matched, bytes, Some("11111111-2222-4333-8444-555555555555"));
            assert!(tenant.is_ok() || matched.query(bytes).is_some());
        }
        Ok(Found::Options(methods)) => assert!(method == Method::Options && methods.contains(method)),
        Err(Rejection::MethodNotAllowed(methods)) => assert!(!methods.contains(method)),
        Err(rejection) => assert_eq!(rejection, Rejection::NotFound),
    }
}

fn is_made_of_its_segments(target: &Target, bytes: &[u8]) {
    assert!(target.len() <= SEGMENTS_MAX);
    let mut whole = Vec::new();
    for index in 0..target.len() {
        let segment = target.segment(index, bytes);
        assert!(super::lies_within(segment, bytes) && !segment.is_empty());
        whole.push(b'/');
        whole.extend_from_slice(segment);
    }
    if target.is_empty() || target.trailing_slash() {
        whole.push(b'/');
    }
    if let Some(query) = target.query(bytes) {
        whole.push(b'?');
        whole.extend_from_slice(query);
    }
    assert_eq!(whole, bytes);
}

fn stays_below_its_row(matched: &Matched<'_>, bytes: &[u8]) {
    let mut upstream = Vec::new();
    matched.write_upstream(bytes, &mut upstream);
    let Destination::Service { upstream: parts, .. } = &matched.row().target else {
        assert!(upstream.is_empty());
        return;
    };
    if let Some(Part::Literal(prefix)) = parts.first() {
        assert!(upstream.starts_with(prefix.as_bytes()));
    }
    assert!(upstream.first() == Some(&b'/') && upstream.iter().all(u8::is_ascii_graphic));
    let path = upstream.split(|byte| *byte == b'?').next().unwrap_or_default();
    let once = decoded(path);
    assert!(!once.iter().any(|byte| *byte < 0x20 || matches!(byte, b'\\' | 0x7f)));
    let slashes = |path: &[u8]| path.iter().filter(|byte| **byte == b'/').count();
    for view in [path, &once, &decoded(&once)] {
        assert_eq!(slashes(view), slashes(path));
        assert!(!view.split(|byte| *byte == b'/').any(|segment| matches!(segment, b"." | b"..")));
    }
    assert!(!once.split(|byte| *byte == b'/').any(|segment| segment.eq_ignore_ascii_case(b"internal")));
}

/// Percent-decoded once, by other code than the edge's own; a malformed escape stays.
fn decoded(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut left = text;
    while let Some((byte, after)) = left.split_first() {
        let escape = after.get(..2).filter(|_| *byte == b'%');
        let digits = escape.and_then(|digits| std::str::from_utf8(digits).ok());
        let digits = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(value) => {
                decoded.push(value);
                left = &after[2..];
            }
            None => {
                decoded.push(*byte);
                left = after;
            }
        }
    }
    decoded
}
