//! What the edge reads of a query, without ever changing it: tenants and venues.

use super::{Decoded, Plus};
use crate::identity::uuid::same_id;
use std::borrow::Cow;

/// What a query says under one of several names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryValue<'q> {
    Absent,
    One(Cow<'q, [u8]>),
    /// Values that contradict each other. A service may read any of them, so none can be believed.
    Several,
}

/// Decoded values of `tenantId` and `tenant_id`, names decoded and in any case.
pub fn query_tenants(query: &[u8]) -> impl Iterator<Item = Cow<'_, [u8]>> {
    query_values(query, &["tenantid", "tenant_id"])
}

/// The decoded value under `names`, which are matched in any case.
#[must_use]
pub fn query_value<'q>(query: &'q [u8], names: &[&str]) -> QueryValue<'q> {
    let mut values = query_values(query, names);
    let Some(first) = values.next() else { return QueryValue::Absent };
    if values.all(|value| same_id(&value, &first)) { QueryValue::One(first) } else { QueryValue::Several }
}

/// Every decoded value under `names`. A name may be written as a list element (`tenantId[]`, `tenantId[0]`),
/// because parsers of the services read that as the same parameter.
fn query_values<'q>(query: &'q [u8], names: &[&str]) -> impl Iterator<Item = Cow<'q, [u8]>> {
    query.split(|byte| *byte == b'&').filter_map(move |pair| {
        let (name, value) = match pair.iter().position(|byte| *byte == b'=') {
            Some(equals) => (pair.get(..equals)?, pair.get(equals + 1..)?),
            None => (pair, &[][..]),
        };
        let name = decode(name, Plus::Space);
        let bare = name.split(|byte| *byte == b'[').next()?;
        let named = names.iter().any(|wanted| bare.eq_ignore_ascii_case(wanted.as_bytes()));
        named.then(|| decode(value, Plus::Space))
    })
}

/// Decodes once. A malformed escape stays as it is, as lenient parsers read it.
pub(super) fn decode(text: &[u8], plus: Plus) -> Cow<'_, [u8]> {
    let plain = |byte: &u8| *byte != b'%' && (plus == Plus::Literal || *byte != b'+');
    if text.iter().all(plain) {
        return Cow::Borrowed(text);
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut left = Decoded(text);
    while let Some((&raw, _)) = left.0.split_first() {
        match left.next().flatten() {
            Some(b'+') if raw == b'+' && plus == Plus::Space => decoded.push(b' '),
            Some(byte) => decoded.push(byte),
            None => decoded.push(raw),
        }
    }
    Cow::Owned(decoded)
}
