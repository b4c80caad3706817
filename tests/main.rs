//! The end-to-end tests: one binary, one module a topic.
//!
//! Every test starts what it needs (`harness`) and asserts the answer, what reached the backend, and the counters.

mod harness;
mod routes;
mod authentication;
mod users;
mod remote_validation;
mod shared_cache;
mod venues;
mod staff_changes;
mod access_matrix;
mod cross_tenant;
mod legacy_blacklist;
mod api_keys;
mod revocation;
mod stale_mirror;
mod readiness;
mod identity_figures;
mod security_events;
mod operators;
mod buffered_bodies;
mod tenant_isolation;
mod header_rules;
mod wire_strictness;
mod bodies;
mod upstream_failures;
mod upstream_tls;
mod breakers;
mod bulkheads;
mod shedding;
mod instances;
mod retries;
mod local_answers;
mod worker_crash;
mod soak;
mod drain;
mod keys;
mod configuration;
mod benchmarks;
mod regressions;
mod shows;
