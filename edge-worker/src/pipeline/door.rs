//! The door of a route: what can be refused before anybody's token is looked at.

use super::address::Claimed;
use super::authorise::Scraper;
use super::parse::Request;
use super::rejection::Rejection;
use super::route::{Matched, check_query_tenant};
use super::shedding;
use crate::config::routes::{Access, Row, Target};
use crate::http::head::BodyFraming;
use crate::worker::Worker;
use std::net::IpAddr;

/// Evidence that a request may be looked at, and what the row allows it.
pub struct Admission {
    /// Payload bytes of its body.
    pub body_bytes_max: u64,
    /// The client's address is one of METRICS_ALLOWED_CIDRS.
    scraper: bool,
    public: bool,
}

impl Admission {
    #[must_use]
    pub fn scraper(&self) -> Scraper {
        if self.scraper { Scraper::Allowed } else { Scraper::Foreign }
    }

    /// False on public rows: a token that is sent there passes unread.
    #[must_use]
    pub fn needs_identity(&self) -> bool {
        !self.public
    }
}

/// Sheds what the node has no room for, checks the declared size, and on public rows that no tenant is chosen by query.
///
/// # Errors
/// `Shed`, `BodyTooLarge`, `TenantInPublicQuery`, `NotFound` for a scrape from elsewhere.
pub fn admit(
    worker: &Worker,
    request: &Request<'_>,
    matched: &Matched<'_>,
    claimed: &Claimed,
) -> Result<Admission, Rejection> {
    let row = matched.row();
    shedding::admit(worker, row.class)?;
    let body_bytes_max = body_bytes_max(worker, row);
    let too_large = match request.head.framing() {
        BodyFraming::None => false,
        BodyFraming::Length(length) => length > body_bytes_max,
        BodyFraming::Chunked => body_bytes_max == 0,
    };
    if too_large {
        return Err(Rejection::BodyTooLarge);
    }
    let scraper = may_scrape(worker, claimed.client);
    if row.access == Access::Scrapers && !scraper {
        return Err(Rejection::NotFound);
    }
    let public = row.access.is_public();
    if public {
        check_query_tenant(matched, request.target_bytes, None)?;
    }
    Ok(Admission { body_bytes_max, scraper, public })
}

fn body_bytes_max(worker: &Worker, row: &Row) -> u64 {
    match (row.body_bytes_max, &row.target) {
        (Some(own), _) => own,
        (None, Target::Service { service, .. }) => {
            worker.settings.services.get(usize::from(service.0)).map_or(0, |service| service.body_bytes_max)
        }
        (None, _) => 0,
    }
}

fn may_scrape(worker: &Worker, client: IpAddr) -> bool {
    worker.settings.local.metrics_allowed.iter().any(|network| network.contains(&client))
}
