//! Ids: which are kept, and what ours look like.

use super::*;

#[test]
fn an_id_is_the_clients_text_where_it_stands_or_our_own() {
    let bytes = b"X-Request-ID: abc-1\r\n";
    let sent = Id::Sent(Span::of(&bytes[14..19], bytes));
    assert_eq!(sent.text(bytes), b"abc-1");
    let made = hyphenated([7; 16]);
    assert_eq!(Id::Made(made).text(bytes), made);
}

#[test]
fn made_ids_are_random_uuids() {
    let ids = Ids::seeded();
    let (Id::Made(first), Id::Made(second)) = (ids.make(), ids.make()) else { panic!("made ids are made") };
    assert_ne!(first, second);
    for text in [first, second] {
        assert_eq!((text[8], text[13], text[18], text[23]), (b'-', b'-', b'-', b'-'));
        assert_eq!(text[14], b'4', "version");
        assert!(b"89ab".contains(&text[19]), "variant");
        assert!(text.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'-'));
    }
}

#[test]
fn hyphens_stand_where_rfc_9562_puts_them() {
    let text = hyphenated([0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(&text, b"12345678-9abc-def0-0102-030405060708");
}

#[test]
fn only_short_plain_ids_are_kept() {
    let longest = "a".repeat(128);
    for kept in ["a", "A-b_c.9", longest.as_str()] {
        assert!(is_id(kept.as_bytes()), "{kept}");
    }
    let too_long = "a".repeat(129);
    for refused in ["", "a b", "a\r\nx: y", "a/b", "a\"b", "é", too_long.as_str()] {
        assert!(!is_id(refused.as_bytes()), "{refused}");
    }
}
