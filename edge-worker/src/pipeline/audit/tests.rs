//! Venue and permission of rows of the platform's table.

use super::*;
use crate::config::routes::load;
use crate::http::method::Method;
use crate::http::target::Target as RequestTarget;
use crate::pipeline::route::{Found, RouteTable};

const VENUE: &str = "0190e2f4-AAAA-7bbb-8ccc-00112233aabb";
const VENUE_BYTES: u128 = 0x0190_e2f4_aaaa_7bbb_8ccc_0011_2233_aabb;

/// What the row of this request says about venue, permission and refresh tokens.
fn read(method: Method, path: &str) -> (Option<u128>, Option<String>, bool) {
    let table =
        RouteTable::new(load(None, &["mandrill".to_owned()], &[]).expect("the built-in table is valid"));
    let target = RequestTarget::parse(path.as_bytes()).expect("the path keeps the rules");
    let Ok(Found::Row(matched)) = table.find(method, &target, path.as_bytes()) else {
        panic!("no row for {path}");
    };
    let row = matched.row();
    let venue = venue(&matched, path.as_bytes()).map(u128::from_be_bytes);
    (venue, permission(&row.access).map(str::to_owned), is_refresh(row))
}

#[test]
fn the_venue_is_the_segment_or_the_query_of_the_row() {
    let by_path = format!("/api/v1/venues/{VENUE}/settings");
    assert_eq!(read(Method::Get, &by_path), (Some(VENUE_BYTES), None, false));
    let by_query = format!("/api/v1/reports/daily?x=1&VenueId={VENUE}");
    assert_eq!(read(Method::Get, &by_query), (Some(VENUE_BYTES), Some("reports:view".to_owned()), false));
}

#[test]
fn what_is_no_uuid_or_not_asked_for_is_no_venue() {
    assert_eq!(read(Method::Get, "/api/v1/venues/fan@example.com/settings").0, None);
    let twice = format!("/api/v1/reports/daily?venueId={VENUE}&venueId=0190e2f4-aaaa-7bbb-8ccc-001122334455");
    assert_eq!(read(Method::Get, &twice).0, None);
    assert_eq!(read(Method::Get, &format!("/api/v1/tickets?venueId={VENUE}")).0, None);
}

#[test]
fn the_permission_is_the_rows() {
    assert_eq!(read(Method::Post, "/api/v1/tickets/purchase").1, Some("tickets:purchase".to_owned()));
    assert_eq!(read(Method::Post, "/api/v1/scan").1, Some("tickets:validate".to_owned()));
    assert_eq!(read(Method::Get, "/api/v1/tickets").1, None);
}

#[test]
fn one_row_exchanges_refresh_tokens() {
    assert!(read(Method::Post, "/api/v1/auth/refresh").2);
    assert!(!read(Method::Post, "/api/v1/auth/login").2);
    assert!(!read(Method::Post, "/api/v1/auth/logout").2);
}
