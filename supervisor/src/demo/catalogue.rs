//! Venues, events and tickets of the demo's two tenants.

use super::people::{AURORA, BOREALIS, HALL};
use serde_json::{Value, json};

/// Venues of a tenant.
#[must_use]
pub fn venues(tenant: &str) -> Vec<Value> {
    let all = [
        (HALL, AURORA.id, "Aurora Hall", "Helsinki", 1_800),
        (CLUB, AURORA.id, "The Lantern", "Tampere", 350),
        (MEADOW, BOREALIS.id, "Borealis Meadow", "Oulu", 25_000),
    ];
    let own = all.into_iter().filter(|venue| venue.1 == tenant);
    own.map(|(id, tenant, name, city, capacity)| {
        json!({ "id": id, "tenantId": tenant, "name": name, "city": city, "maxCapacity": capacity })
    })
    .collect()
}

/// Events of a tenant.
#[must_use]
pub fn events(tenant: &str) -> Vec<Value> {
    let all = [
        (OPENING, AURORA.id, HALL, "Northern Lights Live", "2027-03-05T19:00:00Z", 6_900, 412),
        (JAZZ, AURORA.id, CLUB, "Late Jazz", "2027-03-12T21:30:00Z", 2_500, 37),
        (SUMMER, BOREALIS.id, MEADOW, "Midsummer Festival", "2027-06-18T12:00:00Z", 14_900, 9_800),
    ];
    let own = all.into_iter().filter(|event| event.1 == tenant);
    own.map(|(id, tenant, venue, name, starts, price_cents, available)| {
        json!({
            "id": id, "tenantId": tenant, "venueId": venue, "name": name, "startsAt": starts,
            "priceCents": price_cents, "available": available, "status": "ON_SALE",
        })
    })
    .collect()
}

/// Tickets that a user holds.
#[must_use]
pub fn tickets(tenant: &str, user: &str) -> Vec<Value> {
    let event = if tenant == AURORA.id { OPENING } else { SUMMER };
    vec![json!({
        "id": "7c1e7000-0000-4000-8000-000000000001", "tenantId": tenant, "ownerId": user,
        "eventId": event, "section": "B", "row": 12, "seat": 7, "status": "ACTIVE",
    })]
}

/// The member of a list with this id.
#[must_use]
pub fn find(list: Vec<Value>, id: &str) -> Option<Value> {
    list.into_iter().find(|entry| entry.get("id").and_then(Value::as_str) == Some(id))
}

const CLUB: &str = "7e000000-0000-4000-8000-000000000002";
const MEADOW: &str = "7e000000-0000-4000-8000-000000000003";
const OPENING: &str = "e7e70000-0000-4000-8000-000000000001";
const JAZZ: &str = "e7e70000-0000-4000-8000-000000000002";
const SUMMER: &str = "e7e70000-0000-4000-8000-000000000003";
