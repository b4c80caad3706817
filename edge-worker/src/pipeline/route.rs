//! Stage: finds the row of a request. The only maker of [`Matched`], and the only writer of upstream paths.
//!
//! The table becomes a tree with one level a segment. A search goes down the literal, then the parameter,
//! then the remainder, and steps back where the method is missing, so that the most specific row wins segment
//! by segment. Each node of the tree is visited at most once, whatever the path.

use super::rejection::Rejection;
use crate::config::routes::pattern::{LITERAL_BYTES_MAX, parts};
use crate::config::routes::{Part, Row, Segment, Target as Destination};
use crate::config::services::ServiceId;
use crate::http::method::{Method, MethodSet};
use crate::http::target::query::query_tenants;
use crate::http::target::{Target, TargetFault};
use crate::identity::uuid::{is_uuid, same_id};
use std::borrow::Cow;

/// The compiled table.
#[derive(Debug)]
pub struct RouteTable {
    rows: Vec<Row>,
    /// Parallel to `rows`: successor paths of deprecated aliases.
    successors: Vec<Vec<Part>>,
    nodes: Vec<Node>,
}

/// What a request's method and path lead to.
#[derive(Debug)]
pub enum Found<'t> {
    Row(Matched<'t>),
    /// OPTIONS on a known path: answered 204 with this `Allow`.
    Options(MethodSet),
}

/// Evidence that a target stays inside one row. Accessors want the bytes the target was parsed from.
#[derive(Clone, Copy, Debug)]
pub struct Matched<'t> {
    table: &'t RouteTable,
    row: &'t Row,
    index: usize,
    target: &'t Target,
}

#[derive(Debug, Default)]
struct Node {
    /// Sorted by prefix.
    literals: Vec<Literal>,
    parameter: Option<usize>,
    /// Rows that end here.
    exact: Vec<Candidate>,
    /// Rows that take this prefix and everything below.
    rest: Vec<Candidate>,
}

#[derive(Debug)]
struct Literal {
    /// The word's first eight bytes as one number: most comparisons of a search end there.
    prefix: u64,
    /// Lower case.
    word: Box<[u8]>,
    node: usize,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    row: usize,
    methods: MethodSet,
    /// Public rows match in the table's spelling only.
    spelled: bool,
}

impl RouteTable {
    /// Compiles rows that the configuration has checked.
    #[must_use]
    pub fn new(rows: Vec<Row>) -> RouteTable {
        let successors = rows.iter().map(successor).collect();
        let mut table = RouteTable { rows: Vec::new(), successors, nodes: vec![Node::default()] };
        for (index, row) in rows.iter().enumerate() {
            table.insert(index, row);
        }
        table.rows = rows;
        table
    }

    /// The rows in the order of the configuration.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Finds the row of a request.
    ///
    /// # Errors
    /// `NotFound` for an unknown or denied path, `MethodNotAllowed` for a known path without this method.
    pub fn find<'t>(
        &'t self,
        method: Method,
        target: &'t Target,
        bytes: &[u8],
    ) -> Result<Found<'t>, Rejection> {
        if target.names_internal() {
            return Err(Rejection::NotFound);
        }
        let search = Search { table: self, method, target, bytes };
        if let Some(index) = search.below(ROOT, 0)
            && let Some(row) = self.rows.get(index)
        {
            if row.target == Destination::Deny {
                return Err(Rejection::NotFound);
            }
            return Ok(Found::Row(Matched { table: self, row, index, target }));
        }
        let allowed = self.allowed(target, bytes);
        match method {
            _ if allowed.is_empty() => Err(Rejection::NotFound),
            Method::Options => Ok(Found::Options(allowed)),
            _ => Err(Rejection::MethodNotAllowed(allowed)),
        }
    }

    /// Methods with which the path leads somewhere, and OPTIONS; none if there is no other.
    fn allowed(&self, target: &Target, bytes: &[u8]) -> MethodSet {
        let mut allowed = MethodSet::NONE;
        for method in MethodSet::ANY.iter() {
            let found = Search { table: self, method, target, bytes }.below(ROOT, 0);
            let row = found.and_then(|index| self.rows.get(index));
            if row.is_some_and(|row| row.target != Destination::Deny) {
                allowed = allowed.union(MethodSet::of(&[method, Method::Options]));
            }
        }
        allowed
    }

    fn insert(&mut self, index: usize, row: &Row) {
        let mut place = ROOT;
        let mut rest = false;
        for segment in &row.segments {
            let next = self.nodes.len();
            let Some(node) = self.nodes.get_mut(place) else { return };
            place = match segment {
                Segment::Literal(word) => node.literal(word.to_ascii_lowercase().into_bytes(), next),
                Segment::Parameter(_) => *node.parameter.get_or_insert(next),
                Segment::Rest => {
                    rest = true;
                    break;
                }
            };
            if place == next {
                self.nodes.push(Node::default());
            }
        }
        let reads = if row.methods.contains(Method::Get) { MethodSet::READ } else { MethodSet::NONE };
        let candidate =
            Candidate { row: index, methods: row.methods.union(reads), spelled: row.access.is_public() };
        if let Some(node) = self.nodes.get_mut(place) {
            if rest { node.rest.push(candidate) } else { node.exact.push(candidate) }
        }
    }
}

impl<'t> Matched<'t> {
    /// The row.
    #[must_use]
    pub fn row(&self) -> &'t Row {
        self.row
    }

    /// Index of the row in the configuration.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// Segment `index` of the path, as the client sent it.
    #[must_use]
    pub fn segment<'b>(&self, index: u8, bytes: &'b [u8]) -> &'b [u8] {
        self.target.segment(usize::from(index), bytes)
    }

    /// Segment `index` of the path, decoded once, for comparisons.
    #[must_use]
    pub fn decoded<'b>(&self, index: u8, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        self.target.decoded(usize::from(index), bytes)
    }

    /// The query, as the client sent it, without its question mark.
    #[must_use]
    pub fn query<'b>(&self, bytes: &'b [u8]) -> Option<&'b [u8]> {
        self.target.query(bytes)
    }

    /// The service the request goes to; `None` for local answers.
    #[must_use]
    pub fn service(&self) -> Option<ServiceId> {
        match self.row.target {
            Destination::Service { service, .. } => Some(service),
            Destination::Local(_) | Destination::Deny => None,
        }
    }

    /// Appends the upstream target: the row's literals, the client's segments and query byte for byte. Writes
    /// nothing for local answers.
    pub fn write_upstream(&self, bytes: &[u8], out: &mut Vec<u8>) {
        let Destination::Service { upstream, .. } = &self.row.target else { return };
        for part in upstream {
            match part {
                Part::Literal(literal) => out.extend_from_slice(literal.as_bytes()),
                Part::Segment(index) => {
                    out.push(b'/');
                    out.extend_from_slice(self.segment(*index, bytes));
                }
                Part::RestFrom(index) => out.extend_from_slice(self.target.rest(usize::from(*index), bytes)),
            }
        }
        // A row whose whole path is the remainder, on its bare prefix.
        if upstream.first().is_some_and(|part| matches!(part, Part::RestFrom(_)))
            && self.target.len() == self.row.segments.len() - 1
        {
            out.push(b'/');
        }
        if let Some(query) = self.query(bytes) {
            out.push(b'?');
            out.extend_from_slice(query);
        }
    }

    /// Appends the successor path of a deprecated alias, safe inside the angle brackets of `Link` (RFC 8288
    /// section 3). Writes nothing if the row is not deprecated.
    pub fn write_successor(&self, bytes: &[u8], out: &mut Vec<u8>) {
        for part in self.table.successors.get(self.index).into_iter().flatten() {
            match part {
                Part::Literal(literal) => out.extend_from_slice(literal.as_bytes()),
                Part::Segment(index) => {
                    out.push(b'/');
                    write_bracketed(self.segment(*index, bytes), out);
                }
                Part::RestFrom(index) => write_bracketed(self.target.rest(usize::from(*index), bytes), out),
            }
        }
    }

    /// The segments that the row wants as UUIDs.
    ///
    /// # Errors
    /// `InvalidUuid` if one is not.
    pub fn check_uuids(&self, bytes: &[u8]) -> Result<(), Rejection> {
        let wanted = &self.row.notes.uuid_segments;
        if wanted.iter().all(|index| is_uuid(&self.decoded(*index, bytes))) {
            Ok(())
        } else {
            Err(Rejection::InvalidUuid)
        }
    }
}

/// A tenant in the query must be the token's; `tenant` is `None` where no token was verified.
///
/// # Errors
/// `TenantInPublicQuery` on public rows outside the auth service, else `CrossTenant`.
pub fn check_query_tenant(
    matched: &Matched<'_>,
    bytes: &[u8],
    tenant: Option<&str>,
) -> Result<(), Rejection> {
    let Some(query) = matched.query(bytes) else { return Ok(()) };
    let mut tenants = query_tenants(query);
    if matched.row().access.is_public() {
        let refused = matched.service() != Some(AUTH) && tenants.next().is_some();
        return if refused { Err(Rejection::TenantInPublicQuery) } else { Ok(()) };
    }
    let own = tenant.unwrap_or_default().as_bytes();
    if tenants.all(|asked| !own.is_empty() && same_id(&asked, own)) {
        Ok(())
    } else {
        Err(Rejection::CrossTenant)
    }
}

impl From<TargetFault> for Rejection {
    fn from(fault: TargetFault) -> Rejection {
        match fault {
            TargetFault::TooLong => Rejection::TargetTooLong,
            TargetFault::Invalid => Rejection::InvalidPath,
        }
    }
}

impl Node {
    /// The node below the lower-case `word`, which is `next` if it is new.
    fn literal(&mut self, word: Vec<u8>, next: usize) -> usize {
        if let Some(node) = self.child(&word) {
            return node;
        }
        let prefix = prefix(&word);
        let position = self.literals.partition_point(|literal| literal.prefix < prefix);
        self.literals.insert(position, Literal { prefix, word: word.into_boxed_slice(), node: next });
        next
    }

    /// The node below `word` in any case.
    fn child(&self, word: &[u8]) -> Option<usize> {
        let wanted = prefix(word);
        let first = self.literals.partition_point(|literal| literal.prefix < wanted);
        let alike = self.literals.get(first..)?.iter().take_while(|literal| literal.prefix == wanted);
        let mut same = alike.filter(|literal| literal.word.eq_ignore_ascii_case(word));
        same.next().map(|literal| literal.node)
    }
}

/// The first eight bytes in lower case, as a number.
fn prefix(word: &[u8]) -> u64 {
    let mut first = [0; 8];
    match word.first_chunk() {
        Some(chunk) => first = *chunk,
        None => first.iter_mut().zip(word).for_each(|(to, from)| *to = *from),
    }
    first.make_ascii_lowercase();
    u64::from_be_bytes(first)
}

/// One walk down the tree.
struct Search<'s> {
    table: &'s RouteTable,
    method: Method,
    target: &'s Target,
    bytes: &'s [u8],
}

impl Search<'_> {
    /// The best row below `place`, whose path has `depth` segments. Recursion ends with the table's depth.
    fn below(&self, place: usize, depth: usize) -> Option<usize> {
        let node = self.table.nodes.get(place)?;
        if depth == self.target.len() {
            return self.choose(&node.exact).or_else(|| self.choose(&node.rest));
        }
        self.literal(node, depth)
            .and_then(|child| self.below(child, depth + 1))
            .or_else(|| self.below(node.parameter?, depth + 1))
            .or_else(|| self.choose(&node.rest))
    }

    fn literal(&self, node: &Node, depth: usize) -> Option<usize> {
        if node.literals.is_empty() {
            return None;
        }
        if !self.target.is_encoded(depth) {
            return node.child(self.target.segment(depth, self.bytes));
        }
        let mut scratch = [0; LITERAL_BYTES_MAX];
        node.child(self.target.decode_into(depth, self.bytes, &mut scratch)?)
    }

    fn choose(&self, candidates: &[Candidate]) -> Option<usize> {
        let fits = |candidate: &&Candidate| {
            candidate.methods.contains(self.method)
                && (!candidate.spelled || self.is_spelled_as(candidate.row))
        };
        candidates.iter().find(fits).map(|candidate| candidate.row)
    }

    fn is_spelled_as(&self, row: usize) -> bool {
        let segments = self.table.rows.get(row).map(|row| row.segments.as_slice()).unwrap_or_default();
        segments.iter().enumerate().all(|(index, segment)| match segment {
            Segment::Literal(word) => *self.target.decoded(index, self.bytes) == *word.as_bytes(),
            Segment::Parameter(_) | Segment::Rest => true,
        })
    }
}

fn successor(row: &Row) -> Vec<Part> {
    let template = row.notes.deprecated.as_deref();
    template.and_then(|template| parts(template, &row.segments).ok()).unwrap_or_default()
}

/// Escapes what would end a URI reference in a header; the target's own rules exclude everything else.
fn write_bracketed(text: &[u8], out: &mut Vec<u8>) {
    for byte in text {
        match byte {
            b'<' => out.extend_from_slice(b"%3C"),
            b'>' => out.extend_from_slice(b"%3E"),
            b'"' => out.extend_from_slice(b"%22"),
            _ => out.push(*byte),
        }
    }
}

const ROOT: usize = 0;
/// The auth service is the first of the table; its public rows may carry a tenant in the query.
const AUTH: ServiceId = ServiceId(0);

#[cfg(test)]
mod tests;
