//! What a confirmed change of a tenant's status says: whose tokens it withdraws, if any (platform section 4).

use crate::config::tokens::TenantFormat;
use crate::http::target;
use crate::identity::verifier::tenant;
use serde::Deserializer;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;

/// Where auth-service keeps its tenants.
pub const TENANTS: &[u8] = b"/auth/admin/tenants/";

/// The body of the request, as far as it is known.
#[derive(Clone, Copy, Debug)]
pub enum TenantStatus<'b> {
    Sent(&'b [u8]),
    /// It streams: the row does not have it read.
    Unseen,
}

impl TenantStatus<'_> {
    /// The tenant that may be closed by a PUT to this path, without its query, which the service has confirmed.
    #[must_use]
    pub fn withdraws(self, path: &[u8]) -> Option<String> {
        named(path).filter(|_| self.may_close())
    }

    /// Whether the confirmed body may have closed the tenant. It has not if all that it says of a status is `active`,
    /// or if it says nothing. In doubt it has: whoever understands it otherwise than the service would leave a
    /// suspended tenant's tokens good, and the other mistake costs a log-in.
    fn may_close(self) -> bool {
        let TenantStatus::Sent(body) = self else { return true };
        let mut reader = serde_json::Deserializer::from_slice(body);
        let read = reader.deserialize_map(Statuses);
        read.and_then(|closes| reader.end().map(|()| closes)).unwrap_or(true)
    }
}

/// The tenant whose status is set, if any token can name it. The service decodes the segment, and so does this.
fn named(path: &[u8]) -> Option<String> {
    let segment = path.strip_prefix(TENANTS)?.strip_suffix(b"/status")?;
    let decoded = target::decode(segment);
    tenant(TenantFormat::Opaque, str::from_utf8(&decoded).ok()?)
}

/// Reads an object; whether any of its members named `status` is something else than `active`. A name may come
/// twice, and services differ in which one they take.
struct Statuses;

impl<'de> Visitor<'de> for Statuses {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<bool, A::Error> {
        let mut closes = false;
        while let Some(name) = members.next_key::<Cow<'de, str>>()? {
            if name == "status" {
                let value: Value = members.next_value()?;
                closes |= value.as_str() != Some("active");
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(closes)
    }
}

#[cfg(test)]
mod tests;
