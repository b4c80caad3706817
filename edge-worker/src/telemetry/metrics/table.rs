//! THE table of metrics, in the order of their numbers. Names, labels and buckets are the platform's.

use super::Kind::{Counter, Gauge};
use super::Unit::{Bytes, Count, Nanoseconds};
use super::buckets::{
    DOWNSTREAM_DURATIONS, REDIS_DURATIONS, REQUEST_DURATIONS, SHORT_DURATIONS, SIZES, VALIDATION_DURATIONS,
};
use super::{Definition, Kind, Label, Metric, Values};
use crate::net::tls::Handshake;
use crate::telemetry::labels;
use crate::telemetry::security_events::{SecurityEvent, Severity};
use shm::names::NameKind;

const fn label(name: &'static str, values: Values) -> Label {
    Label { name, values }
}

const METHOD: Label = label("method", Values::Method);
const PATH: Label = label("path", Values::Name(NameKind::Route));
const SERVICE: Label = label("service", Values::Name(NameKind::Service));
const INSTANCE: Label = label("instance", Values::Text);
const REASON: Label = label("reason", Values::Reason);
const CACHE: Label = label("cache", Values::Words(labels::Cache::WORDS));
const WORKER: Label = label("worker", Values::Number);
const CHECK: Label = label("check", Values::Check);

const OPERATION: Label = label("op", Values::Words(labels::REDIS_OPERATIONS));

/// The table, in the order of the numbers.
pub const TABLE: &[Definition] = &[
    plain(
        Metric::HttpRequests,
        "gateway_http_requests_total",
        Counter,
        &[METHOD, PATH, label("status", Values::Number)],
        "Requests answered, by the edge or a service.",
    ),
    timed(
        Metric::HttpRequestDuration,
        "gateway_http_request_duration_seconds",
        &[METHOD, PATH],
        REQUEST_DURATIONS,
        "Time from the first byte of a request to the last byte of its answer.",
    ),
    plain(
        Metric::HttpRequestsInFlight,
        "gateway_http_requests_in_flight",
        Gauge,
        &[],
        "Requests being worked on now.",
    ),
    plain(Metric::ActiveConnections, "gateway_active_connections", Gauge, &[], "Open client connections."),
    sized(
        Metric::HttpRequestSize,
        "gateway_http_request_size_bytes",
        &[METHOD, PATH],
        "Size of request bodies.",
    ),
    sized(
        Metric::HttpResponseSize,
        "gateway_http_response_size_bytes",
        &[METHOD, PATH],
        "Size of answer bodies.",
    ),
    plain(
        Metric::DownstreamRequests,
        "gateway_downstream_requests_total",
        Counter,
        &[SERVICE, label("status", Values::Downstream)],
        "Calls to services by status code or by how they failed.",
    ),
    timed(
        Metric::DownstreamRequestDuration,
        "gateway_downstream_request_duration_seconds",
        &[SERVICE],
        DOWNSTREAM_DURATIONS,
        "Time from the start of proxying to the head of the service's answer, or its failure.",
    ),
    plain(
        Metric::Timeouts,
        "gateway_timeouts_total",
        Counter,
        &[SERVICE, label("phase", Values::Words(labels::Phase::WORDS))],
        "Calls to services that ran out of time.",
    ),
    plain(
        Metric::AuthAttempts,
        "gateway_auth_attempts_total",
        Counter,
        &[label("result", Values::Words(labels::ATTEMPTS))],
        "Requests whose token was checked.",
    ),
    plain(
        Metric::AuthFailures,
        "gateway_auth_failures_total",
        Counter,
        &[REASON],
        "Requests refused for their token.",
    ),
    timed(
        Metric::TokenValidationDuration,
        "gateway_token_validation_duration_seconds",
        &[label("result", Values::Words(labels::VALIDATIONS))],
        VALIDATION_DURATIONS,
        "Time to establish who sends a request.",
    ),
    plain(
        Metric::AuthzDenials,
        "gateway_authz_denials_total",
        Counter,
        &[REASON],
        "Requests refused because the principal may not do this.",
    ),
    plain(
        Metric::CrossTenantAttempts,
        "gateway_cross_tenant_attempts_total",
        Counter,
        &[],
        "Requests that name a tenant other than their token's.",
    ),
    plain(
        Metric::SecurityEvents,
        "gateway_security_events_total",
        Counter,
        &[
            label("event", Values::Words(SecurityEvent::WORDS)),
            label("severity", Values::Words(Severity::WORDS)),
        ],
        "Events that security alerts look for.",
    ),
    plain(
        Metric::DangerousHeadersStripped,
        "gateway_dangerous_headers_stripped_total",
        Counter,
        &[label("header", Values::StrippedHeader)],
        "Header fields of clients that were removed because only the edge may set them.",
    ),
    plain(
        Metric::CacheHits,
        "gateway_cache_hits_total",
        Counter,
        &[CACHE],
        "Look-ups answered from a cache.",
    ),
    plain(
        Metric::CacheMisses,
        "gateway_cache_misses_total",
        Counter,
        &[CACHE],
        "Look-ups that a cache could not answer.",
    ),
    plain(
        Metric::CacheErrors,
        "gateway_cache_errors_total",
        Counter,
        &[CACHE],
        "Look-ups or stores that failed.",
    ),
    plain(
        Metric::HealthCheckStatus,
        "gateway_health_check_status",
        Gauge,
        &[CHECK],
        "Last probe: 1 reachable, 0 not.",
    ),
    timed(
        Metric::HealthCheckDuration,
        "gateway_health_check_duration_seconds",
        &[CHECK],
        SHORT_DURATIONS,
        "Time a probe took.",
    ),
    plain(
        Metric::WorkerUp,
        "gateway_worker_up",
        Gauge,
        &[WORKER],
        "1 while the worker serves or drains, 0 while its slot has none.",
    ),
    plain(
        Metric::WorkerRestarts,
        "gateway_worker_restarts_total",
        Counter,
        &[WORKER],
        "Workers that died and were replaced.",
    ),
    timed(
        Metric::WorkerLoopLag,
        "gateway_worker_loop_lag_seconds",
        &[WORKER],
        SHORT_DURATIONS,
        "How late a worker's timer ran: time in which its loop did not turn.",
    ),
    plain(
        Metric::IoDriverInfo,
        "gateway_io_driver_info",
        Gauge,
        &[label("driver", Values::Words(labels::DRIVERS))],
        "Workers running on each kernel interface.",
    ),
    plain(
        Metric::BuildInfo,
        "gateway_build_info",
        Gauge,
        &[label("version", Values::Text), label("revision", Values::Text)],
        "1; the labels say what runs.",
    ),
    plain(
        Metric::ConfigInfo,
        "gateway_config_info",
        Gauge,
        &[label("hash", Values::Text)],
        "1; the label changes with the configuration.",
    ),
    plain(
        Metric::ConfigLastReload,
        "gateway_config_last_reload_timestamp_seconds",
        Gauge,
        &[],
        "Unix time at which the configuration took effect.",
    ),
    bytes(
        Metric::MemoryLimit,
        "gateway_memory_limit_bytes",
        "Memory that the node or its control group gives the edge.",
    ),
    plain(
        Metric::Rejections,
        "gateway_rejections_total",
        Counter,
        &[REASON],
        "Requests refused by the edge itself.",
    ),
    plain(
        Metric::ConnectionsClosedUnderRequest,
        "gateway_connections_closed_under_request_total",
        Counter,
        &[],
        "Client connections that the edge closed while a request on them was unanswered.",
    ),
    plain(
        Metric::ConnectionsRefused,
        "gateway_connections_refused_total",
        Counter,
        &[label("reason", Values::Words(labels::ConnectionRefusal::WORDS))],
        "Client connections closed before a request was read.",
    ),
    plain(
        Metric::JournalDropped,
        "gateway_journal_dropped_total",
        Counter,
        &[],
        "Access-log records lost because a worker's journal was full.",
    ),
    plain(
        Metric::LogLinesDropped,
        "gateway_log_lines_dropped_total",
        Counter,
        &[],
        "Log lines lost because their reader was too slow.",
    ),
    plain(
        Metric::Panics,
        "gateway_panics_total",
        Counter,
        &[],
        "Requests that ended in a panic; the worker went on.",
    ),
    plain(
        Metric::SeriesDropped,
        "gateway_series_dropped_total",
        Counter,
        &[],
        "Counts lost because a worker's table of series was full.",
    ),
    processor(
        Metric::ProcessCpu,
        "process_cpu_seconds_total",
        "CPU time of supervisor and workers, those that ended included.",
    ),
    bytes(
        Metric::ProcessResidentMemory,
        "process_resident_memory_bytes",
        "Resident memory of supervisor and workers; what they share counts once.",
    ),
    bytes(
        Metric::ProcessVirtualMemory,
        "process_virtual_memory_bytes",
        "Address space of supervisor and workers.",
    ),
    plain(
        Metric::ProcessOpenFds,
        "process_open_fds",
        Gauge,
        &[],
        "Open descriptors of supervisor and workers.",
    ),
    plain(Metric::ProcessMaxFds, "process_max_fds", Gauge, &[], "Descriptors that one process may open."),
    plain(
        Metric::ProcessStartTime,
        "process_start_time_seconds",
        Gauge,
        &[],
        "Unix time at which the supervisor started.",
    ),
    plain(
        Metric::LogLinesSuppressed,
        "gateway_log_lines_suppressed_total",
        Counter,
        &[label("kind", Values::Words(labels::SUPPRESSIBLE))],
        "Log lines left out because too many of their kind came; their events are counted all the same.",
    ),
    plain(
        Metric::RedisUp,
        "gateway_redis_up",
        Gauge,
        &[],
        "Last PING: 1 answered, 0 not. Absent while the node runs alone.",
    ),
    plain(
        Metric::RedisOperations,
        "gateway_redis_operations_total",
        Counter,
        &[OPERATION, label("result", Values::Words(labels::REDIS_RESULTS))],
        "Calls to Redis; blocked ones were not sent, because the breaker was open. A batch is one call.",
    ),
    timed(
        Metric::RedisOperationDuration,
        "gateway_redis_operation_duration_seconds",
        &[OPERATION],
        REDIS_DURATIONS,
        "Time that calls to Redis took, reads that wait for the next revocation left out.",
    ),
    plain(
        Metric::SharedCacheReads,
        "gateway_shared_cache_reads_total",
        Counter,
        &[CACHE, label("result", Values::Words(labels::SharedRead::WORDS))],
        "Values looked for in Redis after the node's own cache had none.",
    ),
    plain(
        Metric::Revocations,
        "gateway_revocations_total",
        Counter,
        &[
            label("kind", Values::Words(labels::REVOCATION_KINDS)),
            label("source", Values::Words(labels::RevocationSource::WORDS)),
        ],
        "Revocations that took effect on this node; one that was known already counts no more.",
    ),
    plain(
        Metric::RevocationStaleness,
        "gateway_revocation_staleness_seconds",
        Gauge,
        &[],
        "Time since the last successful read of the revocation stream, or since the start if there was none. Up to a \
         second and a half is ordinary. Absent while the node runs alone.",
    ),
    plain(
        Metric::RevocationEntries,
        "gateway_revocation_entries",
        Gauge,
        &[label("table", Values::Words(labels::REVOCATION_TABLES))],
        "Places taken in the mirror: of 131072 for tokens, of 65536 for users and tenants. Beyond 85 % some find none.",
    ),
    plain(
        Metric::RevocationsLost,
        "gateway_revocations_lost_total",
        Counter,
        &[],
        "Revocations that found no place; until the store is read again, tokens that the mirror does not clear get 503.",
    ),
    plain(
        Metric::DegradedDecisions,
        "gateway_degraded_decisions_total",
        Counter,
        &[label("why", Values::Words(labels::Degraded::WORDS))],
        "Requests decided on less than the edge wants to know, by policy.",
    ),
    plain(
        Metric::Lookups,
        "gateway_lookups_total",
        Counter,
        &[
            label("question", Values::Words(crate::control::asks::QUESTIONS)),
            label("result", Values::Words(labels::LookupEnd::WORDS)),
        ],
        "Questions of workers to the supervisor.",
    ),
    plain(
        Metric::LookupsWaiting,
        "gateway_lookups_waiting",
        Gauge,
        &[],
        "Questions of workers that wait for an answer now.",
    ),
    plain(
        Metric::PublicKeys,
        "gateway_public_keys",
        Gauge,
        &[],
        "Public keys that tokens are verified with.",
    ),
    plain(
        Metric::KeyFetches,
        "gateway_key_fetches_total",
        Counter,
        &[label("result", Values::Words(labels::KEY_FETCHES))],
        "Fetches of JWKS_URI.",
    ),
    plain(
        Metric::RevocationsUnpublished,
        "gateway_revocations_unpublished",
        Gauge,
        &[label("state", Values::Words(labels::UNPUBLISHED))],
        "Revocations of this node that no other node knows of yet: they wait for Redis, or Redis refuses them.",
    ),
    plain(
        Metric::RevocationEntriesMalformed,
        "gateway_revocation_entries_malformed_total",
        Counter,
        &[],
        "Entries of the revocation stream and durable keys that mean nothing and were passed over.",
    ),
    plain(
        Metric::RevocationSnapshots,
        "gateway_revocation_snapshots_total",
        Counter,
        &[],
        "Times that the revocation store was read whole.",
    ),
    plain(
        Metric::LegacyTokensUnwatched,
        "gateway_legacy_tokens_unwatched_total",
        Counter,
        &[],
        "Tokens whose older blacklist key was looked up once and is not looked up again, because too many are watched.",
    ),
    plain(
        Metric::CircuitBreakerState,
        "gateway_circuit_breaker_state",
        Gauge,
        &[SERVICE],
        "Circuit of each service: 0 closed, 1 open, 2 half-open. One that an operator holds counts as what it does.",
    ),
    plain(
        Metric::CircuitBreakerTransitions,
        "gateway_circuit_breaker_transitions_total",
        Counter,
        &[SERVICE, label("to", Values::Words(labels::CircuitPosition::WORDS))],
        "Changes of circuits; of half-open ones, each probe.",
    ),
    plain(
        Metric::CircuitBreakerRejections,
        "gateway_circuit_breaker_rejections_total",
        Counter,
        &[SERVICE],
        "Requests refused because the circuit of their service was open.",
    ),
    plain(
        Metric::BulkheadInFlight,
        "gateway_bulkhead_in_flight",
        Gauge,
        &[SERVICE],
        "Requests of the node that are at each service now.",
    ),
    plain(
        Metric::BulkheadWaiting,
        "gateway_bulkhead_waiting",
        Gauge,
        &[SERVICE],
        "Requests of the node that wait for a place at each service now.",
    ),
    plain(
        Metric::BulkheadRejections,
        "gateway_bulkhead_rejections_total",
        Counter,
        &[SERVICE, label("reason", Values::Words(labels::BulkheadRefusal::WORDS))],
        "Requests refused because every place at their service was taken.",
    ),
    plain(
        Metric::SheddingLevel,
        "gateway_shedding_level",
        Gauge,
        &[WORKER],
        "How much each worker sheds: 0 nothing, 1 all of the anonymous, 2 of the browsing, 3 of the admitted, 4 of the \
         checkout class; between two, a part of the next class.",
    ),
    plain(
        Metric::ShedRequests,
        "gateway_shed_requests_total",
        Counter,
        &[label("class", Values::Words(labels::SHED_CLASSES))],
        "Requests refused before anything was looked at, because the node had too much to do.",
    ),
    plain(
        Metric::InstanceUp,
        "gateway_instance_up",
        Gauge,
        &[SERVICE, INSTANCE],
        "1 while the health checks of an instance succeed, 0 while they fail.",
    ),
    plain(
        Metric::InstanceEjected,
        "gateway_instance_ejected",
        Gauge,
        &[SERVICE, INSTANCE],
        "1 while an instance is left out because calls to it failed.",
    ),
    plain(
        Metric::InstanceInFlight,
        "gateway_instance_requests_in_flight",
        Gauge,
        &[SERVICE, INSTANCE],
        "Calls to an instance that all workers have in flight.",
    ),
    plain(
        Metric::InstanceLatency,
        "gateway_instance_latency_seconds",
        Gauge,
        &[SERVICE, INSTANCE],
        "Moving average of the time until an answer begins, by which calls are spread. Absent while it is unknown.",
    ),
    plain(
        Metric::InstanceEjections,
        "gateway_instance_ejections_total",
        Counter,
        &[SERVICE],
        "Instances that were ejected because calls to them failed.",
    ),
    plain(
        Metric::UpstreamTlsHandshakes,
        "gateway_upstream_tls_handshakes_total",
        Counter,
        &[SERVICE, label("result", Values::Words(Handshake::WORDS))],
        "TLS handshakes of workers with services: full and resumed are connections, the others say why there is none.",
    ),
    plain(
        Metric::DownstreamRetries,
        "gateway_downstream_retries_total",
        Counter,
        &[SERVICE],
        "Calls to services that were made a second time.",
    ),
];

const fn plain(
    metric: Metric,
    name: &'static str,
    kind: Kind,
    labels: &'static [Label],
    help: &'static str,
) -> Definition {
    Definition { metric, name, kind, labels, buckets: &[], unit: Count, help }
}

const fn timed(
    metric: Metric,
    name: &'static str,
    labels: &'static [Label],
    buckets: &'static [u64],
    help: &'static str,
) -> Definition {
    Definition { metric, name, kind: Kind::Histogram, labels, buckets, unit: Nanoseconds, help }
}

const fn sized(
    metric: Metric,
    name: &'static str,
    labels: &'static [Label],
    help: &'static str,
) -> Definition {
    Definition { metric, name, kind: Kind::Histogram, labels, buckets: SIZES, unit: Bytes, help }
}

const fn bytes(metric: Metric, name: &'static str, help: &'static str) -> Definition {
    Definition { metric, name, kind: Gauge, labels: &[], buckets: &[], unit: Bytes, help }
}

const fn processor(metric: Metric, name: &'static str, help: &'static str) -> Definition {
    Definition { metric, name, kind: Counter, labels: &[], buckets: &[], unit: Nanoseconds, help }
}
