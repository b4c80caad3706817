//! Which typing mistakes are recognised.

use super::{nearest, remedy};

const KNOWN: [&str; 3] = ["server.port", "server.host", "tokens.issuers"];

#[test]
fn a_typing_mistake_finds_its_word() {
    let cases = [
        ("server.prot", Some("server.port")),
        ("server.hosts", Some("server.host")),
        ("SERVER.PORT", Some("server.port")),
        ("tokens.isuer", Some("tokens.issuers")),
        ("entirely.else", None),
        ("", None),
    ];
    for (word, expected) in cases {
        assert_eq!(nearest(word, KNOWN), expected, "{word}");
    }
}

#[test]
fn the_remedy_names_the_word_or_the_reference() {
    assert_eq!(remedy("server.prt", KNOWN), "did you mean `server.port`?");
    assert_eq!(remedy("xyz", KNOWN), "remove it, or see docs/reference/settings.md");
}
