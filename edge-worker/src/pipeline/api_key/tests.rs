//! What a key looks like, who is shown one, and which requests it is not for.

use super::*;
use crate::config::routes::load;
use crate::config::services::SERVICES;
use crate::http::method::Method;
use crate::http::target::Target;
use crate::pipeline::route::{Found, RouteTable};

const OWN: &str = "0190e2f4-aaaa-7bbb-8ccc-00112233aabb";
const OTHER: &str = "0190e2f4-ffff-7bbb-8ccc-00112233aabb";

#[test]
fn a_key_is_32_to_128_letters_digits_dots_underscores_and_hyphens() {
    let legal_bytes = b"ABCZabcz0189._-";
    let of = |bytes: &[u8], length: usize| bytes.iter().copied().cycle().take(length).collect::<Vec<u8>>();
    for length in [32, 33, 128] {
        let key = of(legal_bytes, length);
        assert_eq!(legal(&key).map(str::as_bytes), Some(key.as_slice()), "{length}");
    }
    for length in [0, 1, 31, 129, 8_000] {
        assert_eq!(legal(&of(legal_bytes, length)), None, "{length}");
    }
    for byte in *b" *:/{}\\\"'?[]%,;=@\n\0\xff\xc3" {
        let mut key = of(legal_bytes, 40);
        key[20] = byte;
        assert_eq!(legal(&key), None, "{byte:#x}");
    }
}

#[test]
fn venue_and_integration_service_are_shown_a_key_and_nobody_else() {
    for service in &SERVICES {
        let id = ServiceId::find(service.name).expect("it is in the table");
        assert_eq!(
            VenueKey(()).is_for(id),
            matches!(service.name, "venue" | "integration"),
            "{}",
            service.name
        );
    }
}

#[test]
fn path_and_query_name_the_venue_that_must_be_the_keys() {
    let table =
        RouteTable::new(load(None, &["mandrill".to_owned()], &[]).expect("the built-in table is valid"));
    let digests = Digests::new([7; 32]);
    let own = digests.venue(OWN);
    let upper = OWN.to_ascii_uppercase();
    for (path, expected) in [
        (format!("/api/v1/venues/{OWN}"), false),
        (format!("/api/v1/venues/{upper}"), false),
        (format!("/api/v1/venues/{OTHER}"), true),
        (format!("/api/v1/venues/{OTHER}/settings"), true),
        (format!("/api/v1/venues/{OWN}/settings"), false),
        (format!("/api/v1/venues/{OWN}/settings?venueId={OTHER}"), false),
        ("/api/v1/venues/no-uuid".to_owned(), true),
        ("/api/v1/venues/%FF".to_owned(), true),
        ("/api/v1/venues".to_owned(), false),
        (format!("/api/v1/venues?venueId={OTHER}"), false),
        ("/api/v1/integrations/list".to_owned(), false),
        (format!("/api/v1/integrations/list?venueId={OWN}"), false),
        (format!("/api/v1/integrations/list?venue_id={OTHER}"), true),
        (format!("/api/v1/integrations/list?VenueID={OTHER}"), true),
        (format!("/api/v1/integrations/list?venueId={OWN}&venue_id={OTHER}"), true),
    ] {
        let target = Target::parse(path.as_bytes()).expect("the path keeps the rules");
        let Ok(Found::Row(matched)) = table.find(Method::Get, &target, path.as_bytes()) else {
            panic!("no row for {path}");
        };
        assert_eq!(is_about_another(&own, &digests, &matched, path.as_bytes()), expected, "{path}");
    }
}
