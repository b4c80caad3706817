//! Request heads.

use super::*;

#[test]
fn a_plain_request_is_understood() {
    let text = "GET /api/v1/events?limit=20 HTTP/1.1\r\nHost: a.example:8080\r\nAccept: */*\r\n\
                X-Access-Token:   spaced value\t \r\nEmpty:\r\n\r\nrest";
    let bytes = text.as_bytes();
    let mut head = RequestHead::default();
    let progress = head.parse(bytes, &LIMITS);
    assert_eq!(progress, Ok(Progress::Complete { head_bytes: text.len() - 4 }));
    assert_eq!(head.method(), MethodToken::Known(Method::Get));
    assert_eq!(head.target(bytes), b"/api/v1/events?limit=20");
    assert_eq!(head.host(bytes), b"a.example:8080");
    assert_eq!(head.version(), Version::Http11);
    assert_eq!(head.framing(), BodyFraming::None);
    assert_eq!(head.value(KnownHeader::XAccessToken, bytes), Some(b"spaced value".as_slice()));
    assert_eq!(head.value(KnownHeader::Cookie, bytes), None);
    assert_eq!(head.fields().len(), 4);
    assert!(head.persistent() && !head.upgrades() && !head.expects_continue());
    assert!(head.stripped().is_empty());
}

#[test]
fn every_value_of_a_doubled_header_is_visible() {
    let text = with_line("Authorization: one\r\nauthorization: two");
    let head = request(&text).expect("legal framing");
    let values: Vec<&[u8]> = head.values(KnownHeader::Authorization, text.as_bytes()).collect();
    assert_eq!(values, [b"one".as_slice(), b"two"]);
}

#[test]
fn a_head_is_reused_without_remembering_the_last_request() {
    let mut head = RequestHead::default();
    let first = with_line("Content-Length: 7\r\nConnection: close, x-a\r\nX-Tenant-Id: t");
    assert!(head.parse(first.as_bytes(), &LIMITS).is_ok());
    assert_eq!(head.framing(), BodyFraming::Length(7));
    assert!(!head.persistent() && head.nominated(first.as_bytes(), b"X-A") && !head.stripped().is_empty());
    let second = "GET /b HTTP/1.0\r\n\r\n";
    assert!(head.parse(second.as_bytes(), &LIMITS).is_ok());
    assert_eq!(head.framing(), BodyFraming::None);
    assert_eq!(head.host(second.as_bytes()), b"");
    assert!(!head.nominated(second.as_bytes(), b"X-A") && head.stripped().is_empty());
    assert_eq!(head.fields().len(), 0);
}

#[test]
fn one_empty_line_before_a_request_is_tolerated_and_no_more() {
    let least = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert!(request(&format!("\r\n{least}")).is_ok());
    assert!(is_bad(&request(&format!("\r\n\r\n{least}"))));
    assert!(is_bad(&request(&format!("\n{least}"))));
    assert!(is_bad(&request(&format!("\r{least}"))));
    assert!(is_bad(&request(&format!(" {least}"))));
}

#[test]
fn request_lines_of_another_shape_are_refused() {
    let lines = [
        "GET /",
        "GET",
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET\t/\tHTTP/1.1",
        "GET / HTTP/1.1\t",
        "GET / http/1.1",
        "GET / HTTP/1.1x",
        "GET / HTTP/11",
        "GET / HTTP/1.",
        "GET / XTTP/1.1",
        "GET /a b HTTP/1.1",
        "G(T / HTTP/1.1",
        "GET /\u{7f} HTTP/1.1",
        "GET /\u{1} HTTP/1.1",
        "GET /\0 HTTP/1.1",
        " / HTTP/1.1",
        "GET / HTTP/1.1\r",
        "GET /\r HTTP/1.1",
        "GET a/b HTTP/1.1",
        "GET * HTTP/1.1",
        "GET a.example:80 HTTP/1.1",
        "GET ftp://a.example/ HTTP/1.1",
        "GET http:///x HTTP/1.1",
        "GET http://user@a.example/ HTTP/1.1",
        "GET http://a.example:80:80/ HTTP/1.1",
        "GET http://a?x HTTP/1.1",
        "GET http://a#x HTTP/1.1",
        "GET javascript:alert(1) HTTP/1.1",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJ / HTTP/1.1",
    ];
    for line in lines {
        let result = request(&format!("{line}\r\nHost: a.example\r\n\r\n"));
        assert!(is_bad(&result), "{line:?}: {result:?}");
    }
}

#[test]
fn versions_other_than_1_0_and_1_1_are_named() {
    for version in ["HTTP/2.0", "HTTP/0.9", "HTTP/1.2", "HTTP/9.9"] {
        let result = request(&format!("GET / {version}\r\nHost: a\r\n\r\n"));
        assert_eq!(result.err(), Some(HeadFault::VersionNotSupported), "{version}");
    }
    assert_eq!(request("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").err(), Some(HeadFault::VersionNotSupported));
}

#[test]
fn a_target_outside_ascii_is_a_path_fault() {
    assert_eq!(request("GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n").err(), Some(HeadFault::TargetNotAscii));
    let mut head = RequestHead::default();
    let raw = b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(head.parse(raw, &LIMITS), Err(HeadFault::TargetNotAscii));
}

#[test]
fn target_forms_are_reduced_to_path_and_host() {
    let table = [
        ("GET http://b.example:81/x?y HTTP/1.1", "/x?y", "b.example:81"),
        ("GET HTTPS://B.example HTTP/1.1", "/", "B.example"),
        ("GET http://[::1]:80/ HTTP/1.1", "/", "[::1]:80"),
        ("OPTIONS * HTTP/1.1", "*", "a.example"),
        ("OPTIONS /x HTTP/1.1", "/x", "a.example"),
        ("CONNECT b.example:443 HTTP/1.1", "/", "a.example"),
        ("GET //b.example/x HTTP/1.1", "//b.example/x", "a.example"),
    ];
    for (line, target, host) in table {
        let text = format!("{line}\r\nHost: a.example\r\n\r\n");
        let head = request(&text).expect(line);
        assert_eq!(head.target(text.as_bytes()), target.as_bytes(), "{line}");
        assert_eq!(head.host(text.as_bytes()), host.as_bytes(), "{line}");
    }
}

#[test]
fn methods_are_told_apart() {
    let method =
        |line: &str| request(&format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n")).map(|head| head.method());
    assert_eq!(method("DELETE /"), Ok(MethodToken::Known(Method::Delete)));
    assert_eq!(method("CONNECT a:1"), Ok(MethodToken::Forbidden));
    assert_eq!(method("TRACE /"), Ok(MethodToken::Forbidden));
    assert_eq!(method("get /"), Ok(MethodToken::Unknown));
    assert_eq!(method("PROPFIND /"), Ok(MethodToken::Unknown));
}

#[test]
fn malformed_field_lines_are_refused() {
    let lines = [
        "X-A : b",
        "X-A\t: b",
        " X-A: b",
        "\tX-A: b",
        ": b",
        "X-A",
        "X A: b",
        "X-A: b\r\n folded",
        "X-A: b\r\n\tfolded",
        "X-A:\r\n b",
        "X-A: b\nX-B: c",
        "X-A: b\rX-B: c",
        "X-A: b\r\r",
        "X-A: \u{1}b",
        "X-A: b\0",
        "X-A: \u{7f}",
        "X-\u{e9}: b",
        "X(A): b",
        "X\0A: b",
        "X\"A: b",
        "X/A: b",
        "X-A: b\n",
        "X-A: b\u{b}",
        "X-A: b\u{c}",
    ];
    for line in lines {
        let result = request(&with_line(line));
        assert!(is_bad(&result), "{line:?}: {result:?}");
    }
}

#[test]
fn no_line_of_a_head_may_end_with_a_bare_line_feed() {
    let text = "GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n\r\n";
    for (at, _) in text.match_indices('\r') {
        let mut bare = text.to_owned();
        bare.remove(at);
        assert!(is_bad(&request(&bare)), "{bare:?}");
    }
    assert!(is_bad(&request("GET / HTTP/1.1\r\nHost: a\r\n\n")));
    assert!(is_bad(&request("GET / HTTP/1.1\nHost: a\n\n")));
}

#[test]
fn no_byte_is_allowed_in_a_value_that_could_end_or_hide_it() {
    for byte in 0..=u8::MAX {
        for before in [0, 1, 7, 8, 15, 16, 31, 32, 40] {
            let mut text = b"GET / HTTP/1.1\r\nHost: a\r\nX-A: v".to_vec();
            text.extend(std::iter::repeat_n(b'p', before));
            text.push(byte);
            text.extend_from_slice(b"end of a value that is long enough for every vector width\r\n\r\n");
            let result = RequestHead::default().parse(&text, &LIMITS);
            let legal = byte == b'\t' || (b' '..=b'~').contains(&byte) || byte >= 0x80;
            assert_eq!(result.is_ok(), legal, "byte {byte:#x} after {before}");
        }
    }
}

#[test]
fn no_byte_is_allowed_in_a_name_that_is_no_token() {
    for byte in 0..=u8::MAX {
        for before in [0, 1, 7, 8, 15, 16, 31, 32, 40] {
            let mut text = b"GET / HTTP/1.1\r\nHost: a\r\n".to_vec();
            text.extend(std::iter::repeat_n(b'n', before));
            text.push(byte);
            text.extend_from_slice(b"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn: v\r\n\r\n");
            let result = RequestHead::default().parse(&text, &LIMITS);
            // A colon only moves the end of the name.
            let legal = lines::is_token_byte(byte) || (byte == b':' && before > 0);
            assert_eq!(result.is_ok(), legal, "byte {byte:#x} after {before}");
        }
    }
}

#[test]
fn ambiguous_framing_is_refused() {
    let lines = [
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5, 5",
        "Content-Length: 5,6",
        "Content-Length: +5",
        "Content-Length: -5",
        "Content-Length: 5 5",
        "Content-Length: 0x5",
        "Content-Length: 5.0",
        "Content-Length:",
        "Content-Length: five",
        "Content-Length: 99999999999999999999",
        "Content-Length: 18446744073709551616",
        "Content-Length: \u{663}",
        "Content-Length: 5;",
        "Content-Length: 1e1",
        "Content-Length: \"5\"",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "content-length: 0\r\ntransfer-encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunkedx",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: chunked,",
        "Transfer-Encoding: ,chunked",
        "Transfer-Encoding:",
        "Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: \u{b}chunked",
        "Transfer-Encoding: chunked\u{c}",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding\t: chunked",
        " Transfer-Encoding: chunked",
        "Transfer-Encoding:\r\n chunked",
        "Transfer-Encoding: cow",
        "Transfer-Encoding: chun\tked",
        "X: y\nTransfer-Encoding: chunked",
        "X: y\rTransfer-Encoding: chunked",
        "Transfer-Encoding\0: chunked",
    ];
    for line in lines {
        let result = request(&with_line(line));
        assert!(is_bad(&result), "{line:?}: {result:?}");
    }
    let old = request("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert!(is_bad(&old), "HTTP/1.0 has no transfer codings: {old:?}");
}

#[test]
fn clear_framing_is_understood() {
    let framing = |line: &str| request(&with_line(line)).map(|head| head.framing());
    assert_eq!(framing("Content-Length: 0"), Ok(BodyFraming::Length(0)));
    assert_eq!(
        framing("content-length: 9999999999999999999"),
        Ok(BodyFraming::Length(9_999_999_999_999_999_999))
    );
    assert_eq!(framing("CONTENT-LENGTH:\t12 \t"), Ok(BodyFraming::Length(12)));
    assert_eq!(framing("Transfer-Encoding: chunked"), Ok(BodyFraming::Chunked));
    assert_eq!(framing("transfer-encoding:\tChUnKeD "), Ok(BodyFraming::Chunked));
    assert_eq!(framing("Content_Length: 5"), Ok(BodyFraming::None));
    assert_eq!(framing("X-Content-Length: 5"), Ok(BodyFraming::None));
}

#[test]
fn host_is_required_single_and_a_host() {
    for line in ["", "Host: a\r\nHost: a\r\n", "Host: a\r\nhost: b\r\n"] {
        assert!(is_bad(&request(&format!("GET / HTTP/1.1\r\n{line}\r\n"))), "{line:?}");
    }
    let invalid = [
        "",
        "a b",
        "a/b",
        "a@b",
        "user@a",
        "a,b",
        "a?b",
        "a#b",
        "a\\b",
        "a\"b",
        "a<b",
        "a:b",
        "a:",
        "a:1:2",
        "a:65536",
        "a:-1",
        "a:000080",
        ":80",
        "[::1",
        "[::1]x",
        "[::1]80",
        "[::1]:",
        "[fe80::1%25eth0]",
        "[1.2.3.4]",
        "[]",
        "::1",
        "%61",
        "\u{e9}",
        "a;b",
        "a'b",
        "a(b)",
        "http://a",
        "a\tb",
        "*",
        "a$b",
        "[::1]:99999",
    ];
    for host in invalid {
        let result = request(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert!(is_bad(&result), "{host:?}: {result:?}");
    }
    for host in
        ["a", "A.example.", "a_b-c.d~e:65535", "127.0.0.1:1", "[::1]", "[2001:db8::1]:443", "xn--e1afmkfd"]
    {
        let text = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(request(&text).expect(host).host(text.as_bytes()), host.as_bytes());
    }
    assert!(request("GET / HTTP/1.0\r\n\r\n").is_ok());
    assert!(is_bad(&request("GET http://b/ HTTP/1.1\r\n\r\n")), "an absolute target does not replace Host");
}

#[test]
fn connection_options_decide_persistence() {
    let persistent = |text: &str| request(text).map(|head| head.persistent());
    assert_eq!(persistent("GET / HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n"), Ok(false));
    assert_eq!(persistent("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, close ,\r\n\r\n"), Ok(false));
    assert_eq!(persistent("GET / HTTP/1.1\r\nHost: a\r\nConnection: closer\r\n\r\n"), Ok(true));
    assert_eq!(persistent("GET / HTTP/1.0\r\n\r\n"), Ok(false));
    assert_eq!(persistent("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), Ok(true));
    assert_eq!(persistent("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n"), Ok(false));
    assert!(is_bad(&request(&with_line("Connection: clo se"))));
    assert!(is_bad(&request(&with_line("Connection: \"close\""))));
}

#[test]
fn connection_names_fields_that_end_here() {
    let text = with_line("Connection: close, X-Custom-A ,x-custom-b\r\nConnection: cookie");
    let head = request(&text).expect("legal");
    for name in ["x-custom-a", "X-CUSTOM-B", "Cookie"] {
        assert!(head.nominated(text.as_bytes(), name.as_bytes()), "{name}");
    }
    assert!(!head.nominated(text.as_bytes(), b"x-custom"));
    assert!(head.field_set().nominates());
}

#[test]
fn expect_is_100_continue_or_refused() {
    let text = with_line("Expect: 100-Continue\r\nContent-Length: 1");
    assert!(request(&text).expect("legal").expects_continue());
    assert!(!request(&with_line("Expect: 100-continue")).expect("no body to wait for").expects_continue());
    let old = "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n";
    assert!(!request(old).expect("ignored").expects_continue());
    for line in ["Expect: 200-ok", "Expect:", "Expect: 100-continue, x", "Expect: 100-continue\r\nExpect: y"]
    {
        assert!(is_bad(&request(&with_line(line))), "{line}");
    }
}

#[test]
fn upgrade_is_seen_in_http_1_1_only() {
    assert!(request(&with_line("Upgrade: websocket")).expect("legal").upgrades());
    assert!(!request("GET / HTTP/1.0\r\nUpgrade: h2c\r\n\r\n").expect("legal").upgrades());
}

#[test]
fn limits_hold_to_the_byte() {
    let limits = HeadLimits { head_bytes_max: 60, fields_max: 2, target_bytes_max: 10 };
    let parse = |text: &str| RequestHead::default().parse(text.as_bytes(), &limits);
    let full = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(28));
    assert_eq!(full.len(), 60);
    assert_eq!(parse(&full), Ok(Progress::Complete { head_bytes: 60 }));
    assert_eq!(parse(&full.replace("X: ", "X: 1")), Err(HeadFault::TooLarge));
    assert_eq!(parse(&"x".repeat(20)), Ok(Progress::Partial));
    assert!(parse("GET /234567890 HTTP/1.1\r\nHost: a\r\n\r\n").is_ok());
    assert_eq!(parse("GET /2345678901 HTTP/1.1\r\nHost: a\r\n\r\n"), Err(HeadFault::TargetTooLong));
    assert_eq!(parse("GET /2345678901"), Err(HeadFault::TargetTooLong), "before the line is complete");
    assert_eq!(parse("GET /234567890"), Ok(Progress::Partial));
    assert_eq!(
        parse("GET /234567890\r"),
        Ok(Progress::Partial),
        "the line may end here, and is then malformed"
    );
    assert!(is_bad(&parse("GET /234567890\r\n")));
    assert_eq!(parse("GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nC: d\r\n"), Err(HeadFault::TooLarge));
    assert_eq!(parse("GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n"), Ok(Progress::Partial));
}

#[test]
fn hopeless_beginnings_are_refused_at_once() {
    let parse = |bytes: &[u8]| RequestHead::default().parse(bytes, &LIMITS);
    assert!(parse(b"\x16\x03\x01\x02\x00").is_err(), "a TLS hello");
    assert!(parse(&[b'A'; 33]).is_err());
    assert!(parse(b"GET / HTTP/1.1 and more").is_err());
    assert!(parse(b"GET / HTTP/1.1\r\nHost: a\n").is_err());
    assert_eq!(parse(b"GET / HTTP/1.1\r"), Ok(Progress::Partial));
    assert_eq!(parse(b""), Ok(Progress::Partial));
    assert_eq!(parse(b"\r"), Ok(Progress::Partial));
}

#[test]
fn a_partial_head_can_be_forgotten() {
    let mut head = RequestHead::default();
    assert_eq!(head.parse(b"GET / HTTP/1.1\r\nHost: a\r\n", &LIMITS), Ok(Progress::Partial));
    head.reset();
    assert!(matches!(
        head.parse(b"GET / HTTP/1.0\r\n\r\n", &LIMITS),
        Ok(Progress::Complete { head_bytes: 18 })
    ));
}

/// Pieces from which heads are thrown together: legal, illegal and almost legal.
fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "GET / HTTP/1.1\r\n",
        "POST /a?b=c HTTP/1.1\r\n",
        "OPTIONS * HTTP/1.0\r\n",
        "GET http://a/b HTTP/1.1\r\n",
        "Host: a\r\n",
        "Content-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Connection: close, x-a\r\n",
        "X-A: b\r\n",
        "\r\n",
        "\n",
        "\r",
        " ",
        ":",
        "x",
        "\t",
        "X-A: b\n",
        "Expect: 100-continue\r\n",
        "\u{e9}",
        "X-Tenant-Id: t\r\n",
        "Upgrade: h2c\r\n",
        "a: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n",
        "HTTP/2.0\r\n",
    ])
}

proptest! {
    #[test]
    fn the_answer_does_not_depend_on_how_a_request_arrives(
        pieces in prop::collection::vec(piece(), 0..9),
        orderly in any::<bool>(),
        step in 1_usize..7,
    ) {
        let mut text = pieces.concat();
        if orderly {
            text = format!("POST /a HTTP/1.1\r\nHost: a\r\n{text}\r\n\r\n");
        }
        let limits = HeadLimits { head_bytes_max: 150, fields_max: 4, target_bytes_max: 12 };
        let bytes = text.as_bytes();
        let mut whole = RequestHead::default();
        let at_once = whole.parse(bytes, &limits);
        let mut head = RequestHead::default();
        let mut arrived = 0;
        let in_steps = loop {
            arrived = (arrived + step).min(bytes.len());
            let progress = head.parse(&bytes[..arrived], &limits);
            if progress != Ok(Progress::Partial) || arrived == bytes.len() {
                break progress;
            }
        };
        prop_assert_eq!(at_once, in_steps);
        if let Ok(Progress::Complete { .. }) = at_once {
            prop_assert_eq!(picture(&whole, bytes), picture(&head, bytes));
        }
    }

    #[test]
    fn no_bytes_make_the_parsers_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = RequestHead::default().parse(&bytes, &LIMITS);
        let _ = ResponseHead::default().parse(&bytes, &LIMITS);
    }
}
