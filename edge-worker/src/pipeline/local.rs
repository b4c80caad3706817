//! What the edge answers itself, from the region; a scrape of the metrics goes on to the supervisor.

use super::account::{CLIENT_GONE_STATUS, Ending, Ledger};
use super::circuit::Passage;
use super::rejection::Rejection;
use super::respond::{self, Answer, Asker, Content};
use crate::clock::{self, Millis};
use crate::config::routes::Local;
use crate::http::encode::Places;
use crate::http::head::{BodyFraming, KnownHeader, RequestHead};
use crate::http::method::Method;
use crate::local::health::Detail;
use crate::local::{Node, health, live, ready};
use crate::net::connection::{After, Connection};
use crate::upstream::connect::Destination;
use crate::upstream::exchange::{self, Call, End};
use crate::upstream::retry::Repeatable;
use crate::worker::Worker;

/// How long a scrape may take; rendering takes milliseconds.
const SCRAPE_MS: u64 = 5_000;

/// Health, readiness and liveness.
pub async fn answer(
    worker: &Worker,
    connection: &mut Connection,
    ledger: Ledger,
    asker: Asker<'_>,
    (local, detail): (Local, Detail),
) -> After {
    let set = worker.upstreams.set();
    let node = Node::new(worker.authority, worker.shared, &worker.settings, &set);
    let mut body = worker.buffers.head();
    let status = match local {
        Local::Live => live::live(&mut body),
        Local::HealthLive => live::health_live(&mut body),
        Local::HealthStartup => live::startup(&node, &mut body),
        Local::Ready => ready::ready(&node, &mut body),
        Local::Health => health::health(&node, detail, &mut body),
        Local::ServiceHealth(service) => health::service_health(&node, service, &mut body),
        // Scrapes take another way; the response cache is not built yet, so there is nothing to steer.
        Local::Metrics | Local::CacheInvalidate | Local::CacheStats => {
            worker.buffers.give_back(body);
            return respond::refuse(worker, connection, ledger, asker, Rejection::NotFound).await;
        }
    };
    let answer = Answer { status, content: Content::Json(&body) };
    let after = respond::answer(worker, connection, ledger, asker, answer).await;
    worker.buffers.give_back(body);
    after
}

/// Whether the request brings HEALTH_TOKEN.
#[must_use]
pub fn has_health_token(worker: &Worker, head: &RequestHead, bytes: &[u8]) -> bool {
    let Some(expected) = &worker.settings.local.health_token else { return false };
    let sent = head
        .value(KnownHeader::Authorization, bytes)
        .and_then(|value| value.split_at_checked(7))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer "))
        .map(|(_, token)| token);
    // Digests are compared, so that the time taken says nothing about the token.
    sent.is_some_and(|sent| blake3::hash(sent) == blake3::hash(expected.expose().as_bytes()))
}

/// Hands the scrape to the supervisor, which sums up all workers.
pub async fn scrape(
    worker: &Worker,
    connection: &mut Connection,
    ledger: Ledger,
    asker: Asker<'_>,
    head_bytes: usize,
    passage: Passage,
) -> After {
    debug_assert!(head_bytes <= connection.inbound.len());
    let mut request = worker.buffers.head();
    request.extend_from_slice(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let reply = respond::reply(worker, &ledger, &connection.inbound, asker.version, asker.persistence);
    let call = Call {
        destination: Destination::Supervisor,
        endpoint: None,
        started: clock::now(),
        method: asker.method.unwrap_or(Method::Get),
        head: request,
        places: Places::default(),
        repeatable: Repeatable::Never,
        framing: BodyFraming::None,
        body_bytes_max: 0,
        in_hand: b"",
        is_whole: true,
        expects_continue: false,
        deadline: Millis(worker.wheel.now().0 + SCRAPE_MS),
        idle_ms: SCRAPE_MS,
        reply: &reply,
        confirmation: None,
        passage: &passage,
    };
    let exchanged = exchange::exchange(&mut connection.stream, call, worker.means()).await;
    let status = exchanged.upstream_status.unwrap_or(CLIENT_GONE_STATUS);
    match exchanged.end {
        End::Refused(rejection) => respond::refuse(worker, connection, ledger, asker, rejection).await,
        End::Complete { closing } => {
            ledger.close(Ending::local(status, exchanged.bytes_out), &connection.inbound);
            if closing { After::Close } else { After::KeepAlive }
        }
        End::Cut { until_close, .. } | End::ClientGone { until_close } => {
            ledger.close(Ending::local(status, exchanged.bytes_out), &connection.inbound);
            if until_close { After::Reset } else { After::Abort }
        }
    }
}
