//! A session against a real server side, byte by byte where that matters.

use super::*;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, ServerConnection, SupportedProtocolVersion};
use std::io::{Read, Write};

/// A session and its server, and the wire between them.
struct Pair {
    session: Session,
    server: ServerConnection,
    /// Bytes that are delivered at a time.
    step: usize,
}

/// A server for `localhost`, and trust in it.
pub(in crate::net) fn server_and_trust(
    versions: &'static [&'static SupportedProtocolVersion],
) -> (Arc<ServerConfig>, Trust) {
    let (root, leaf, key) = vouched();
    let config = config(versions, leaf, key);
    let trust = Verification::new(&[root]).expect("a provider").trust("localhost").expect("a name");
    (Arc::new(config), trust)
}

/// A server for `localhost` that asks its clients for a certificate, does without, and sends no tickets; and who
/// vouches for it.
pub(in crate::net) fn asking_server() -> (Arc<ServerConfig>, Root) {
    let (root, leaf, key) = vouched();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut store = RootCertStore::empty();
    store.add(root.certificate()).expect("a good one");
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(store), Arc::clone(&provider))
        .allow_unauthenticated()
        .build()
        .expect("there is a root");
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(ONLY_13)
        .expect("the provider has them")
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![leaf], key)
        .expect("they fit");
    config.send_tls13_tickets = 0;
    (Arc::new(config), root)
}

/// An authority, and what it vouches for.
fn vouched() -> (Root, CertificateDer<'static>, PrivateKeyDer<'static>) {
    let mut params = CertificateParams::default();
    // Each has a name of its own, as others' authorities do.
    params.distinguished_name.push(DnType::CommonName, format!("{:032x}", rand::random::<u128>()));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key can be made");
    let root = Root::new(params.self_signed(&key).expect("it is complete").der().clone());
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().expect("a key can be made");
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let leaf = leaf.signed_by(&key, &issuer).expect("it is complete").der().clone();
    (root, leaf, PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())))
}

fn config(
    versions: &'static [&'static SupportedProtocolVersion],
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> ServerConfig {
    ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .expect("the provider has them")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("they fit")
}

impl Pair {
    fn of(config: &Arc<ServerConfig>, trust: &Trust, step: usize) -> Pair {
        let server = ServerConnection::new(Arc::clone(config)).expect("a server");
        Pair { session: trust.session().expect("a session"), server, step }
    }

    /// A pair that has shaken hands.
    fn joined(versions: &'static [&'static SupportedProtocolVersion], step: usize) -> Pair {
        let (config, trust) = server_and_trust(versions);
        let mut pair = Pair::of(&config, &trust, step);
        pair.carry();
        assert_eq!(pair.session.established(), Some(Handshake::Full));
        pair
    }

    /// Carries bytes to and fro until neither side has any more.
    fn carry(&mut self) {
        loop {
            let mut up = Vec::new();
            self.session.drain(&mut up);
            self.deliver_up(&up);
            let mut down = Vec::new();
            while self.server.wants_write() {
                self.server.write_tls(&mut down).expect("a Vec takes all");
            }
            if up.is_empty() && down.is_empty() {
                return;
            }
            self.deliver_down(&down);
        }
    }

    fn deliver_up(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            self.server.read_tls(&mut bytes).expect("there is room");
            self.server.process_new_packets().expect("a good client");
        }
    }

    fn deliver_down(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(self.step) {
            let given_back = self.session.receive(part.to_vec());
            assert!(given_back.is_some(), "small parts never have to wait");
        }
    }

    /// Everything that the server sends, as ciphertext.
    fn sent(&mut self, plaintext: &[u8]) -> Vec<u8> {
        let mut ciphertext = Vec::new();
        for part in plaintext.chunks(10_000) {
            self.server.writer().write_all(part).expect("it takes all");
            while self.server.wants_write() {
                self.server.write_tls(&mut ciphertext).expect("a Vec takes all");
            }
        }
        ciphertext
    }

    /// Everything that the session can give, by reads with room for `room` bytes.
    fn taken(&mut self, room: usize) -> (Vec<u8>, Taken) {
        let mut all = Vec::new();
        loop {
            let mut out = Vec::with_capacity(room);
            match self.session.take(&mut out, usize::MAX) {
                Taken::Some => all.append(&mut out),
                end => return (all, end),
            }
        }
    }
}

const ONLY_13: &[&SupportedProtocolVersion] = &[&TLS13];
const BOTH: [&[&SupportedProtocolVersion]; 2] = [&[&TLS12], ONLY_13];

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 % 251) as u8).collect()
}

#[test]
fn a_handshake_and_what_follows_may_arrive_byte_by_byte() {
    for versions in BOTH {
        let mut pair = Pair::joined(versions, 1);
        assert!(pair.session.is_settled());
        let bytes = pair.sent(b"answer");
        for (byte, left) in bytes.iter().zip((0..bytes.len()).rev()) {
            drop(pair.session.receive(vec![*byte]));
            assert!(!pair.session.is_settled(), "half a record may be anything");
            let expected =
                if left == 0 { (b"answer".to_vec(), Taken::Nothing) } else { (Vec::new(), Taken::Nothing) };
            assert_eq!(pair.taken(64), expected);
        }
        assert!(pair.session.is_settled());
        let mut out = Vec::new();
        assert_eq!(pair.session.encrypt(b"question", &mut out), 8);
        pair.deliver_up(&out);
        let mut question = [0; 8];
        pair.server.reader().read_exact(&mut question).expect("it is there");
        assert_eq!(&question, b"question");
    }
}

#[test]
fn ciphertext_waits_while_there_is_no_room_for_its_plaintext() {
    let mut pair = Pair::joined(ONLY_13, usize::MAX);
    let plaintext = pattern(300_000);
    let bytes = pair.sent(&plaintext);
    assert!(pair.session.receive(bytes).is_none(), "most of it has to wait");
    assert!(!pair.session.is_settled());
    let mut out = Vec::with_capacity(1_000);
    assert_eq!(pair.session.take(&mut out, 10), Taken::Some);
    assert_eq!(out, plaintext[..10]);
    assert!(pair.session.released().is_none());
    let (rest, end) = pair.taken(777);
    assert_eq!((rest == plaintext[10..], end), (true, Taken::Nothing));
    assert!(pair.session.released().is_some());
    assert!(pair.session.is_settled());
}

#[test]
fn a_large_plaintext_is_encrypted_in_parts_of_bounded_size() {
    let mut pair = Pair::joined(ONLY_13, usize::MAX);
    let plaintext = pattern(500_000);
    let (mut at, mut received) = (0, Vec::new());
    while at < plaintext.len() {
        let mut out = Vec::new();
        at += pair.session.encrypt(&plaintext[at..], &mut out);
        assert!(out.len() <= 2 * shelf::CIPHERTEXT_BYTES, "{}", out.len());
        let mut rest = out.as_slice();
        while !rest.is_empty() {
            pair.server.read_tls(&mut rest).expect("there is room");
            pair.server.process_new_packets().expect("a good client");
            let mut part = [0; 70_000];
            while let Ok(count @ 1..) = pair.server.reader().read(&mut part) {
                received.extend_from_slice(&part[..count]);
            }
        }
    }
    assert!(received == plaintext);
}

#[test]
fn only_the_peers_own_word_is_an_end() {
    for versions in BOTH {
        let mut pair = Pair::joined(versions, usize::MAX);
        let bytes = pair.sent(b"the last");
        drop(pair.session.receive(bytes));
        assert_eq!(pair.taken(64), (b"the last".to_vec(), Taken::Nothing), "more may come");
        pair.server.send_close_notify();
        let bytes = pair.sent(b"");
        let bytes = if bytes.is_empty() {
            let mut out = Vec::new();
            pair.server.write_tls(&mut out).expect("a Vec takes all");
            out
        } else {
            bytes
        };
        drop(pair.session.receive(bytes));
        assert_eq!(pair.taken(64), (Vec::new(), Taken::Closed));
        assert!(!pair.session.is_settled(), "such a connection carries nothing any more");
        drop(pair.session.receive(b"and then this".to_vec()));
        assert_eq!(pair.taken(64), (Vec::new(), Taken::Closed), "nothing counts behind it");
    }
}

#[test]
fn what_came_before_a_broken_record_is_still_good() {
    let mut pair = Pair::joined(ONLY_13, usize::MAX);
    let mut bytes = pair.sent(b"good");
    let mut bad = pair.sent(b"bad");
    *bad.last_mut().expect("a record") ^= 1;
    bytes.extend(bad);
    drop(pair.session.receive(bytes));
    assert_eq!(pair.taken(64), (b"good".to_vec(), Taken::Broken));
    assert_eq!(pair.session.fault().map(|fault| fault.end), Some(Handshake::Protocol));
    let mut out = Vec::new();
    assert_eq!(pair.session.encrypt(b"more", &mut out), 0, "such a connection takes nothing any more");
    assert!(!out.is_empty(), "the peer is told");
    assert_eq!(pair.session.established(), None);
}

#[test]
fn updates_of_keys_are_followed_and_answered_with_the_next_bytes() {
    let mut pair = Pair::joined(ONLY_13, usize::MAX);
    for round in 0..3 {
        pair.server.refresh_traffic_keys().expect("TLS 1.3 has it");
        let mut update = Vec::new();
        pair.server.write_tls(&mut update).expect("a Vec takes all");
        drop(pair.session.receive(update));
        assert!(pair.session.is_settled(), "it is no answer to anything");
        let bytes = pair.sent(b"under the new key");
        drop(pair.session.receive(bytes));
        assert_eq!(pair.taken(64), (b"under the new key".to_vec(), Taken::Nothing));
        let mut out = Vec::new();
        assert_eq!(pair.session.encrypt(&[round], &mut out), 1);
        pair.deliver_up(&out);
        let mut byte = [0];
        pair.server.reader().read_exact(&mut byte).expect("it is there");
        assert_eq!(byte, [round]);
    }
}

#[test]
fn a_session_is_resumed_with_its_instance_and_no_other() {
    for versions in BOTH {
        let (config, trust) = server_and_trust(versions);
        let mut first = Pair::of(&config, &trust, usize::MAX);
        first.carry();
        assert_eq!(first.session.established(), Some(Handshake::Full));
        let mut second = Pair::of(&config, &trust, usize::MAX);
        second.carry();
        assert_eq!(second.session.established(), Some(Handshake::Resumed));
    }
}

#[test]
fn many_connections_at_once_are_resumed_and_what_is_kept_has_a_bound() {
    let (config, trust) = server_and_trust(ONLY_13);
    // Each gets two tickets: the first ones of these are forgotten.
    for _ in 0..tickets::TICKETS_MAX {
        Pair::of(&config, &trust, usize::MAX).carry();
    }
    let mut together: Vec<Pair> =
        (0..=tickets::TICKETS_MAX).map(|_| Pair::of(&config, &trust, usize::MAX)).collect();
    together.iter_mut().for_each(Pair::carry);
    let resumed = |pair: &&Pair| pair.session.established() == Some(Handshake::Resumed);
    assert_eq!(together.iter().filter(resumed).count(), tickets::TICKETS_MAX);
}

#[test]
fn a_server_that_nobody_vouches_for_is_not_believed() {
    let (config, _) = server_and_trust(ONLY_13);
    let (_, other) = server_and_trust(ONLY_13);
    for roots in [other, Verification::new(&[]).expect("a provider").trust("localhost").expect("a name")] {
        let mut pair = Pair::of(&config, &roots, 3);
        let mut hello = Vec::new();
        pair.session.drain(&mut hello);
        pair.deliver_up(&hello);
        let answer = pair.sent(b"");
        let mut flight = answer;
        while pair.server.wants_write() {
            pair.server.write_tls(&mut flight).expect("a Vec takes all");
        }
        pair.deliver_down(&flight);
        let fault = pair.session.fault().expect("it is no use");
        assert_eq!(fault.end, Handshake::UnknownIssuer, "{}", fault.reason);
        assert_eq!(pair.session.established(), None);
    }
}

#[test]
fn roots_that_cannot_be_read_leave_the_others() {
    let damaged = Root::new(CertificateDer::from(vec![1, 2, 3]));
    assert!(Verification::new(&[damaged]).is_ok());
    assert!(Verification::new(&[]).expect("a provider").trust("0x1").is_err());
}

#[test]
fn a_shelf_keeps_what_it_lent_and_nothing_else() {
    let shelf = Shelf::default();
    let mut buffer = shelf.lend();
    assert!(buffer.is_empty() && buffer.capacity() >= shelf::CIPHERTEXT_BYTES);
    buffer.push(1);
    let address = buffer.as_ptr();
    shelf.give_back(buffer);
    shelf.give_back(Vec::with_capacity(10));
    shelf.give_back(Vec::with_capacity(10 * shelf::CIPHERTEXT_BYTES));
    let (again, another) = (shelf.lend(), shelf.lend());
    assert_eq!((again.as_ptr(), again.len()), (address, 0));
    assert_ne!(another.as_ptr(), address);
}
