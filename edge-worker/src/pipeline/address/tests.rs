//! Forwarding chains, honest and forged.

use super::*;

fn walk(fields: &[&str], peer: &str, trusted: &[&str]) -> (String, bool, Vec<String>) {
    let trusted: Vec<IpNet> = trusted.iter().map(|network| network.parse().expect("a network")).collect();
    let peer = peer.parse().expect("an address");
    let claimed = client(fields.iter().map(|field| field.as_bytes()), peer, &trusted);
    (claimed.client.to_string(), claimed.trusted, claimed.hops.iter().map(ToString::to_string).collect())
}

fn answer(client: &str, trusted: bool, hops: &[&str]) -> (String, bool, Vec<String>) {
    (client.to_owned(), trusted, hops.iter().map(ToString::to_string).collect())
}

#[test]
fn a_header_of_an_untrusted_peer_is_ignored() {
    assert_eq!(walk(&["1.2.3.4"], "9.9.9.9", &[]), answer("9.9.9.9", false, &[]));
    assert_eq!(walk(&["1.2.3.4"], "9.9.9.9", &["10.0.0.0/8"]), answer("9.9.9.9", false, &[]));
}

#[test]
fn a_trusted_proxy_names_the_client() {
    assert_eq!(walk(&["1.2.3.4"], "10.0.0.1", &["10.0.0.0/8"]), answer("1.2.3.4", true, &["10.0.0.1"]));
}

#[test]
fn only_the_part_that_trusted_proxies_wrote_is_believed() {
    let chain = walk(&["6.6.6.6, 1.2.3.4, 10.0.0.2"], "10.0.0.1", &["10.0.0.0/8"]);
    assert_eq!(chain, answer("1.2.3.4", true, &["10.0.0.2", "10.0.0.1"]));
}

#[test]
fn several_fields_are_one_list() {
    let chain = walk(&["6.6.6.6", "1.2.3.4,10.0.0.2"], "10.0.0.1", &["10.0.0.0/8"]);
    assert_eq!(chain, answer("1.2.3.4", true, &["10.0.0.2", "10.0.0.1"]));
}

#[test]
fn a_chain_of_proxies_alone_ends_at_its_left() {
    let chain = walk(&["10.0.0.3, 10.0.0.2"], "10.0.0.1", &["10.0.0.0/8"]);
    assert_eq!(chain, answer("10.0.0.3", true, &["10.0.0.2", "10.0.0.1"]));
}

#[test]
fn what_is_no_address_ends_the_walk() {
    for forged in ["", "unknown", "1.2.3", "1.2.3.4:x:y", "_hidden", "[::1", "\u{e9}"] {
        let chain = walk(&[&format!("6.6.6.6, {forged}")], "10.0.0.1", &["10.0.0.0/8"]);
        assert_eq!(chain, answer("10.0.0.1", true, &[]), "{forged:?}");
    }
}

#[test]
fn ports_and_brackets_are_understood() {
    for (written, read) in
        [("1.2.3.4:567", "1.2.3.4"), ("[2001:db8::1]:443", "2001:db8::1"), ("2001:db8::1", "2001:db8::1")]
    {
        let chain = walk(&[written], "10.0.0.1", &["10.0.0.0/8"]);
        assert_eq!(chain.0, read);
    }
}

#[test]
fn a_mapped_address_is_the_address_it_maps() {
    let chain = walk(&["::ffff:10.0.0.2, ::ffff:1.2.3.4"], "10.0.0.1", &["10.0.0.0/8"]);
    assert_eq!(chain.0, "1.2.3.4");
}

#[test]
fn an_endless_chain_is_cut() {
    let chain = vec!["10.0.0.2"; 10_000].join(",");
    let walked = walk(&[&chain], "10.0.0.1", &["10.0.0.0/8"]);
    assert_eq!(walked.2.len(), HOPS_MAX);
}
