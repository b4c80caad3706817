//! `docs/reference/security-events.md`, written from the table.

use super::{Purpose, TABLE};

/// The page. A golden test compares it with the file.
#[must_use]
pub fn reference() -> String {
    let mut page = String::from(INTRODUCTION);
    page.push_str("| event | severity | purpose | what it says |\n|---|---|---|---|\n");
    for row in &TABLE {
        let purpose = match row.purpose {
            Purpose::Alert => "alert",
            Purpose::Audit => "audit",
        };
        page.push_str(&format!(
            "| `{}` | {} | {purpose} | {} |\n",
            row.word,
            row.severity.word(),
            row.meaning
        ));
    }
    page.push_str(SAMPLING);
    page
}

const INTRODUCTION: &str = "\
# Security events

Generated from `edge-worker/src/telemetry/security_events.rs`; `FLOODGATE_BLESS=1 cargo test --test docs` rewrites it.

Each event is a line of its own in the log, whatever `LOG_LEVEL` says, with `msg` \"security event\" and the fields
`event`, `severity`, `requestId`, `correlationId`, `traceId`, `spanId`, `method`, `path` (the route's template),
`userId`, `tenantId`, `targetTenantId`, `role`, `clientIp`, `venueId`, `keyStart` (8 characters of a refused API key),
`permission`, `reason` and `worker`; what does not apply is left out. User and tenant are those of a verified token. A
request may have several events: what was noted of it stays, however it ends. The request's access line names the
gravest.

What the supervisor sees itself (a record of another tenant, a forged value in Redis, a full table or outbox, an
operator's order) has `event`, `severity` and what there is of `userId`, `tenantId`, `requestId`, `traceId`, `what`
(which cache, which kind of revocation), `count`, `uid` and `pid` of who connected to the control socket, `whom` an
order or a revocation is about, the operator's `reason`, and the `outcome`. `whom` of `revocation_refused` is the
beginning of the SHA-256 of its id.

Every event counts in `gateway_security_events_total{event,severity}`, whether its line is written or not, and even
if a full journal loses its record (`gateway_journal_dropped_total`).

";

const SAMPLING: &str = "
## Under flood

Whoever can send requests can cause events. So that the log cannot be made to fill a disk, the supervisor, where the
lines of all workers of a node meet, gives each kind of line a budget; a flood of one kind hides no other:

| lines | at once | then a second |
|---|---|---|
| `operator_revocation`, `operator_circuit` | all | all |
| another audit or critical event, each | 1,000 | 10 |
| a high or medium event, each | 200 | 5 |
| a low event, each | 50 | 1 |
| access lines of requests that the edge refused for the client's fault, all together | 2,000 | 100 |

All events that others than operators can cause write less than 22 GiB a day together, if every one of them is
flooded all day with lines of the greatest length; what clients without a token can cause is about an eighth of it.
Access lines of refusals are of some 450 bytes mostly, so that their budget is 4 GB a day. Lines left out are counted in
`gateway_log_lines_suppressed_total{kind}`, and every 10 s the line \"log lines suppressed\" says how many of which
`kind` there were.
";
