//! What a security event says besides who and where: the venue and the permission that were asked for.
//!
//! Looked at only for requests that have an event.

use super::route::Matched;
use crate::config::routes::{Access, Row, Target, VenueFrom, VenueNeed};
use crate::config::services::ServiceId;
use crate::http::target::query::{QueryValue, query_value};
use crate::identity::uuid::is_uuid;
use std::borrow::Cow;

/// Under which names, in any case, a query speaks of a venue.
pub const VENUE_NAMES: [&str; 2] = ["venueid", "venue_id"];

/// The venue that a request is about, by the rule of its row. What is no UUID is a client's text and stays out.
#[must_use]
pub fn venue(matched: &Matched<'_>, target: &[u8]) -> Option<[u8; 16]> {
    venues_of(&matched.row().access).find_map(|from| {
        let text = match from {
            VenueFrom::Segment(segment) => matched.decoded(segment, target),
            VenueFrom::Query => match matched.query(target).map(|query| query_value(query, &VENUE_NAMES)) {
                Some(QueryValue::One(venue)) => venue,
                _ => Cow::Borrowed(&[][..]),
            },
        };
        uuid(&text)
    })
}

/// The permission that a row asks for.
#[must_use]
pub fn permission(access: &Access) -> Option<&str> {
    match access {
        Access::Permission(permission) | Access::Staff(permission) => Some(permission),
        Access::Venue { need: VenueNeed::Permission(permission), .. } => Some(permission),
        Access::Any(members) => members.iter().find_map(permission),
        _ => None,
    }
}

/// Whether a row is the one where refresh tokens are exchanged.
#[must_use]
pub fn is_refresh(row: &Row) -> bool {
    let to_auth =
        matches!(row.target, Target::Service { service, .. } if ServiceId::find("auth") == Some(service));
    to_auth && row.template.ends_with("/auth/refresh")
}

/// Where the rule of a row finds its venues.
pub(super) fn venues_of(access: &Access) -> impl Iterator<Item = VenueFrom> {
    let members = match access {
        Access::Any(members) => members.as_slice(),
        other => std::slice::from_ref(other),
    };
    members.iter().filter_map(|member| match member {
        Access::Venue { venue, .. } => Some(*venue),
        _ => None,
    })
}

fn uuid(text: &[u8]) -> Option<[u8; 16]> {
    if !is_uuid(text) {
        return None;
    }
    let digits: String = text.iter().filter(|byte| **byte != b'-').map(|byte| char::from(*byte)).collect();
    u128::from_str_radix(&digits, 16).ok().map(u128::to_be_bytes)
}

#[cfg(test)]
mod tests;
