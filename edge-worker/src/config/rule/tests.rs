//! Every rule with values that pass, values that fail, and its words.

use super::Rule;

fn assert_rule(rule: Rule, text: &str, good: &[&str], bad: &[&str]) {
    assert_eq!(rule.text(), text);
    for value in good {
        assert_eq!(rule.check(value), Ok(()), "{rule:?} {value}");
    }
    for value in bad {
        let complaint = rule.check(value).expect_err(value);
        let repeated = value.len() > 3 && complaint.what.contains(value) && !text.contains(value);
        assert!(!repeated, "{} repeats the value", complaint.what);
    }
}

#[test]
fn single_values() {
    assert_rule(Rule::Text, "one line of text", &["a b"], &["", "a\nb"]);
    assert_rule(Rule::Word(&["on", "off"]), "one of on, off", &["on"], &["ON", "x", ""]);
    assert_rule(Rule::Flag, "true or false", &["true", "false", "1", "0"], &["yes", "TRUE"]);
    assert_rule(
        Rule::Number(1, 9),
        "a whole number from 1 to 9",
        &["1", "9"],
        &["0", "10", "+1", "1.0", "x", "-1"],
    );
    assert_rule(
        Rule::Number(1, u64::MAX),
        "a whole number, at least 1",
        &["7"],
        &["0", "99999999999999999999"],
    );
    assert_rule(Rule::Ratio, "a number from 0 to 1", &["0", "0.5", "1.0"], &["1.1", "-0.1", "NaN", "half"]);
    let bytes = "1024 to 2048 bytes, written as a number, `64kb` or `10mb`";
    assert_rule(Rule::Bytes(1024, 2048), bytes, &["1kb", "2048"], &["1023", "3kb", "x"]);
    assert_rule(
        Rule::Address,
        "an IP address or localhost",
        &["localhost", "::", "0.0.0.0"],
        &["example.com"],
    );
    let socket = "an address with port, such as 127.0.0.1:9090";
    assert_rule(
        Rule::SocketAddress,
        socket,
        &["127.0.0.1:9090", "[::1]:0"],
        &["localhost:9090", "127.0.0.1"],
    );
    assert_rule(Rule::Host, "a host name or IP address", &["redis"], &["redis:1"]);
    let collector = "an http or https URL without path, query or user information";
    assert_rule(Rule::Collector, collector, &["https://otel:4318"], &["otel:4318"]);
    let keys = "an https URL without user information, or http to localhost or a loopback address";
    let bad = ["http://a", "https://u@a", "https://", "https://a/\n"];
    assert_rule(Rule::KeyUrl, keys, &["https://a.example/jwks.json?x"], &bad);
    let redis = "a URL such as redis://[[user]:password@]host[:port][/db], \
                 redis-sentinel://host[:port],…/master[/db] or redis-cluster://host[:port],…; rediss… for TLS";
    assert_rule(Rule::RedisUrl, redis, &["redis://a:6379/0"], &["http://redis", "redis://a:0"]);
    let certificates = "-----BEGIN CERTIFICATE-----\n";
    assert_rule(Rule::Certificates, "certificates in PEM", &[certificates], &["key"]);
    let long = format!("/{}", "a".repeat(4_095));
    assert_rule(Rule::Path, "an absolute path", &["/run/floodgate"], &["run/x", long.as_str(), "/a\u{7}"]);
    let date = "an HTTP date such as Sun, 06 Nov 1994 08:49:37 GMT";
    let bad = ["1994-11-06", "Mon, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 CET"];
    assert_rule(Rule::Date, date, &["Sun, 06 Nov 1994 08:49:37 GMT"], &bad);
    let private = include_str!("../../../../tests/keys/current.private.pem");
    assert_rule(Rule::PrivateKey, "a private key in PEM", &[private], &["key"]);
    let public = "a public key in PEM or base64 PEM, RSA of at least 2048 bits";
    assert_rule(Rule::PublicKey, public, &["checked where keys are read"], &[]);
}

#[test]
fn lists() {
    let words = "a comma separated list of a, b";
    assert_rule(Rule::Words(&["a", "b"]), words, &["a", "b, a"], &["a,c", ",", ""]);
    let networks = "a comma separated list of CIDRs, addresses or the word loopback";
    assert_rule(Rule::Networks, networks, &["loopback,10.0.0.0/8"], &["10.0.0.0/8,nowhere"]);
    let hosts = "a comma separated list of hosts, each with an optional port";
    assert_rule(Rule::Hosts, hosts, &["a.example,b:80"], &["a/b"]);
    let origins = "a comma separated list of origins, *.domain or *";
    assert_rule(Rule::Origins, origins, &["*", "https://a,*.b.c"], &["https://a/"]);
    let keys = "a comma separated list of Redis keys, each with {key} or {sha256} once";
    let bad = ["api:key", "{key}{key}", "{key}{", "{key}{sha256}", "{k ey}", "a {key}"];
    assert_rule(Rule::KeyTemplates, keys, &["api:key:{key},h:{sha256}"], &bad);
    let names = "a comma separated list of words made of letters, digits, `.`, `_` and `-`";
    assert_rule(Rule::Names, names, &["mandrill,a.b_c-d"], &["a b", "a/b"]);
    let identifiers = "a comma separated list of words without spaces";
    assert_rule(Rule::Identifiers, identifiers, &["https://issuer/,x"], &["a b", "a\tb"]);
}

#[test]
fn a_list_names_the_entry_that_is_wrong() {
    let complaint = Rule::Names.check("ok,not ok").expect_err("a space");
    assert_eq!(complaint.what, format!("entry 2 of the list breaks the rule: {}", Rule::Names.text()));
    assert_eq!(Rule::Names.check(" , ").expect_err("nothing").what, "is a list without entries");
}

#[test]
fn instances() {
    let text = "a comma separated list of base URLs: http or https, host, optional port, nothing else";
    assert_rule(Rule::Instances, text, &["http://a", "http://a:1, https://b:2"], &["", "https://a/x"]);
    let many = vec!["http://a"; 33].join(",");
    for (value, what, remedy) in [
        (
            "http://a,http://b/x",
            "URL 2 holds a path, query or fragment",
            "write http://host:port or https://host:port, several instances separated by commas",
        ),
        (
            many.as_str(),
            "lists 33 instances, not 1 to 32",
            "write http://host:port or https://host:port, several instances separated by commas",
        ),
    ] {
        let complaint = Rule::Instances.check(value).expect_err(value);
        assert_eq!((complaint.what.as_str(), complaint.remedy), (what, Some(remedy)));
    }
}

#[test]
fn secrets_have_a_length() {
    assert_rule(Rule::Secret(8), "at least 8 bytes", &["12345678"], &["1234567"]);
    let complaint = Rule::Secret(8).check("1234567").expect_err("short");
    assert_eq!(complaint.what, "is shorter than 8 bytes");
    assert!(complaint.remedy.is_some_and(|remedy| remedy.contains("openssl rand")));
}

#[test]
fn path_templates_know_their_placeholders() {
    let text = "a path that starts with /, with no placeholder but {userId}, {venueId}";
    let good = ["/users/{userId}", "/a/{userId}/b/{venueId}", "/plain"];
    let bad = [
        "users/{userId}",
        "/users/{id}",
        "/users/{userId",
        "/users/userId}",
        "/a}/{userId}",
        "//host",
        "/a?b",
    ];
    assert_rule(Rule::Template(&["userId", "venueId"]), text, &good, &bad);
    let text = "a path that starts with / and holds no placeholder";
    assert_rule(
        Rule::Template(&[]),
        text,
        &["/health"],
        &["/{x}", "/a b", "/a/../b", "/a#b", "/%2e", "/a\\b"],
    );
}
