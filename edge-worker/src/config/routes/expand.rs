//! One table of the file becomes rows: alternatives written out, words read, defaults set.

use super::access::access;
use super::load::{Fields, Placed};
use super::pattern::{Mistake, alternatives, parameter, parts, rewrite, segments};
use super::{Access, Body, Idempotency, Local, Notes, Row, Segment, ShedClass, StalePolicy, Target};
use crate::config::limits::BUFFERED_BODY_BYTES_MAX;
use crate::config::lookups::identity::OutagePolicy;
use crate::config::services::{SERVICES, ServiceId};
use crate::http::method::{Method, MethodSet};

/// The longest deadline a row may set, seconds.
const TIMEOUT_S_MAX: u32 = 600;
/// The longest time a row may be cached, seconds.
const CACHE_S_MAX: u32 = 86_400;

/// Everything of a table but its paths.
struct Draft<'t> {
    id: &'t str,
    methods: MethodSet,
    /// `None` is `deny`.
    access: Option<&'t str>,
    answer: Answer<'t>,
    timeout_ms: Option<u64>,
    body_bytes_max: Option<u64>,
    notes: Notes,
    uuid: Vec<&'t str>,
    deprecated: Option<&'t str>,
    class: Option<ShedClass>,
    reason: &'t str,
}

#[derive(Clone, Copy)]
enum Answer<'t> {
    Service { service: ServiceId, upstream: &'t str },
    Local(Local),
    Deny,
}

/// The rows of one table of `routes`; none if anything in it is wrong.
pub(super) fn rows(mut fields: Fields<'_>, providers: &[String], place: &str) -> Vec<Placed> {
    let patterns = fields.texts("path");
    if patterns.is_empty() {
        fields.fault("path", Mistake::new("names no path", "write a path, or a list of paths"));
    }
    let draft = draft(&mut fields);
    let mut rows = Vec::new();
    if let Some(draft) = draft {
        for pattern in patterns {
            for path in fields.accept("path", alternatives(pattern, providers)).unwrap_or_default() {
                if let Some(row) = row(&mut fields, &draft, path) {
                    rows.push(Placed { place: place.to_owned(), alias: row.id.clone(), row });
                }
            }
        }
    }
    fields.finish();
    rows
}

/// Rows below `successor` once more below `prefix`, deprecated, with the successor's access and upstream.
pub(super) fn aliases(mut fields: Fields<'_>, placed: &[Placed], place: &str) -> Vec<Placed> {
    let words =
        (fields.required_text("id"), fields.required_text("prefix"), fields.required_text("successor"));
    let mut rows = Vec::new();
    if let (Some(id), Some(prefix), Some(successor)) = words {
        for original in placed {
            let below = original.row.template.strip_prefix(successor);
            let Some(below) = below.filter(|below| below.is_empty() || below.starts_with('/')) else {
                continue;
            };
            let template = format!("{prefix}{below}");
            let Some(pattern) = fields.accept("prefix", segments(&template)) else { break };
            if pattern.len() != original.row.segments.len() {
                let mistake = Mistake::new("has another length than its successor", "use as many segments");
                fields.fault("prefix", mistake);
                break;
            }
            let mut row = original.row.clone();
            row.segments = spell(pattern, &row.access);
            row.notes.deprecated = Some(std::mem::replace(&mut row.template, template));
            rows.push(Placed { row, place: place.to_owned(), alias: id.to_owned() });
        }
        if rows.is_empty() {
            fields.fault(
                "successor",
                Mistake::new("is the prefix of no row", "name a prefix of whole segments"),
            );
        }
    }
    fields.finish();
    rows
}

fn draft<'t>(fields: &mut Fields<'t>) -> Option<Draft<'t>> {
    let id = fields.required_text("id");
    let words = fields.required_text("methods");
    let methods = words.and_then(|words| fields.accept("methods", methods(words)));
    let access = fields.required_text("access");
    let answer = answer(fields, access == Some("deny"));
    let timeout_ms = fields.number("timeout_s", TIMEOUT_S_MAX).map(|seconds| u64::from(seconds) * 1000);
    let body_bytes_max = fields.bytes("body");
    let notes = Notes {
        idempotency: fields.choice("idempotency", &IDEMPOTENCY).unwrap_or_default(),
        validated: fields.choice("validated", &BODIES),
        cache_s: fields.number("cache_s", CACHE_S_MAX).unwrap_or(0),
        stream: fields.flag("stream"),
        buffered: fields.flag("buffered"),
        webhook: fields.flag("webhook"),
        outage: fields.choice("outage", &OUTAGES),
        stale: fields.choice("stale", &STALES).unwrap_or_default(),
        fallback: fallback(fields),
        ..Notes::default()
    };
    if notes.buffered && body_bytes_max.is_none_or(|bytes| bytes > BUFFERED_BODY_BYTES_MAX) {
        let what = "needs a body cap of at most 64KiB on its row";
        fields.fault("buffered", Mistake::new(what, "write body = \"64KiB\" or less"));
    }
    let uuid = fields.texts("uuid");
    let deprecated = fields.text("deprecated");
    let class = fields.choice("class", &CLASSES);
    let reason = fields.text("reason").unwrap_or_default();
    let (Some(id), Some(methods), Some(access), Some(answer)) = (id, methods, access, answer) else {
        return None;
    };
    Some(Draft {
        id,
        methods,
        access: (access != "deny").then_some(access),
        answer,
        timeout_ms,
        body_bytes_max,
        notes,
        uuid,
        deprecated,
        class,
        reason,
    })
}

/// A JSON document, small enough to stand in the settings of every worker.
fn fallback(fields: &mut Fields<'_>) -> Option<String> {
    let text = fields.text("fallback")?;
    let is_json = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    let checked = match is_json && text.len() <= FALLBACK_BYTES_MAX {
        true => Ok(text.to_owned()),
        false => Err(Mistake::new(
            format!("is no JSON document of at most {FALLBACK_BYTES_MAX} bytes"),
            "write the body that clients are to get, such as \'{\"items\":[]}\'",
        )),
    };
    fields.accept("fallback", checked)
}

const FALLBACK_BYTES_MAX: usize = 8_192;

/// Who answers: a service, the edge itself, or nobody. Exactly one of them.
fn answer<'t>(fields: &mut Fields<'t>, denied: bool) -> Option<Answer<'t>> {
    let names: Vec<(&'static str, ServiceId)> =
        SERVICES.iter().zip(0..).map(|(service, index)| (service.name, ServiceId(index))).collect();
    let local = fields.text("local");
    let service = fields.choice("service", &names);
    let upstream = fields.text("upstream");
    if denied {
        for key in
            ["local", "service", "upstream"].into_iter().filter(|key| fields.has(key)).collect::<Vec<_>>()
        {
            fields.fault(key, Mistake::new("means nothing on a row that denies", "remove it"));
        }
        return Some(Answer::Deny);
    }
    let Some(local) = local else {
        if !fields.has("service") {
            fields.fault(
                "service",
                Mistake::new("is missing", "name a service, a local answer, or access deny"),
            );
        }
        return service.map(|service| Answer::Service { service, upstream: upstream.unwrap_or("=") });
    };
    if upstream.is_some() {
        fields.fault("upstream", Mistake::new("means nothing on a local row", "remove it"));
    }
    if local == "service-health" {
        if service.is_none() {
            fields.fault("service", Mistake::new("is missing", "name the service whose health is told"));
        }
        return service.map(|service| Answer::Local(Local::ServiceHealth(service)));
    }
    if fields.has("service") {
        fields.fault("service", Mistake::new("means nothing on this local row", "remove it"));
    }
    fields.choice("local", &LOCALS).map(Answer::Local)
}

fn row(fields: &mut Fields<'_>, draft: &Draft<'_>, template: String) -> Option<Row> {
    let pattern = fields.accept("path", segments(&template))?;
    let class = match draft.access {
        Some(words) => fields.accept("access", access(words, &pattern))?,
        None => Access::User,
    };
    if class.is_public() == draft.reason.is_empty() {
        let mistake =
            Mistake::new("must say why the row is public, and only then", "give or remove the reason");
        fields.fault("reason", mistake);
    }
    check_policies(fields, draft, &class);
    if draft.notes.fallback.is_some() && !matches!(draft.answer, Answer::Service { .. }) {
        let mistake = Mistake::new("means nothing on a row that no service answers", "remove it");
        fields.fault("fallback", mistake);
    }
    let target = match draft.answer {
        Answer::Deny => Target::Deny,
        Answer::Local(local) => Target::Local(local),
        Answer::Service { service, upstream } => {
            let upstream = rewrite(&template, upstream).and_then(|upstream| parts(&upstream, &pattern));
            Target::Service { service, upstream: fields.accept("upstream", upstream)? }
        }
    };
    let mut notes = draft.notes.clone();
    if let Some(words) = draft.deprecated {
        let successor = rewrite(&template, words);
        let checked = successor.and_then(|successor| parts(&successor, &pattern).map(|_| successor));
        notes.deprecated = Some(fields.accept("deprecated", checked)?);
    }
    for name in &draft.uuid {
        let mistake =
            Mistake::new(format!("names {{{name}}}, which the path does not have"), "name a parameter");
        notes.uuid_segments.push(fields.accept("uuid", parameter(&pattern, name).ok_or(mistake))?);
    }
    Some(Row {
        id: draft.id.to_owned(),
        class: draft.class.unwrap_or(default_class(&class, &target)),
        segments: spell(pattern, &class),
        template,
        methods: draft.methods,
        target,
        access: class,
        timeout_ms: draft.timeout_ms,
        body_bytes_max: draft.body_bytes_max,
        notes,
        reason: draft.reason.to_owned(),
    })
}

/// What holds in an outage means something only where somebody has to be asked.
fn check_policies(fields: &mut Fields<'_>, draft: &Draft<'_>, access: &Access) {
    let reads = draft.methods.iter().any(Method::is_read);
    if draft.notes.outage == Some(OutagePolicy::Claims)
        && !(reads && matches!(access, Access::User | Access::Own { .. }))
    {
        let what = "lets claims decide where they may not";
        let remedy = "keep claims for rows that read, with access user or own, or write \"deny\"";
        fields.fault("outage", Mistake::new(what, remedy));
    }
    if access.is_public() || draft.access.is_none() {
        for key in ["outage", "stale"].into_iter().filter(|key| fields.has(key)).collect::<Vec<_>>() {
            fields.fault(key, Mistake::new("means nothing on a row that takes no token", "remove it"));
        }
    }
}

/// Public rows match in the table's spelling, all others in any case: a case variant can lose rights, never
/// gain them.
fn spell(mut pattern: Vec<Segment>, access: &Access) -> Vec<Segment> {
    for segment in &mut pattern {
        if let Segment::Literal(word) = segment
            && !access.is_public()
        {
            word.make_ascii_lowercase();
        }
    }
    pattern
}

fn default_class(access: &Access, target: &Target) -> ShedClass {
    match target {
        Target::Service { .. } if access.is_public() => ShedClass::Anonymous,
        Target::Service { .. } => ShedClass::Admitted,
        Target::Local(_) | Target::Deny => ShedClass::Never,
    }
}

/// Methods in the platform's shorthand: R, W, A, or names, separated by spaces.
fn methods(words: &str) -> Result<MethodSet, Mistake> {
    let mut methods = MethodSet::NONE;
    for word in words.split_ascii_whitespace() {
        let set = match word {
            "R" | "GET" => MethodSet::READ,
            "W" => MethodSet::WRITE,
            "A" => MethodSet::ANY,
            name => match Method::parse(name.as_bytes()) {
                Some(method) if MethodSet::WRITE.contains(method) => MethodSet::of(&[method]),
                _ => return Err(Mistake::new(format!("`{name}` is not a method"), METHODS)),
            },
        };
        methods = methods.union(set);
    }
    if methods.is_empty() { Err(Mistake::new("names no method", METHODS)) } else { Ok(methods) }
}

const METHODS: &str = "use R (GET and HEAD), W, A, or GET POST PUT PATCH DELETE";

const IDEMPOTENCY: [(&str, Idempotency); 2] =
    [("optional", Idempotency::Optional), ("uuid", Idempotency::RequiredUuid)];

const BODIES: [(&str, Body); 7] = [
    ("purchase", Body::Purchase),
    ("payment", Body::Payment),
    ("fees", Body::Fees),
    ("refund", Body::Refund),
    ("transfer", Body::Transfer),
    ("validate-qr", Body::ValidateQr),
    ("ticket-type", Body::TicketType),
];

const CLASSES: [(&str, ShedClass); 5] = [
    ("anonymous", ShedClass::Anonymous),
    ("browsing", ShedClass::Browsing),
    ("admitted", ShedClass::Admitted),
    ("checkout", ShedClass::Checkout),
    ("never", ShedClass::Never),
];

const OUTAGES: [(&str, OutagePolicy); 2] = [("deny", OutagePolicy::Deny), ("claims", OutagePolicy::Claims)];

const STALES: [(&str, StalePolicy); 2] = [("serve", StalePolicy::Serve), ("check", StalePolicy::Check)];

const LOCALS: [(&str, Local); 8] = [
    ("live", Local::Live),
    ("ready", Local::Ready),
    ("health", Local::Health),
    ("health-live", Local::HealthLive),
    ("health-startup", Local::HealthStartup),
    ("metrics", Local::Metrics),
    ("cache-invalidate", Local::CacheInvalidate),
    ("cache-stats", Local::CacheStats),
];

#[cfg(test)]
mod tests;
