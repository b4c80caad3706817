//! Hosts, URLs, networks and sizes that are accepted and refused.

use super::{
    BaseUrl, UrlFault, bytes, entries, is_authority, is_host, is_origin, is_private, networks, parse_port,
};
use crate::config::headers::Scheme;

#[test]
fn base_urls_are_taken_apart() {
    let cases = [
        ("http://auth.internal:3001", Scheme::Http, "auth.internal", 3001, "auth.internal:3001"),
        ("HTTP://Auth.Internal", Scheme::Http, "auth.internal", 80, "auth.internal"),
        ("http://127.0.0.1:80/", Scheme::Http, "127.0.0.1", 80, "127.0.0.1"),
        ("https://[::1]:8443", Scheme::Https, "::1", 8443, "[::1]:8443"),
        ("https://[FD00::1]", Scheme::Https, "fd00::1", 443, "[fd00::1]"),
        ("http://auth_service", Scheme::Http, "auth_service", 80, "auth_service"),
    ];
    for (text, scheme, host, port, authority) in cases {
        let url = BaseUrl::parse(text).expect(text);
        assert_eq!((url.scheme, url.host.as_str(), url.port), (scheme, host, port), "{text}");
        assert_eq!(url.authority(), authority);
    }
    assert!(BaseUrl::parse("http://10.0.0.1").expect("a URL").address().is_some());
    assert!(BaseUrl::parse("http://ten").expect("a URL").address().is_none());
}

#[test]
fn base_urls_with_anything_more_or_less_are_refused() {
    let cases = [
        ("auth:3001", UrlFault::Scheme, "does not start with http:// or https://"),
        ("ftp://auth", UrlFault::Scheme, "does not start with http:// or https://"),
        ("http://user:pw@auth", UrlFault::UserInformation, "holds a user name or password"),
        ("http://auth/v1", UrlFault::PathOrQuery, "holds a path, query or fragment"),
        ("http://auth?x", UrlFault::PathOrQuery, "holds a path, query or fragment"),
        ("http://auth#x", UrlFault::PathOrQuery, "holds a path, query or fragment"),
        ("http://auth:0", UrlFault::Port, "has a port outside 1 to 65535"),
        ("http://auth:65536", UrlFault::Port, "has a port outside 1 to 65535"),
        ("http://auth:+80", UrlFault::Port, "has a port outside 1 to 65535"),
        ("http://auth:", UrlFault::Port, "has a port outside 1 to 65535"),
        ("http://", UrlFault::Host, "has no valid host"),
        ("http:///", UrlFault::Host, "has no valid host"),
        ("http://:80", UrlFault::Host, "has no valid host"),
        ("http://a b", UrlFault::Host, "has no valid host"),
        ("http://::1:80", UrlFault::Port, "has a port outside 1 to 65535"),
    ];
    for (text, fault, what) in cases {
        assert_eq!(BaseUrl::parse(text), Err(fault), "{text}");
        assert_eq!(fault.what(), what);
    }
}

#[test]
fn hosts_follow_the_rules_for_names_and_addresses() {
    let long = "a".repeat(64);
    let longer = vec!["abcdefgh"; 30].join(".");
    for (host, legal) in [
        ("localhost", true),
        ("a-b.example", true),
        ("10.0.0.1", true),
        ("[::1]", true),
        ("a.1b", true),
        ("::1", false),
        ("[::1", false),
        ("[::1]x", false),
        ("[10.0.0.1]", false),
        ("010.0.0.1", false),
        ("1.1", false),
        ("256.0.0.1", false),
        ("-a", false),
        ("a-", false),
        ("a..b", false),
        ("a.", false),
        ("", false),
        ("exämple", false),
        (long.as_str(), false),
        (longer.as_str(), false),
    ] {
        assert_eq!(is_host(host), legal, "{host}");
    }
    for (authority, legal) in [("a:80", true), ("[::1]:80", true), ("a", true), ("a:", false), ("a:x", false)]
    {
        assert_eq!(is_authority(authority), legal, "{authority}");
    }
    assert_eq!((parse_port("443"), parse_port(""), parse_port("-1")), (Some(443), None, None));
}

#[test]
fn origins_are_exact_or_one_domain_below_a_star() {
    for (origin, legal) in [
        ("*", true),
        ("*.example.com", true),
        ("https://app.example.com", true),
        ("http://localhost:5173", true),
        ("*.com", false),
        ("*.", false),
        ("https://app.example.com/", false),
        ("https://*.example.com", false),
        ("app.example.com", false),
        ("null", false),
    ] {
        assert_eq!(is_origin(origin), legal, "{origin}");
    }
}

#[test]
fn networks_are_cidrs_addresses_or_loopback() {
    for (entry, expected) in [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("10.1.2.3/8", "10.0.0.0/8"),
        ("192.0.2.7", "192.0.2.7/32"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("loopback", "127.0.0.0/8 ::1/128"),
    ] {
        let found = networks(entry).expect(entry);
        let texts: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(texts.join(" "), expected);
    }
    for entry in ["10.0.0.0/33", "example.com", "10.0.0", "/8"] {
        assert_eq!(networks(entry), None, "{entry}");
    }
}

#[test]
fn private_ranges_are_recognised() {
    for (network, private) in [
        ("10.1.0.0/16", true),
        ("192.168.0.0/16", true),
        ("fd00::/8", true),
        ("127.0.0.0/8", false),
        ("203.0.113.0/24", false),
        ("0.0.0.0/0", false),
    ] {
        assert_eq!(is_private(&network.parse().expect("a network")), private, "{network}");
    }
}

#[test]
fn sizes_are_powers_of_1024() {
    for (text, expected) in [
        ("0", Some(0)),
        ("65536", Some(65_536)),
        ("64b", Some(64)),
        ("64kb", Some(65_536)),
        ("10MB", Some(10_485_760)),
        ("1 GiB", Some(1_073_741_824)),
        ("2k", Some(2_048)),
        ("10tb", None),
        ("mb", None),
        ("", None),
        ("-1", None),
        ("+1", None),
        ("1.5mb", None),
        ("18446744073709551615gb", None),
    ] {
        assert_eq!(bytes(text), expected, "{text}");
    }
}

#[test]
fn empty_entries_of_a_list_do_not_count() {
    assert_eq!(entries(" a, ,b ,").collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(entries(" , ").count(), 0);
}
