//! Addresses of a JWKS.

use super::*;
use crate::config::sample::{self, DEVELOPMENT, PRODUCTION, Scratch};

#[test]
fn an_address_is_taken_apart() {
    for (text, scheme, host, port, target) in [
        ("https://auth.example", Scheme::Https, "auth.example", 443, "/"),
        (
            "https://Auth.Example:8443/.well-known/jwks.json?v=1",
            Scheme::Https,
            "auth.example",
            8443,
            "/.well-known/jwks.json?v=1",
        ),
        ("http://127.0.0.1:9/k", Scheme::Http, "127.0.0.1", 9, "/k"),
        ("http://[::1]:9/k", Scheme::Http, "::1", 9, "/k"),
        ("http://localhost/k", Scheme::Http, "localhost", 80, "/k"),
    ] {
        let url = KeyUrl::parse(text).expect(text);
        assert_eq!((url.base.scheme, url.base.host.as_str(), url.base.port), (scheme, host, port), "{text}");
        assert_eq!(url.target, target);
    }
}

#[test]
fn what_could_be_read_in_two_ways_or_overheard_is_no_address() {
    for text in [
        "auth.example/k",
        "ftp://auth.example/k",
        "http://auth.example/k",
        "http://10.0.0.1/k",
        "https://user@auth.example/k",
        "https://auth.example?k",
        "https://auth.example/k#part",
        "https://auth.example/a b",
        "https://auth.example/ü",
        "https://",
        "https://:443/",
    ] {
        assert_eq!(KeyUrl::parse(text), None, "{text}");
    }
}

#[test]
fn plain_http_is_for_development_alone() {
    let changes = [("JWKS_URI", "http://127.0.0.1:9/k")];
    let expected =
        "JWKS_URI: is not https, so whoever holds the port decides which tokens are accepted; use https";
    assert_eq!(sample::warnings(DEVELOPMENT, &changes), [expected]);
    assert_eq!(sample::problems(PRODUCTION, &changes), [expected]);
}

#[test]
fn the_address_and_its_authorities_reach_the_supervisor() {
    let scratch = Scratch::new();
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().expect("a key can be made");
    let certificate = params.self_signed(&key).expect("it is complete");
    let file = scratch.file("ca.pem", certificate.pem());
    let uri = ("JWKS_URI", "https://auth.example/jwks.json");
    assert!(sample::loaded(DEVELOPMENT, &[]).settings.supervisor.remote_keys.is_none());
    let alone = sample::loaded(DEVELOPMENT, &[uri]).settings;
    assert!(alone.worker.tokens.renewable);
    assert_eq!(alone.supervisor.remote_keys.expect("set").roots, []);
    let vouched = sample::loaded(DEVELOPMENT, &[uri, ("UPSTREAM_CA_FILE", &file)]).settings;
    let remote = vouched.supervisor.remote_keys.expect("set");
    assert_eq!(remote.roots, [Root::new(certificate.der().clone())]);
}
