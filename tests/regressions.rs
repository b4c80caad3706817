//! Defects that were found once and must not come back, each with its story.

use crate::harness::{Backend, Edge};

/// The gateway before this one matched public paths by prefix before it resolved dot segments, and signed what it
/// forwarded: without any token a client reached auth-service's internal user records.
#[test]
fn a_public_prefix_does_not_open_an_internal_path() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    for path in [
        "/api/v1/auth/login/%2e%2e/internal/users/u1",
        "/api/v1/auth/login/..%2finternal/users/u1",
        "/api/v1/search/%2e%2e/%2e%2e/internal/x",
        "/api/v1/branding/domain/%2e%2e/%2e%2e/internal/x",
    ] {
        edge.get(path).expect_problem(400, "INVALID_PATH");
    }
    assert_eq!(backend.hits(), 0);
}
