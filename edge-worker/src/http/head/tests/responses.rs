//! Response heads.

use super::*;

#[test]
fn a_plain_answer_is_understood() {
    let text =
        "HTTP/1.1 200 Whatever it says\r\nContent-Length: 3\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n\r\nabc";
    let mut head = ResponseHead::default();
    let progress = head.parse(text.as_bytes(), &HeadLimits::UPSTREAM);
    assert_eq!(progress, Ok(Progress::Complete { head_bytes: text.len() - 3 }));
    assert_eq!(head.status(), 200);
    assert_eq!(head.version(), Version::Http11);
    assert_eq!(head.framing(Method::Get), ResponseFraming::Length(3));
    assert_eq!(head.framing(Method::Head), ResponseFraming::None);
    assert_eq!(head.declared_length(), Some(3));
    assert_eq!(head.fields().len(), 3);
    assert_eq!(head.value(KnownHeader::SetCookie, text.as_bytes()), Some(b"a=b".as_slice()));
    assert!(head.persistent());
}

#[test]
fn framing_follows_status_and_fields() {
    let framing = |text: &str| response(text).map(|head| head.framing(Method::Get));
    assert_eq!(framing("HTTP/1.1 200\r\n\r\n"), Ok(ResponseFraming::UntilClose));
    assert_eq!(framing("HTTP/1.0 200 OK\r\n\r\n"), Ok(ResponseFraming::UntilClose));
    assert_eq!(framing("HTTP/1.1 204 x\r\n\r\n"), Ok(ResponseFraming::None));
    assert_eq!(framing("HTTP/1.1 304 x\r\nContent-Length: 9\r\n\r\n"), Ok(ResponseFraming::None));
    assert_eq!(framing("HTTP/1.1 500 x\r\nTransfer-Encoding: chunked\r\n\r\n"), Ok(ResponseFraming::Chunked));
    assert_eq!(framing("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"), Ok(ResponseFraming::Length(0)));
}

#[test]
fn answers_that_could_be_read_in_two_ways_are_refused() {
    let answers = [
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n",
        "HTTP/1.1 204 OK\r\nContent-Length: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\nA: b\n\n",
        "HTTP/1.1 200 OK\r\nA: b\n\r\n",
        "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n",
        "HTTP/1.1 200 O\rK\r\n\r\n",
        "HTTP/1.1 099 x\r\n\r\n",
        "HTTP/1.1 600 x\r\n\r\n",
        "HTTP/1.1 2000 x\r\n\r\n",
        "HTTP/1.1 20 x\r\n\r\n",
        "HTTP/1.1 +20 x\r\n\r\n",
        "HTTP/1.1  200 x\r\n\r\n",
        "HTTP/1.1 101 Switching\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "\r\nHTTP/1.1 200 OK\r\n\r\n",
        " HTTP/1.1 200 OK\r\n\r\n",
        "http/1.1 200 OK\r\n\r\n",
        "SSH-2.0-x\r\n",
    ];
    for answer in answers {
        let result = response(answer);
        assert!(is_bad(&result), "{answer:?}: {result:?}");
    }
}

#[test]
fn what_is_not_http_is_noticed_at_once() {
    let mut head = ResponseHead::default();
    assert!(head.parse(b"2", &LIMITS).is_err());
    assert_eq!(head.parse(b"HTT", &LIMITS), Ok(Progress::Partial));
    assert_eq!(head.parse(b"HTT\r", &LIMITS), Ok(Progress::Partial));
    assert!(is_bad(&head.parse(b"HTT\r\n", &LIMITS)));
}

#[test]
fn interim_answers_are_skipped_and_bounded() {
    let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n\
                HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok";
    for arrived in 0..text.len() - 2 {
        let mut head = ResponseHead::default();
        assert_eq!(head.parse(&text.as_bytes()[..arrived], &LIMITS), Ok(Progress::Partial));
        let progress = head.parse(text.as_bytes(), &LIMITS);
        assert_eq!(progress, Ok(Progress::Complete { head_bytes: text.len() - 2 }));
        assert_eq!(head.status(), 201);
        assert_eq!(head.fields().len(), 1);
    }
    let endless = "HTTP/1.1 100 Continue\r\n\r\n".repeat(1000);
    let mut head = ResponseHead::default();
    assert_eq!(head.parse(endless.as_bytes(), &LIMITS), Err(HeadFault::TooLarge));
}

#[test]
fn limits_of_answers_hold() {
    let fields = |count: usize| format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(count));
    assert!(response(&fields(LIMITS.fields_max)).is_ok());
    assert_eq!(response(&fields(LIMITS.fields_max + 1)).err(), Some(HeadFault::TooLarge));
    let long = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "x".repeat(LIMITS.head_bytes_max));
    assert_eq!(response(&long).err(), Some(HeadFault::TooLarge));
    let most = fields(crate::config::limits::UPSTREAM_FIELDS_MAX);
    assert!(ResponseHead::default().parse(most.as_bytes(), &HeadLimits::UPSTREAM).is_ok());
}

#[test]
fn a_service_decides_whether_its_connection_stays() {
    let persistent = |text: &str| response(text).map(|head| head.persistent());
    assert_eq!(persistent("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"), Ok(false));
    assert_eq!(persistent("HTTP/1.0 200 OK\r\n\r\n"), Ok(false));
    assert_eq!(persistent("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n"), Ok(true));
    let text = "HTTP/1.1 200 OK\r\nConnection: x-a\r\n\r\n";
    assert!(response(text).expect("legal").nominated(text.as_bytes(), b"X-A"));
}

proptest! {
    #[test]
    fn the_answer_does_not_depend_on_how_it_arrives(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "HTTP/1.1 200 OK\r\n", "HTTP/1.1 100 \r\n\r\n", "HTTP/1.0 204\r\n", "A: b\r\n",
            "Content-Length: 3\r\n",
            "\r\n", "\n", "\r", " ", "x", "Transfer-Encoding: chunked\r\n", "HTTP/1.1 101 x\r\n\r\n",
        ]), 0..9),
        step in 1_usize..7,
    ) {
        let text = pieces.concat();
        let bytes = text.as_bytes();
        let limits = HeadLimits { head_bytes_max: 120, fields_max: 3, target_bytes_max: 0 };
        let at_once = ResponseHead::default().parse(bytes, &limits);
        let mut head = ResponseHead::default();
        let mut arrived = 0;
        let in_steps = loop {
            arrived = (arrived + step).min(bytes.len());
            let progress = head.parse(&bytes[..arrived], &limits);
            if progress != Ok(Progress::Partial) || arrived == bytes.len() {
                break progress;
            }
        };
        prop_assert_eq!(at_once, in_steps);
    }
}
