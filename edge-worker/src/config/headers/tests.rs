//! Proxies, schemes, hosts and origins.

use super::Scheme;
use crate::config::sample::{self, DEVELOPMENT, PRODUCTION, assert_accepted, assert_problems};

const TRUSTS_ALL: &str = "trusts every address, so that any client can state its own address; \
                          list the networks of your load balancers";

#[test]
fn trusting_every_address_is_an_error_in_production_and_a_warning_elsewhere() {
    for networks in ["0.0.0.0/0", "::/0", "10.0.0.0/8,0.0.0.0/0"] {
        assert_problems(PRODUCTION, &[("TRUSTED_PROXIES", networks, TRUSTS_ALL)]);
        let warnings = sample::warnings(DEVELOPMENT, &[("TRUSTED_PROXIES", networks)]);
        assert_eq!(warnings, [format!("TRUSTED_PROXIES: {TRUSTS_ALL}")]);
    }
    assert_accepted(PRODUCTION, &[("TRUSTED_PROXIES", "loopback,10.0.0.0/8,fd00::/8")]);
}

#[test]
fn allowing_every_origin_is_an_error_in_production() {
    let what = "allows every origin; list the origins of your applications";
    assert_problems(PRODUCTION, &[("ALLOWED_ORIGINS", "https://a.example,*", what)]);
    assert_problems(PRODUCTION, &[("ALLOWED_ORIGINS", "*", what)]);
    assert_eq!(sample::warnings(DEVELOPMENT, &[("CORS_ORIGIN", "*")]), [format!("CORS_ORIGIN: {what}")]);
    assert_accepted(PRODUCTION, &[("ALLOWED_ORIGINS", "https://a.example,*.tickettoken.com")]);
}

#[test]
fn the_external_scheme_and_port_follow_the_environment() {
    let headers = sample::loaded(DEVELOPMENT, &[]).settings.worker.headers;
    assert_eq!((headers.external_scheme, headers.external_port), (Scheme::Http, 3_000));
    assert_eq!(headers.external_scheme.as_str(), "http");
    let headers = sample::loaded(DEVELOPMENT, &[("EXTERNAL_SCHEME", "https")]).settings.worker.headers;
    assert_eq!((headers.external_scheme, headers.external_port), (Scheme::Https, 443));
    assert_eq!(headers.external_scheme.as_str(), "https");
    let headers = sample::loaded(DEVELOPMENT, &[("FLOODGATE_EXTERNAL_PORT", "8443")]).settings.worker.headers;
    assert_eq!(headers.external_port, 8_443);
}

/// Production does not start yet, so its settings are read below `load`.
#[test]
fn production_is_https_and_enforces_it() {
    let mut lookup = sample::sources(PRODUCTION, &[]).read().lookup;
    let headers = super::read(&mut lookup, crate::config::Environment::Production);
    assert_eq!(
        (headers.external_scheme, headers.external_port, headers.enforce_https),
        (Scheme::Https, 443, true)
    );
    assert_eq!(lookup.report.warnings, []);
    let mut lookup = sample::sources(PRODUCTION, &[("EXTERNAL_SCHEME", "http")]).read().lookup;
    let headers = super::read(&mut lookup, crate::config::Environment::Staging);
    assert_eq!(headers.external_scheme, Scheme::Http);
    let expected = "EXTERNAL_SCHEME: is http in production; auth-service answers such requests with a redirect; \
                    set https";
    assert_eq!(lookup.report.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(), [expected]);
}

#[test]
fn the_rest_is_handed_on() {
    let changes = [
        ("TRUSTED_PROXIES", "loopback,10.1.2.3/8"),
        ("PUBLIC_HOSTS", "API.Example.com,localhost:3000"),
        ("MASK_UPSTREAM_5XX", "true"),
        ("ENFORCE_HTTPS", "true"),
    ];
    let headers = sample::loaded(DEVELOPMENT, &changes).settings.worker.headers;
    let networks: Vec<String> = headers.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["127.0.0.0/8", "::1/128", "10.0.0.0/8"]);
    assert_eq!(headers.public_hosts, ["api.example.com", "localhost:3000"]);
    assert!(headers.mask_upstream_5xx && !headers.enforce_https, "enforced in production only");
}
