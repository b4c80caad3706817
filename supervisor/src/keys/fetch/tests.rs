//! Fetches from real servers on loopback, plain and over TLS.

use super::*;
use edge_worker::config::roots::Root;
use edge_worker::config::tokens::key_url::KeyUrl;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::process::{Command, Stdio};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A server that gives one answer to one connection, and the address of a document there.
async fn server(answer: Vec<u8>, tls: Option<TlsAcceptor>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port is free");
    let port = listener.local_addr().expect("bound").port();
    let scheme = if tls.is_some() { "https" } else { "http" };
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a connection");
        match tls {
            None => serve(stream, &answer).await,
            Some(acceptor) => {
                // A client that does not trust us ends the handshake.
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve(stream, &answer).await;
                }
            }
        }
    });
    format!("{scheme}://127.0.0.1:{port}/jwks.json?v=1")
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: &[u8]) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await.expect("a request") == 0 {
            return;
        }
    }
    assert!(head.starts_with(b"GET /jwks.json?v=1 HTTP/1.1\r\n"), "{}", String::from_utf8_lossy(&head));
    // The client may have seen enough before everything is written.
    let _ = stream.write_all(answer).await;
    let _ = stream.shutdown().await;
}

fn answer(status: u16, fields: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} X\r\n{fields}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

async fn fetch(url: &str, root: Option<Root>) -> Result<Document, FetchFault> {
    let url = KeyUrl::parse(url).expect("an address");
    Fetcher::new(&RemoteKeys { url, roots: root.into_iter().collect() }).expect("usable").fetch().await
}

async fn fault(answer: Vec<u8>) -> FetchFault {
    fetch(&server(answer, None).await, None).await.expect_err("no document")
}

#[tokio::test]
async fn a_document_comes_with_the_time_that_it_may_be_kept() {
    let url = server(answer(200, "Cache-Control: public, max-age=600\r\n", "{}"), None).await;
    let document = fetch(&url, None).await.expect("a document");
    assert_eq!((&document.body[..], document.max_age), (&b"{}"[..], Some(Duration::from_secs(600))));
}

#[test]
fn max_age_is_read_as_caches_read_it() {
    let seconds = |text: &str| max_age(text).map(|age| age.as_secs());
    assert_eq!(seconds("max-age=60"), Some(60));
    assert_eq!(seconds("public, Max-Age=\"90\" , immutable"), Some(90));
    assert_eq!(seconds("no-store, max-age=60"), Some(0));
    assert_eq!(seconds("no-cache"), Some(0));
    for text in ["", "public", "max-age", "max-age=x", "max-age=-1", "s-maxage=5"] {
        assert_eq!(seconds(text), None, "{text}");
    }
}

#[tokio::test]
async fn anything_but_a_whole_bounded_200_is_no_document() {
    let moved = answer(302, "location: http://127.0.0.1:1/\r\n", "");
    assert!(matches!(fault(moved).await, FetchFault::Status(302)));
    assert!(matches!(fault(answer(503, "", "{}")).await, FetchFault::Status(503)));
    let long = answer(200, "", &" ".repeat(DOCUMENT_BYTES_MAX + 1));
    assert!(matches!(fault(long).await, FetchFault::Body));
    let cut = b"HTTP/1.1 200 X\r\ncontent-length: 9\r\n\r\n{}".to_vec();
    assert!(matches!(fault(cut).await, FetchFault::Body));
    assert!(matches!(fault(b"no HTTP\r\n\r\n".to_vec()).await, FetchFault::Answer(_)));
    let huge = answer(200, &format!("x: {}\r\n", "h".repeat(2 * HEAD_BYTES_MAX)), "{}");
    assert!(matches!(fault(huge).await, FetchFault::Answer(_)));
}

#[tokio::test]
async fn an_address_where_nobody_listens_is_a_fault_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port is free");
    let url = format!("http://{}/", listener.local_addr().expect("bound"));
    drop(listener);
    assert!(matches!(fetch(&url, None).await, Err(FetchFault::Connect(_))));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port is free");
    let url = format!("http://{}/", listener.local_addr().expect("bound"));
    assert!(matches!(fetch(&url, None).await, Err(FetchFault::Late | FetchFault::Connect(_))));
    drop(listener);
}

#[tokio::test]
async fn a_certificate_counts_only_if_somebody_trusted_vouches_for_it() {
    let directory = std::env::temp_dir().join(format!("fg-jwks-tls-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("scratch directory");
    let path = |name: &str| directory.join(name).to_str().expect("UTF-8").to_owned();
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
        .args(["-keyout", &path("key.pem"), "-out", &path("cert.pem"), "-days", "2", "-subj", "/CN=keys"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"])
        .stderr(Stdio::null())
        .status();
    assert!(made.is_ok_and(|status| status.success()), "openssl makes a certificate");
    let certificate = CertificateDer::from_pem_file(path("cert.pem")).expect("just made");
    let root = Root::new(certificate.clone());
    let acceptor = || {
        let key = PrivateKeyDer::from_pem_file(path("key.pem")).expect("PEM");
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has them")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .expect("they fit");
        Some(TlsAcceptor::from(Arc::new(config)))
    };
    let document = || answer(200, "", "{}");
    let trusted = fetch(&server(document(), acceptor()).await, Some(root.clone())).await;
    assert_eq!(&trusted.expect("a document").body[..], b"{}");
    let stranger = fetch(&server(document(), acceptor()).await, None).await;
    assert!(matches!(stranger, Err(FetchFault::Tls(_))), "{stranger:?}");
    // The name counts, too.
    let other = server(document(), acceptor()).await.replace("127.0.0.1", "localhost");
    let other = fetch(&other, Some(root.clone())).await;
    assert!(matches!(other, Err(FetchFault::Tls(_))), "{other:?}");
    std::fs::remove_dir_all(&directory).expect("it was made here");
}
