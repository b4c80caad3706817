//! Frames of asks: cut anywhere, too long, of another version.

use super::*;

fn person() -> Person {
    Person {
        tenant: "t".into(),
        subject: "u".into(),
        forwarded_for: "192.0.2.1".into(),
        request_id: "r".into(),
        correlation_id: "c".into(),
        traceparent: "p".into(),
    }
}

fn asked(id: u64) -> Asked {
    let bearer = Secret::new("header.payload.signature".to_owned());
    Asked { id, question: Question::VenueList { user: person(), bearer } }
}

#[test]
fn frames_arrive_whole_and_in_order_however_they_are_cut() {
    let mut sent = Vec::new();
    for id in 0..3 {
        assert!(encode(&asked(id), &mut sent));
    }
    let (mut inbox, mut ids) = (Vec::new(), Vec::new());
    for byte in sent {
        inbox.push(byte);
        while let Some(frame) = decode::<Asked>(&mut inbox).expect("a frame of ours") {
            assert_eq!(frame, asked(frame.id));
            ids.push(frame.id);
        }
    }
    assert_eq!((ids, inbox), (vec![0, 1, 2], vec![]));
}

#[test]
fn a_frame_that_is_too_long_is_neither_sent_nor_taken() {
    let long = Answered {
        id: 1,
        answer: Answer::VenueAccess(VenueAnswer::Allowed {
            role: None,
            permissions: vec!["x".repeat(ASK_BYTES_MAX)],
        }),
    };
    let mut out = b"before".to_vec();
    assert!(!encode(&long, &mut out));
    assert_eq!(out, b"before", "nothing of it is left behind");
    let mut bytes = u32::MAX.to_le_bytes().to_vec();
    assert_eq!(decode::<Answered>(&mut bytes), Err(AskFault::Length(u32::MAX)));
}

#[test]
fn a_fault_in_a_document_names_its_place_and_shows_nothing_of_it() {
    let mut bytes = Vec::new();
    let document = br#"{"id":1,"question":"secret-token"}"#;
    bytes.extend_from_slice(&u32::try_from(document.len()).expect("short").to_le_bytes());
    bytes.extend_from_slice(document);
    let fault = decode::<Asked>(&mut bytes).expect_err("no question is a string");
    assert!(!fault.to_string().contains("secret"), "{fault}");
}

#[test]
fn fields_that_only_a_newer_version_knows_are_ignored() {
    let document =
        br#"{"id":7,"answer":{"user":{"live":{"role":"customer","degraded":false,"new":1}}},"also":2}"#;
    let mut bytes = u32::try_from(document.len()).expect("short").to_le_bytes().to_vec();
    bytes.extend_from_slice(document);
    let answer = Answer::User(UserAnswer::Live { role: "customer".into(), degraded: false });
    assert_eq!(decode(&mut bytes), Ok(Some(Answered { id: 7, answer })));
}

#[test]
fn a_question_does_not_print_its_token() {
    assert!(!format!("{:?}", asked(1)).contains("signature"));
}
