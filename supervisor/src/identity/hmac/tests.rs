//! The platform's vectors, and what the settings change.

use super::*;
use edge_worker::config::secret::Secret;

const BODY: &[u8] = br#"{"userId":"u","venueId":"v","permission":"tickets:view"}"#;
const BODY_HASH: &str = "dd140eeb4edd6323191fcedecc6aef6ba5fcbf819e0bf201604375203301791b";
const NONCE: &str = "11111111-1111-4111-8111-111111111111";

fn signer(format: SignatureFormat) -> Signer {
    Signer::new(&SignatureSettings {
        service_name: "api-gateway".to_owned(),
        secret: Secret::new("0123456789abcdef0123456789abcdef".to_owned()),
        format,
        without_query: vec![service("compliance")],
    })
}

fn service(name: &str) -> ServiceId {
    ServiceId::find(name).expect("a service")
}

fn covered<'a>(method: &'a str, target: &'a str, body: &'a [u8]) -> Covered<'a> {
    let timestamp_ms = 1_700_000_000_000;
    Covered { service: service("venue"), method, target, body, timestamp_ms, nonce: NONCE }
}

fn value<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    headers.iter().find(|header| header.0 == name).map(|header| header.1.as_str())
}

#[test]
fn signatures_match_the_platforms_vectors() {
    use SignatureFormat::{Legacy, New};
    let access = "/internal/access-check";
    let venues = "/internal/users/u/venues";
    let limited = "/internal/users/u/venues?limit=5";
    for (format, method, target, body, expected) in [
        (New, "POST", access, BODY, "dfa8cd5ec5fb29887c9f32b38cc55938af90eec5d5037d53ec0612743a5c0eff"),
        (New, "GET", venues, b"", "afba1ca4966a9f7df82d73c89c03ddcaefbd854a24bfa2ef17c0a32fcbe31fb3"),
        (New, "GET", limited, b"", "e5dfcd47ca05c4feaeb2abd3296db83cf58e037d18e7795e1b7e015821bcfe3b"),
        (Legacy, "POST", access, BODY, "a97b4d26e2c698e8d9747b065647a65bad3cf62bd62408855a6de7abed5448b5"),
        (Legacy, "GET", venues, b"", "bd75ae14be84cf4e42bace52e11914ea395e63049479fea9bed9a0418ef61571"),
    ] {
        let headers = signer(format).headers(covered(method, target, body));
        assert_eq!(value(&headers, "x-internal-signature"), Some(expected), "{format:?} {method} {target}");
    }
}

#[test]
fn headers_are_those_that_the_format_knows() {
    let post = covered("POST", "/internal/access-check", BODY);
    let headers = signer(SignatureFormat::New).headers(post);
    assert_eq!(value(&headers, "x-internal-service"), Some("api-gateway"));
    assert_eq!(value(&headers, "x-internal-timestamp"), Some("1700000000000"));
    assert_eq!(value(&headers, "x-internal-nonce"), Some(NONCE));
    assert_eq!(value(&headers, "x-internal-body-hash"), Some(BODY_HASH));
    let headers = signer(SignatureFormat::New).headers(covered("GET", "/x", b""));
    assert_eq!(value(&headers, "x-internal-body-hash"), None, "only with a body");
    let headers = signer(SignatureFormat::Legacy).headers(post);
    let names: Vec<&str> = headers.iter().map(|header| header.0).collect();
    assert_eq!(names, ["x-internal-service", "x-internal-timestamp", "x-internal-signature"]);
}

#[test]
fn the_query_is_left_out_for_services_that_do_not_sign_it() {
    let signer = signer(SignatureFormat::New);
    let to_compliance = |target| {
        let covered = Covered { service: service("compliance"), ..covered("GET", target, b"") };
        value(&signer.headers(covered), "x-internal-signature").map(str::to_owned)
    };
    assert_eq!(to_compliance("/x?a=1"), to_compliance("/x"));
    let to_venue = |target| {
        value(&signer.headers(covered("GET", target, b"")), "x-internal-signature").map(str::to_owned)
    };
    assert_ne!(to_venue("/x?a=1"), to_venue("/x"));
}
