//! THE ORDER in which a request is decided. Each stage is passed once, left to right:
//!
//! parse -> route -> door -> authenticate (renewal, where newer keys could prove the token) -> revocation ->
//! validation -> user -> target tenant -> api_key -> authorise (venue, where that decides) -> body (where the row has
//! it read) -> bulkhead -> circuit -> forward -> respond -> account
//!
//! A stage returns evidence that only it can make; `forward` cannot be called without a [`authorise::Grant`]
//! and a [`circuit::Passage`]. Only this file knows the order.

pub mod rejection;
pub mod parse;
pub mod address;
pub mod trace;
pub mod route;
pub mod shedding;
pub mod door;
pub mod authenticate;
pub mod renewal;
pub mod marks;
pub mod revocation;
pub mod validation;
pub mod user;
pub mod target_tenant;
pub mod api_key;
pub mod authorise;
pub mod audit;
pub mod venue;
pub mod body;
pub mod tenant_status;
pub mod withdraw;
pub mod bulkhead;
pub mod circuit;
pub mod forward;
pub mod respond;
pub mod local;
pub mod account;

use crate::clock::{self, Nanos};
use crate::config::limits::BUFFERED_BODY_BYTES_MAX;
use crate::config::lookups::identity::UserCheck;
use crate::config::routes::{Local, StalePolicy, Target};
use crate::config::services::ServiceId;
use crate::control::asks::Person;
use crate::http::encode::Persistence;
use crate::http::head::{BodyFraming, KnownHeader, RequestHead, Version};
use crate::http::method::{Method, MethodSet};
use crate::http::target::query::{QueryValue, query_value};
use crate::identity::fault::TokenFault;
use crate::identity::roles::Role;
use crate::local::health::Detail;
use crate::net::connection::{After, Connection};
use crate::net::io::Stream;
use crate::telemetry::labels::Degraded;
use crate::worker::Worker;
use account::{CLIENT_GONE_STATUS, Ending, Ledger, Sender};
use address::Claimed;
use api_key::VenueKey;
use authenticate::{Authorization, CacheOutcome, Principal, TokenDigest};
use authorise::need::Known;
use authorise::policy::Rule;
use authorise::{Case, Grant, Step};
use bulkhead::{Place, Waiting};
use circuit::Passage;
use forward::Granted;
use marks::{LastToken, Marks};
use rejection::Rejection;
use renewal::Renewed;
use respond::{Answer, Asker, Content};
use revocation::{Mirror, Sight};
use route::{Found, check_query_tenant};
use shm::revocations::Completeness;
use std::borrow::Cow;
use std::rc::Rc;
use target_tenant::{Proof, TargetTenant};
use user::{Age, Recorded};
use venue::Voucher;

/// What was decided about a request that is not refused.
enum Decision {
    Forward(Passage, Granted),
    Scrape(Passage),
    Local(Local, Detail),
    Options(MethodSet),
}

/// Decides and answers the request whose head fills the first `head_bytes` of the connection's buffer.
pub async fn handle(
    worker: &Rc<Worker>,
    connection: &mut Connection,
    head: &RequestHead,
    head_bytes: usize,
) -> After {
    let Connection { stream, inbound, peer, last_token } = &mut *connection;
    let bytes = inbound.as_slice();
    let claimed = parse::client(head, bytes, *peer, &worker.settings.headers);
    let mut ledger = Ledger::open(worker, worker.ids.of(head, bytes, claimed.trusted), claimed.client);
    let decision =
        decide(worker, (head, head_bytes), bytes, (stream, last_token), &claimed, &mut ledger).await;
    if let Ok(Decision::Forward(passage, granted)) = decision {
        return forward::forward(worker, connection, (head, head_bytes), ledger, passage, granted).await;
    }
    // Boxed, as everything that few requests come to: each byte of this future is written for every request.
    Box::pin(answer(worker, connection, (head, head_bytes), ledger, decision)).await
}

/// Answers a request that no service gets.
async fn answer(
    worker: &Rc<Worker>,
    connection: &mut Connection,
    (head, head_bytes): (&RequestHead, usize),
    ledger: Ledger,
    decision: Result<Decision, Option<Rejection>>,
) -> After {
    let bytes = connection.inbound.as_slice();
    if let Err(None) = decision {
        ledger.close(Ending::local(CLIENT_GONE_STATUS, 0), bytes);
        return After::Abort;
    }
    // What the edge answers itself, it answers without reading a body: one that is not here yet closes the connection.
    let in_hand = bytes.len() - head_bytes;
    let body_bytes = match head.framing() {
        BodyFraming::None => Some(0),
        BodyFraming::Length(length) => usize::try_from(length).ok().filter(|length| *length <= in_hand),
        BodyFraming::Chunked => None,
    };
    let persistence = match body_bytes {
        Some(_) if !worker.load.draining.get() => Persistence::asked_by(head),
        _ => Persistence::Close,
    };
    let path = respond::path(head, bytes);
    let asker = Asker { method: ledger.method, path: &path, version: head.version(), persistence };
    let after = match decision {
        Err(Some(rejection)) => respond::refuse(worker, connection, ledger, asker, rejection).await,
        Ok(Decision::Options(methods)) => {
            let answer = Answer { status: 204, content: Content::Allow(methods) };
            respond::answer(worker, connection, ledger, asker, answer).await
        }
        Ok(Decision::Local(local, detail)) => {
            local::answer(worker, connection, ledger, asker, (local, detail)).await
        }
        Ok(Decision::Scrape(passage)) => {
            local::scrape(worker, connection, ledger, asker, head_bytes, passage).await
        }
        Ok(Decision::Forward(..)) => unreachable!("forwarded by the caller"),
        Err(None) => unreachable!("closed above"),
    };
    connection.consume(head_bytes + body_bytes.unwrap_or(0), &[]);
    after
}

/// Answers a request whose head could not be read. The connection is out of step and closes.
pub async fn refuse_head(worker: &Rc<Worker>, connection: &mut Connection, rejection: Rejection) -> After {
    let ledger = Ledger::open(worker, worker.ids.unread(), connection.peer);
    let asker = Asker { method: None, path: b"/", version: Version::Http11, persistence: Persistence::Close };
    match respond::refuse(worker, connection, ledger, asker, rejection).await {
        After::KeepAlive => After::Close,
        after => after,
    }
}

/// The stages. On the warm path everything is decided from memory, without waiting for anybody. `Err(None)`: the client
/// left before it had sent its body.
async fn decide(
    worker: &Rc<Worker>,
    (head, head_bytes): (&RequestHead, usize),
    bytes: &[u8],
    (stream, last_token): (&mut Stream, &LastToken),
    claimed: &Claimed,
    ledger: &mut Ledger,
) -> Result<Decision, Option<Rejection>> {
    ledger.describe(head, bytes, Sender::of(claimed));
    let request = parse::parse(head, bytes)?;
    let matched = match worker.routes.find(request.method, &request.target, request.target_bytes)? {
        Found::Row(matched) => matched,
        Found::Options(methods) => return Ok(Decision::Options(methods)),
    };
    ledger.row = Some(matched.index());
    let (target, class, sent) = (request.target_bytes, matched.row().class, (head, head_bytes, bytes));
    let admission = door::admit(worker, &request, &matched, claimed)?;
    let (mut target_tenant, mut key, mut marks) = (None, None, None::<Rc<Marks>>);
    if admission.needs_identity() {
        let established = establish(worker, (&request, &matched), (claimed, bytes), last_token, ledger).await;
        worker.meters.authentication(established.as_ref().map(|_| ()).map_err(|rejection| *rejection));
        let (established, recorded) = established?;
        (marks, target_tenant) = (Some(established), choose_tenant(worker, (head, bytes), recorded, ledger)?);
        key = check_key(worker, &request, &matched, ledger).await?;
    }
    let case = Case {
        scraper: admission.scraper(),
        segment: |segment| matched.decoded(segment, target),
        venue: || queried_venue(&matched, target),
        principal: ledger.principal.clone(),
        target_tenant,
    };
    let voucher = |principal: &Principal| voucher(principal, ledger, (claimed, bytes), &request);
    let decision = grant(worker, worker.policy.rule(matched.index()), &case, marks.as_deref(), voucher).await;
    ledger.audit(decision.as_ref().map_err(|rejection| *rejection), || audit::venue(&matched, target));
    let grant = decision?;
    matched.check_uuids(target)?;
    match &matched.row().target {
        Target::Deny => Err(Some(Rejection::NotFound)),
        Target::Local(local) => {
            let (place, sender) = ((&request, &matched), (claimed, bytes));
            Box::pin(locally(worker, *local, place, sender, (last_token, ledger))).await
        }
        Target::Service { service, .. } => {
            ledger.service = Some(*service);
            let (early, body) = match way(worker, *service, &matched, head, bytes.len() - head_bytes) {
                Way::Streamed(early) => (early, None),
                Way::Read(body) => (None, Box::pin(read(worker, body, stream, sent, &admission)).await?),
            };
            let passage = match early.or_else(|| bulkhead::take(worker, *service)) {
                Some(place) => circuit::enter(worker, Some(place), class)?,
                None => Box::pin(wait(worker, *service, (&matched, request.method), stream)).await?,
            };
            let evidence = (&grant, key.as_ref(), &*ledger, &passage);
            let granted = forward::prepare(worker, &request, &matched, claimed, &admission, evidence, body);
            Ok(Decision::Forward(passage, granted))
        }
    }
}

/// How a body gets to its service.
enum Way {
    /// As it comes, if it does not come with the head; then with a place that is held while the client sends.
    Streamed(Option<Place>),
    Read(Whole),
}

/// A body that is read whole before its request has a place.
#[derive(Clone, Copy)]
struct Whole {
    service: ServiceId,
    why: Why,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    /// The edge looks into it.
    Row,
    /// The service has no place to wait for it.
    Scarce,
}

fn way(
    worker: &Rc<Worker>,
    service: ServiceId,
    matched: &route::Matched<'_>,
    head: &RequestHead,
    in_hand_bytes: usize,
) -> Way {
    if matched.row().notes.buffered {
        return Way::Read(Whole { service, why: Why::Row });
    }
    if body::is_here(head.framing(), in_hand_bytes) {
        return Way::Streamed(None);
    }
    let scarce = Way::Read(Whole { service, why: Why::Scarce });
    bulkhead::take_early(worker, service).map_or(scarce, |place| Way::Streamed(Some(place)))
}

/// Reads a body whole; one that is too long for that only because places are scarce is not refused as too large.
async fn read(
    worker: &Worker,
    Whole { service, why }: Whole,
    stream: &mut Stream,
    (head, head_bytes, bytes): (&RequestHead, usize, &[u8]),
    admission: &door::Admission,
) -> Result<Option<Box<body::Buffered>>, Option<Rejection>> {
    let is_long = |length| why == Why::Scarce && length > BUFFERED_BODY_BYTES_MAX;
    if why == Why::Scarce {
        circuit::glance(worker, service)?;
    }
    if matches!(head.framing(), BodyFraming::Length(length) if is_long(length)) {
        return Err(Some(bulkhead::refuse_long_body(worker, service)));
    }
    let whole = body::read(worker, stream, (head, head_bytes), bytes, admission.body_bytes_max).await;
    whole.map(Some).map_err(|refused| match refused {
        Some(Rejection::BodyTooLarge) if is_long(admission.body_bytes_max) => {
            Some(bulkhead::refuse_long_body(worker, service))
        }
        refused => refused,
    })
}

/// Waits for a place at a service, unless it is left alone anyway.
async fn wait(
    worker: &Rc<Worker>,
    service: ServiceId,
    (matched, method): (&route::Matched<'_>, Method),
    stream: &Stream,
) -> Result<Passage, Option<Rejection>> {
    circuit::glance(worker, service)?;
    let timeout_ms = forward::timeout_ms(worker, matched.row(), service, method);
    let waiting = Waiting { client: stream.descriptor(), timeout_ms };
    let place = bulkhead::wait(worker, service, waiting).await?;
    Ok(circuit::enter(worker, Some(place), matched.row().class)?)
}

/// The venue that the query speaks of.
fn queried_venue<'q>(matched: &route::Matched<'_>, target: &'q [u8]) -> QueryValue<'q> {
    matched.query(target).map_or(QueryValue::Absent, |query| query_value(query, &audit::VENUE_NAMES))
}

/// Who asks, by token, mirror and record: the user's digest, and what the record says. The ledger has the principal as
/// soon as its token is verified.
async fn establish(
    worker: &Rc<Worker>,
    (request, matched): (&parse::Request<'_>, &route::Matched<'_>),
    (claimed, bytes): (&Claimed, &[u8]),
    last_token: &LastToken,
    ledger: &mut Ledger,
) -> Result<(Rc<Marks>, Option<Recorded>), Rejection> {
    let (authorization, began) = (authenticate::authorization(request), clock::now());
    let known = last_token.recall(authorization);
    let digest = known.as_ref().map(|marks| marks.cached);
    let (principal, digest, outcome) = match identify(worker, (authorization, digest), began) {
        Ok(identified) => identified,
        Err(fault) => Box::pin(identify_again(worker, (authorization, digest), fault, began)).await?,
    };
    let principal = Rc::new(principal);
    ledger.principal = Some(Rc::clone(&principal));
    check_query_tenant(matched, request.target_bytes, Some(principal.tenant()))?;
    let marks = known.unwrap_or_else(|| {
        let whole_token = || authenticate::whole_token(authorization);
        let marks = Rc::new(Marks::of(&worker.digests, digest, &principal, whole_token));
        last_token.keep(authorization, &marks);
        marks
    });
    let revocations = &worker.authority.revocations;
    let policy = worker.settings.users.revocation_cold;
    let follows = worker.settings.local.follows_redis;
    // Alone, a node has nobody to ask, and lacks nothing.
    let stale = if follows { matched.row().notes.stale } else { StalePolicy::Serve };
    let policies = (policy, stale);
    let mirror = revocation::check(revocations, policies, (&principal, &marks), clock::wall_seconds())?;
    if mirror == Mirror::Doubtful {
        Box::pin(revocation::ask(worker, &principal, authorization)).await?;
    }
    if follows && revocations.completeness() == Completeness::NeverSynced {
        worker.meters.degraded(Degraded::ColdMirror);
    }
    if outcome != CacheOutcome::Hit {
        Box::pin(meet(worker, authorization, (&principal, digest))).await?;
    }
    let policy = matched.row().notes.outage.unwrap_or(worker.settings.users.outage_policy);
    let outage = user::Outage::of(policy, reads_as_user(worker, request, matched));
    let person = || person(&principal, ledger, (claimed, bytes));
    validation::check(worker, (&principal, authorization, digest), outage, &person).await?;
    let recorded = user::check(worker, &marks.user, outage, person).await?;
    if let Some(Recorded { role, .. }) = recorded.filter(|recorded| recorded.role != principal.role()) {
        ledger.principal = Some(Rc::new(Principal::clone(&principal).recorded_as(role)));
    }
    Ok((marks, recorded))
}

/// What the edge answers itself.
async fn locally(
    worker: &Rc<Worker>,
    local: Local,
    place: (&parse::Request<'_>, &route::Matched<'_>),
    sender: (&Claimed, &[u8]),
    (last_token, ledger): (&LastToken, &mut Ledger),
) -> Result<Decision, Option<Rejection>> {
    match local {
        Local::Metrics => Ok(Decision::Scrape(circuit::enter(worker, None, place.1.row().class)?)),
        Local::Health => Ok(Decision::Local(local, viewer(worker, place, sender, last_token, ledger).await)),
        _ => Ok(Decision::Local(local, Detail::Anonymous)),
    }
}

/// How much of `/health` the client may see: all of it with HEALTH_TOKEN, or as an administrator by the same proof as
/// on any other row. Nobody is refused.
async fn viewer(
    worker: &Rc<Worker>,
    (request, matched): (&parse::Request<'_>, &route::Matched<'_>),
    (claimed, bytes): (&Claimed, &[u8]),
    last_token: &LastToken,
    ledger: &mut Ledger,
) -> Detail {
    if local::has_health_token(worker, request.head, bytes) {
        return Detail::Full;
    }
    if matches!(authenticate::authorization(request), Authorization::None) {
        return Detail::Anonymous;
    }
    let established = establish(worker, (request, matched), (claimed, bytes), last_token, ledger).await;
    let role = ledger.principal.as_ref().map(|principal| principal.role());
    match established {
        Ok(_) if role.is_some_and(Role::is_administrator) => Detail::Full,
        _ => Detail::Anonymous,
    }
}

/// Authorises by what is known, and finds out what is not: at most one ask about a venue and one about the staff.
async fn grant<'s>(
    worker: &Worker,
    rule: &Rule,
    case: &Case<impl Fn(u8) -> Cow<'s, [u8]>, impl Fn() -> QueryValue<'s>>,
    marks: Option<&Marks>,
    voucher: impl Fn(&Principal) -> Voucher,
) -> Result<Grant, Rejection> {
    // Where nobody is needed, nobody is asked about.
    let user = &marks.map_or([0; 32], |marks| marks.user);
    let mut known = Known::default();
    loop {
        match authorise::authorise(rule, case, known)? {
            Step::Granted(grant) => return Ok(grant),
            Step::Needs { need, of } => {
                let finding = match venue::recall(worker, &need, of, user) {
                    Some(finding) => finding,
                    None => Box::pin(venue::ask(worker, &need, voucher(of))).await,
                };
                known = known.with(&need, finding);
            }
        }
    }
}

/// The tenant that the request is to act in, if that is not the token's.
fn choose_tenant(
    worker: &Worker,
    (head, bytes): (&RequestHead, &[u8]),
    recorded: Option<Recorded>,
    ledger: &mut Ledger,
) -> Result<Option<TargetTenant>, Rejection> {
    let (users, tokens) = (&worker.settings.users, &worker.settings.tokens);
    if !users.cross_tenant_admin {
        return Ok(None);
    }
    let Some(principal) = ledger.principal.clone() else { return Ok(None) };
    let proof = match (users.check, recorded) {
        (UserCheck::Off, _) | (_, Some(Recorded { age: Age::Fresh, .. })) => Proof::Complete,
        (UserCheck::Always | UserCheck::Async, _) => Proof::Unproven,
    };
    let sent = head.values(KnownHeader::XTargetTenantId, bytes);
    let chosen = target_tenant::choose(sent, &principal, proof, tokens.tenant_format);
    if target_tenant::may_choose(&principal) {
        ledger.obey(chosen.as_ref().ok().and_then(Option::as_ref));
    }
    chosen
}

/// Whether the request only reads what every user may read.
fn reads_as_user(worker: &Worker, request: &parse::Request<'_>, matched: &route::Matched<'_>) -> bool {
    let rule = worker.policy.rule(matched.index());
    request.method.is_read() && matches!(rule, Rule::User | Rule::Own { .. })
}

/// What venue-service is asked with.
fn voucher(
    principal: &Principal,
    ledger: &Ledger,
    (claimed, bytes): (&Claimed, &[u8]),
    request: &parse::Request<'_>,
) -> Voucher {
    Voucher {
        person: person(principal, ledger, (claimed, bytes)),
        bearer: authenticate::presented(authenticate::authorization(request)),
    }
}

/// Whom the supervisor asks about, and on whose behalf.
fn person(principal: &Principal, ledger: &Ledger, (claimed, bytes): (&Claimed, &[u8])) -> Person {
    let (request, correlation) = (ledger.ids.request.text(bytes), ledger.ids.correlation.text(bytes));
    let own = if correlation == request { b"" } else { correlation };
    Person {
        tenant: principal.tenant().to_owned(),
        subject: principal.subject().to_owned(),
        forwarded_for: forward::forwarded_for(claimed),
        request_id: String::from_utf8_lossy(request).into_owned(),
        correlation_id: String::from_utf8_lossy(own).into_owned(),
        traceparent: ledger.ids.trace.text().to_owned(),
    }
}

/// The API key, if the request brings one. A refusal is remembered with the venue that it was about.
async fn check_key(
    worker: &Worker,
    request: &parse::Request<'_>,
    matched: &route::Matched<'_>,
    ledger: &mut Ledger,
) -> Result<Option<VenueKey>, Rejection> {
    if !request.head.field_set().has(KnownHeader::XApiKey) {
        return Ok(None);
    }
    match Box::pin(api_key::check(worker, request, matched)).await {
        Ok(key) => Ok(Some(key)),
        Err(rejection) => {
            let sent = request.head.value(KnownHeader::XApiKey, request.bytes);
            if let Some(key) = sent.and_then(api_key::legal) {
                ledger.refuse_key(key);
            }
            ledger.audit(Err(rejection), || audit::venue(matched, request.target_bytes));
            Err(rejection)
        }
    }
}

/// What happens once to a token on a node.
async fn meet(
    worker: &Worker,
    authorization: Authorization<'_>,
    (principal, digest): (&Principal, TokenDigest),
) -> Result<(), Rejection> {
    if revocation::first_sight(worker, principal, authorization).await? == Sight::Unknown {
        return Ok(());
    }
    let cache = &worker.shared.token_cache;
    authenticate::remember((principal, digest), cache, worker.slot, clock::wall_seconds());
    Ok(())
}

/// The authenticate stage, with its figures. The digest is made unless it is known.
fn identify(
    worker: &Worker,
    (authorization, digest): (Authorization<'_>, Option<TokenDigest>),
    began: Nanos,
) -> Result<(Principal, TokenDigest, CacheOutcome), TokenFault> {
    let (cache, now) = (&worker.shared.token_cache, clock::wall_seconds());
    let verifier = worker.verifier.borrow();
    let digest = match digest {
        Some(digest) => digest,
        None => authenticate::digest(authorization, &verifier)?,
    };
    let whose = (authorization, digest);
    let (principal, outcome) = authenticate::authenticate(whose, &verifier, cache, now)?;
    worker.meters.verified(outcome == CacheOutcome::Hit, clock::now().since(began).as_nanos() as u64);
    Ok((principal, digest, outcome))
}

/// A token that newer keys could prove is looked at again once they are here; for any other, `fault` stands.
async fn identify_again(
    worker: &Rc<Worker>,
    (authorization, digest): (Authorization<'_>, Option<TokenDigest>),
    fault: TokenFault,
    began: Nanos,
) -> Result<(Principal, TokenDigest, CacheOutcome), Rejection> {
    let now = clock::wall_seconds();
    let doubtful = authenticate::doubts(authorization, &worker.verifier.borrow(), fault, now);
    let fault = match doubtful {
        true if renewal::renew(worker).await? == Renewed::Keys => {
            match identify(worker, (authorization, digest), clock::now()) {
                Ok(identified) => return Ok(identified),
                Err(fault) => fault,
            }
        }
        _ => fault,
    };
    worker.meters.not_verified(fault, clock::now().since(began).as_nanos() as u64);
    Err(Rejection::Unauthorized(fault))
}
