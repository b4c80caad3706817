//! Which headers pass, which are stripped, which the edge writes itself; in both directions.

use crate::harness::token::TENANT;
use crate::harness::{Backend, Command, Edge, Received, Response, Script, Token};

const ROW: &str = "/api/v1/tickets";

/// Sends these fields with a valid token; gives what the service saw.
fn forwarded(edge: &Edge, backend: &Backend, fields: &[(&str, &str)]) -> Received {
    let mut client = edge.client();
    let mut request = client.request("GET", ROW).bearer(&Token::valid().build());
    for (name, value) in fields {
        request = request.header(name, value);
    }
    request.send().expect_status(200);
    backend.last()
}

#[test]
fn dangerous_headers_are_stripped_and_counted() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let names = [
        "x-tenant-name",
        "x-user-name",
        "x-venue-id",
        "x-venue-tier",
        "x-session-id",
        "x-target-tenant-id",
        "x-auth-token",
        "x-admin-token",
        "x-privileged",
        "x-internal-service",
        "x-internal-signature",
        "x-service-token",
        "x-gateway-secret",
        "x-calling-service",
        "x-mint-authorization",
        "x-health-api-key",
        "x-signature",
        "x-timestamp",
        "x-nonce",
        "x-real-ip",
        "x-client-ip",
        "true-client-ip",
        "cf-connecting-ip",
        "x-original-url",
        "x-http-method-override",
        "x-method-override",
        "x-rewrite-url",
        "forwarded",
        "X_Internal_Service",
        "x_user_id",
    ];
    for name in names {
        let received = forwarded(&edge, &backend, &[(name, "evil-value")]);
        let leaked = received.fields.iter().find(|field| field.1.contains("evil-value"));
        assert_eq!(leaked, None, "{name}");
    }
    edge.metrics_say("every stripped header is counted", |metrics| {
        metrics.count("gateway_dangerous_headers_stripped_total", &[]) == names.len() as u64
    });
}

#[test]
fn facts_that_the_edge_states_cannot_be_stated_by_a_client() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let names = [
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-forwarded-port",
        "x-original-ip",
        "x-request-deadline",
        "x-timeout-remaining",
        "x-gateway-forwarded",
    ];
    for name in names {
        let received = forwarded(&edge, &backend, &[(name, "6.6.6.6")]);
        let values = received.headers(name);
        assert_eq!(values.len(), 1, "{name}: {values:?}");
        assert!(!values.concat().contains("6.6.6.6"), "{name}: {values:?}");
    }
}

#[test]
fn listed_headers_pass_byte_exact() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let names = [
        "accept",
        "accept-language",
        "accept-encoding",
        "content-type",
        "user-agent",
        "referer",
        "origin",
        "cookie",
        "range",
        "if-range",
        "if-match",
        "if-none-match",
        "if-modified-since",
        "if-unmodified-since",
        "cache-control",
        "pragma",
        "x-access-token",
        "x-wallet-address",
        "x-wallet-signature",
        "x-confirm-action",
        "tracestate",
        "baggage",
        "b3",
        "x-b3-traceid",
        "x-custom-Anything",
    ];
    let value = "V1;  a=\"b c\", \u{e9}t\u{e9}";
    let fields: Vec<(&str, &str)> = names.iter().map(|name| (*name, value)).collect();
    let received = forwarded(&edge, &backend, &fields);
    for name in names {
        assert_eq!(received.headers(name), [value], "{name}");
    }
    edge.counts("gateway_dangerous_headers_stripped_total", &[], 0);
}

#[test]
fn unlisted_headers_are_dropped_and_not_counted_as_dangerous() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let received = forwarded(&edge, &backend, &[("x-unknown", "1"), ("save-data", "on"), ("via", "1.1 a")]);
    for name in ["x-unknown", "save-data", "via"] {
        assert_eq!(received.header(name), None, "{name}");
    }
    edge.counts("gateway_dangerous_headers_stripped_total", &[], 0);
}

#[test]
fn hop_by_hop_headers_and_what_connection_names_stay_here() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let fields = [
        ("connection", "keep-alive, x-custom-hop"),
        ("x-custom-hop", "1"),
        ("keep-alive", "timeout=5"),
        ("te", "trailers"),
        ("proxy-authorization", "Basic dTpw"),
        ("proxy-connection", "keep-alive"),
        ("trailer", "x-sum"),
    ];
    let received = forwarded(&edge, &backend, &fields);
    for name in ["x-custom-hop", "keep-alive", "te", "proxy-authorization", "proxy-connection", "trailer"] {
        assert_eq!(received.header(name), None, "{name}");
    }
}

#[test]
fn connection_cannot_remove_what_the_edge_injects() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let names = "close, x-tenant-id, x-user-id, authorization, x-request-id";
    let received = forwarded(&edge, &backend, &[("connection", names)]);
    assert_eq!(received.headers("x-tenant-id"), [TENANT]);
    assert_eq!(received.headers("x-user-id").len(), 1);
    assert_eq!(received.headers("x-request-id").len(), 1);
}

#[test]
fn the_edge_states_where_a_request_came_from() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let received = forwarded(&edge, &backend, &[]);
    assert_eq!(received.headers("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(received.headers("x-original-ip"), ["127.0.0.1"]);
    assert_eq!(received.headers("x-forwarded-host"), ["api.tickettoken.com"]);
    assert_eq!(received.headers("x-forwarded-proto"), ["http"]);
    assert_eq!(received.headers("x-gateway-forwarded"), ["true"]);
    assert_eq!(received.headers("host"), [backend.address().to_string()]);
    assert_eq!(received.header("via"), None);
    assert_eq!(received.headers("traceparent").len(), 1);
}

#[test]
fn only_a_trusted_proxy_is_believed_about_the_client() {
    let backend = Backend::start();
    let sent = [("x-forwarded-for", "1.1.1.1, 203.0.113.9, 10.0.0.7"), ("x-forwarded-proto", "https")];
    let trusting = Command::run(&backend).set("TRUSTED_PROXIES", "loopback,10.0.0.0/8").start();
    let received = forwarded(&trusting, &backend, &sent);
    let first = received.header("x-forwarded-for").and_then(|list| list.split(',').next().map(str::trim));
    assert_eq!(first, Some("203.0.113.9"), "services read the left-most address");
    assert!(!received.headers("x-forwarded-for").concat().contains("1.1.1.1"));
    assert_eq!(received.header("x-original-ip"), Some("203.0.113.9"));
    assert_eq!(received.header("x-forwarded-proto"), Some("https"));
    let wary = Edge::start(&backend);
    let received = forwarded(&wary, &backend, &sent);
    assert_eq!(received.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(received.header("x-forwarded-proto"), Some("http"));
}

#[test]
fn a_host_that_is_not_public_is_not_passed_on() {
    let backend = Backend::start();
    let edge = Command::run(&backend).set("PUBLIC_HOSTS", "api.tickettoken.com,tickettoken.com").start();
    let mut client = edge.client();
    let request = client.request("GET", ROW).bearer(&Token::valid().build()).host("evil.example");
    request.send().expect_status(200);
    assert_eq!(backend.only().headers("x-forwarded-host"), ["api.tickettoken.com"]);
}

#[test]
fn a_service_is_told_how_much_time_is_left() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let received = forwarded(&edge, &backend, &[]);
    let number = |name: &str| received.header(name).and_then(|value| value.parse::<i64>().ok());
    let left = number("x-timeout-remaining").expect("milliseconds");
    assert!((1..=5_000).contains(&left), "ticket-service reads have 5 s: {left}");
    let deadline = number("x-request-deadline").expect("epoch milliseconds");
    let now = crate::harness::token::now() * 1000;
    assert!((now - 6_000..=now + 6_000).contains(&deadline), "{deadline} against {now}");
}

#[test]
fn a_good_request_id_is_kept_and_a_bad_one_replaced() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let token = Token::valid().build();
    let ask = |id: &str| -> (Response, Received) {
        let mut client = edge.client();
        let answer = client.request("GET", ROW).bearer(&token).header("X-Request-Id", id).send();
        (answer, backend.last())
    };
    let (answer, received) = ask("abc.DEF_1-2");
    assert_eq!(answer.headers("x-request-id"), ["abc.DEF_1-2"]);
    assert_eq!(received.headers("x-request-id"), ["abc.DEF_1-2"]);
    assert_eq!(received.headers("x-correlation-id"), ["abc.DEF_1-2"], "defaults to the request id");
    let too_long = "a".repeat(129);
    for bad in ["a b", "a\"b", "<script>", "\u{e9}", too_long.as_str()] {
        let (answer, received) = ask(bad);
        let id = answer.header("x-request-id").expect("every answer has an id").to_owned();
        assert_ne!(id, bad);
        assert_eq!(id.len(), 36, "a new UUID: {id}");
        assert_eq!(received.headers("x-request-id"), [id.as_str()]);
    }
}

#[test]
fn the_correlation_id_travels_both_ways() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let mut client = edge.client();
    let request = client.request("GET", ROW).bearer(&Token::valid().build());
    let answer = request.header("X-Correlation-ID", "order-17").send();
    assert_eq!(answer.headers("x-correlation-id"), ["order-17"]);
    assert_ne!(answer.header("x-request-id"), Some("order-17"));
    assert_eq!(backend.only().headers("x-correlation-id"), ["order-17"]);
    let refused = client.request("GET", ROW).header("X-Correlation-ID", "order-18").send();
    assert_eq!(refused.expect_problem(401, "AUTHENTICATION_ERROR")["correlationId"], "order-18");
}

#[test]
fn a_trace_is_continued_without_believing_its_sampling() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let received = forwarded(&edge, &backend, &[("traceparent", parent)]);
    let ours = received.header("traceparent").expect("a traceparent");
    assert!(ours.starts_with("00-0af7651916cd43dd8448eb211c80319c-"), "{ours}");
    assert_eq!(ours.len(), parent.len());
    let received = forwarded(&edge, &backend, &[("traceparent", "00-zz-1-01")]);
    let fresh = received.header("traceparent").expect("a traceparent");
    assert!(!fresh.contains("zz"), "{fresh}");
}

#[test]
fn an_api_key_is_never_forwarded_to_event_service() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let mut client = edge.client();
    let request = client.request("GET", "/api/v1/events").bearer(&Token::valid().build());
    // Whatever the edge decides about the key, the service never sees it.
    request.header("X-API-Key", "0123456789abcdef0123456789abcdef").send();
    for received in backend.received() {
        assert_eq!(received.header("x-api-key"), None);
    }
}

#[test]
fn signature_headers_pass_on_webhook_rows_alone() {
    let backend = Backend::start();
    let edge = Edge::start(&backend);
    let mut client = edge.client();
    let body = b"{\"id\": 1.0,\r\n \"raw\":\"\xc3\xa9\"}";
    let request =
        client.request("POST", "/api/v1/webhooks/stripe?x=%2B").header("Stripe-Signature", "t=1,v1=a");
    request.header("stripe-webhook-id", "w1").body(body).send().expect_status(200);
    let received = backend.only();
    assert_eq!(received.target(), "/webhooks/stripe?x=%2B");
    assert_eq!(received.header("stripe-signature"), Some("t=1,v1=a"));
    assert_eq!(received.header("stripe-webhook-id"), Some("w1"));
    assert_eq!(received.body.bytes, body);
    let elsewhere = forwarded(&edge, &backend, &[("stripe-signature", "t=1")]);
    assert_eq!(elsewhere.header("stripe-signature"), None);
}

#[test]
fn internal_headers_of_a_service_stay_inside() {
    let fields = [
        ("x-internal-node", "1"),
        ("X-Service-Version", "1"),
        ("x-gateway-x", "1"),
        ("x-tenant-id", "1"),
        ("x-user-id", "1"),
        ("x-venue-id", "1"),
        ("x-original-url", "1"),
        ("Server", "nginx/1.2"),
        ("X-Powered-By", "Express"),
        ("Keep-Alive", "timeout=5"),
        ("access-control-allow-origin", "*"),
        ("proxy-authenticate", "x"),
        ("connection", "x-named"),
        ("x-named", "1"),
    ];
    let backend = Backend::start().on(ROW, Script::answer(200, &fields, "ok"));
    let edge = Edge::start(&backend);
    let answer = edge.fetch_as(&Token::valid().build(), ROW);
    assert_eq!(answer.text(), "ok");
    for (name, _) in fields.iter().filter(|field| field.0 != "connection") {
        assert_eq!(answer.header(name), None, "{name}");
    }
}

#[test]
fn other_headers_of_a_service_pass_in_order() {
    let fields = [
        ("Set-Cookie", "a=1; Path=/"),
        ("ETag", "\"x\""),
        ("set-cookie", "b=2"),
        ("Location", "/elsewhere?x=1"),
        ("X-Custom-Thing", "  spaced "),
        ("Content-Type", "text/plain; charset=x"),
    ];
    let backend = Backend::start().on(ROW, Script::answer(200, &fields, "ok"));
    let edge = Edge::start(&backend);
    let answer = edge.fetch_as(&Token::valid().build(), ROW);
    assert_eq!(answer.headers("set-cookie"), ["a=1; Path=/", "b=2"]);
    assert_eq!(answer.headers("etag"), ["\"x\""]);
    assert_eq!(answer.headers("location"), ["/elsewhere?x=1"]);
    assert_eq!(answer.headers("x-custom-thing"), ["spaced"]);
    assert_eq!(answer.headers("content-type"), ["text/plain; charset=x"]);
}

#[test]
fn every_answer_carries_the_security_headers_once() {
    let poor =
        [("x-frame-options", "ALLOWALL"), ("strict-transport-security", "max-age=0"), ("x-request-id", "u")];
    let backend = Backend::start().on(ROW, Script::answer(200, &poor, "ok"));
    let edge = Edge::start(&backend);
    let proxied = edge.fetch_as(&Token::valid().build(), ROW);
    let refused = edge.get(ROW);
    let unknown = edge.get("/nowhere");
    for answer in [&proxied, &refused, &unknown] {
        for (name, value) in SECURITY_HEADERS {
            assert_eq!(answer.headers(name), [value], "{name} of {}", answer.status);
        }
        assert_eq!(answer.headers("x-request-id").len(), 1);
        assert_eq!(answer.headers("x-correlation-id").len(), 1);
        let time = answer.header("x-response-time").expect("the time is stated");
        assert!(time.ends_with("ms"), "{time}");
        let policy = answer.header("content-security-policy").expect("a policy");
        assert!(policy.contains("default-src 'self'") && policy.contains("object-src 'none'"), "{policy}");
    }
    assert_ne!(proxied.header("x-request-id"), Some("u"));
}

const SECURITY_HEADERS: [(&str, &str); 11] = [
    ("x-api-version", "1.0.0"),
    ("api-version", "v1"),
    ("strict-transport-security", "max-age=31536000; includeSubDomains; preload"),
    ("x-frame-options", "DENY"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "strict-origin-when-cross-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("origin-agent-cluster", "?1"),
    ("x-dns-prefetch-control", "off"),
    ("x-permitted-cross-domain-policies", "none"),
];
