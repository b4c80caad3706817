//! Lines to real servers on loopback, plain and over TLS.

use super::*;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::process::{Command, Stdio};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// Echoes one line a connection, over TLS, and the certificate of it.
async fn server() -> (SocketAddr, Root) {
    let directory = std::env::temp_dir().join(format!("fg-line-{:032x}", rand::random::<u128>()));
    std::fs::create_dir_all(&directory).expect("scratch directory");
    let path = |name: &str| directory.join(name).to_str().expect("UTF-8").to_owned();
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
        .args(["-keyout", &path("key.pem"), "-out", &path("cert.pem"), "-days", "2", "-subj", "/CN=line"])
        .args(["-addext", "subjectAltName=DNS:service.internal"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .stderr(Stdio::null())
        .status();
    assert!(made.is_ok_and(|status| status.success()), "openssl makes a certificate");
    let certificate = CertificateDer::from_pem_file(path("cert.pem")).expect("just made");
    let key = PrivateKeyDer::from_pem_file(path("key.pem")).expect("just made");
    std::fs::remove_dir_all(&directory).expect("it was made here");
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .expect("they fit");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port is free");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        while let Ok((stream, _)) = listener.accept().await {
            // A client that does not believe us ends the handshake.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut bytes = [0; 4];
            if stream.read_exact(&mut bytes).await.is_ok() {
                let _ = stream.write_all(&bytes).await;
            }
            let _ = stream.shutdown().await;
        }
    });
    (address, Root::new(certificate))
}

fn instance(scheme: Scheme, host: &str) -> Instance {
    let authority = format!("{host}:1");
    Instance { scheme, host: host.to_owned(), port: 1, authority, addresses: Vec::new() }
}

fn security(verifier: &Verifier, host: &str) -> Security {
    verifier.security("order", &instance(Scheme::Https, host)).expect("a name")
}

#[tokio::test]
async fn a_line_is_verified_by_authority_and_name() {
    let (address, root) = server().await;
    let verifier = Verifier::new(&[root]).expect("the provider has every version");
    let mut line = Line::open(address, &security(&verifier, "service.internal")).await.expect("a line");
    line.write_all(b"ping").await.expect("it takes four bytes");
    line.flush().await.expect("and sends them");
    let mut answer = Vec::new();
    line.read_to_end(&mut answer).await.expect("an answer, and a word at its end");
    assert_eq!(answer, b"ping");
    assert!(Line::open(address, &security(&verifier, "other.internal")).await.is_err());
    let nobody = Verifier::new(&[]).expect("the provider has every version");
    assert!(Line::open(address, &security(&nobody, "service.internal")).await.is_err());
    assert_eq!(nobody.complained.lock().expect("no test panics within").len(), 1);
}

#[test]
fn an_instance_is_complained_about_once_a_minute() {
    let verifier = Verifier::new(&[]).expect("the provider has every version");
    let Security::Tls(peer) = security(&verifier, "service.internal") else { panic!("over TLS") };
    let error = io::Error::other("x");
    let last =
        || *verifier.complained.lock().expect("no test panics within").get(&peer.authority).expect("one");
    for (now_ms, expected) in [(5, 5), (6, 5), (60_004, 5), (60_005, 60_005), (60_006, 60_005)] {
        peer.complain(&error, now_ms);
        assert_eq!(last(), expected);
    }
}

#[test]
fn the_systems_roots_are_for_services_over_tls() {
    let defaults = crate::identity::scripted::service(Vec::new());
    let mut roots = Vec::new();
    complete_roots(std::slice::from_ref(&defaults), &mut roots);
    assert_eq!(roots, []);
    let mut secured = defaults;
    secured.instances = vec![instance(Scheme::Https, "service.internal")];
    complete_roots(&[secured], &mut roots);
    assert_eq!(roots, system_roots());
}

#[test]
fn a_host_that_no_certificate_can_name_has_no_line() {
    let verifier = Verifier::new(&[]).expect("the provider has every version");
    assert!(verifier.security("order", &instance(Scheme::Https, "0x1")).is_none());
    assert!(matches!(verifier.security("order", &instance(Scheme::Http, "0x1")), Some(Security::Plain)));
}
