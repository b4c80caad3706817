//! TLS before a backend: a real server side that decrypts, passes on, and remembers who shook hands and how.

use super::authority::Credentials;
use super::backend::Backend;
use super::polling::eventually;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::{HandshakeKind, RootCertStore, ServerConfig, SupportedProtocolVersion};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How a server speaks TLS.
#[derive(Clone)]
pub struct Terms {
    pub credentials: Credentials,
    pub versions: &'static [&'static SupportedProtocolVersion],
    pub clients: Clients,
    pub farewell: Farewell,
}

/// Which clients a server lets in.
#[derive(Clone)]
pub enum Clients {
    Anybody,
    /// Those with a certificate of this authority, in PEM, or with none.
    Asked(String),
    /// Those with a certificate of this authority.
    Known(String),
}

/// What a server says before it closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Farewell {
    CloseNotify,
    /// Nothing: the connection just ends.
    None,
}

/// A running server; it ends when it is dropped.
pub struct Terminator {
    address: SocketAddr,
    seen: Arc<Seen>,
    _stop: oneshot::Sender<()>,
}

#[derive(Default)]
struct Seen {
    visits: Mutex<Vec<Visit>>,
    refusals: Mutex<Vec<String>>,
    ended: Notify,
}

/// A connection whose handshake ended well.
#[derive(Clone)]
struct Visit {
    kind: HandshakeKind,
    /// The first bytes that came through it.
    first: Vec<u8>,
    over: bool,
}

impl Terms {
    /// As most services do.
    pub fn of(credentials: Credentials) -> Terms {
        let (clients, farewell) = (Clients::Anybody, Farewell::CloseNotify);
        Terms { credentials, versions: rustls::ALL_VERSIONS, clients, farewell }
    }
}

impl Terminator {
    pub fn before(backend: &Backend, terms: Terms) -> Terminator {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
        listener.set_nonblocking(true).expect("a listener can be made non-blocking");
        let address = listener.local_addr().expect("a bound listener has an address");
        let (stop, stopped) = oneshot::channel();
        let seen = Arc::new(Seen::default());
        let (noted, backend, farewell) = (Arc::clone(&seen), backend.address(), terms.farewell);
        let acceptor = TlsAcceptor::from(Arc::new(config(terms)));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime can be made").block_on(async move {
                let listener = TcpListener::from_std(listener).expect("it can be watched");
                tokio::select! {
                    () = accept(listener, acceptor, backend, (noted, farewell)) => {}
                    _ = stopped => {}
                }
            });
        });
        Terminator { address, seen, _stop: stop }
    }

    /// Its address under this name.
    pub fn url(&self, host: &str) -> String {
        format!("https://{host}:{}", self.address.port())
    }

    /// Handshakes of everybody but health probes, in order.
    pub fn handshakes(&self) -> Vec<HandshakeKind> {
        let visits = lock(&self.seen.visits);
        let by_workers =
            visits.iter().filter(|visit| visit.has_sent(b"HTTP/1.1") && !visit.has_sent(b"floodgate-probe"));
        by_workers.map(|visit| visit.kind).collect()
    }

    /// Why handshakes failed, as this side sees it.
    pub fn refusals(&self) -> Vec<String> {
        lock(&self.seen.refusals).clone()
    }

    /// Whether anything at all was sent through a connection.
    pub fn got_anything(&self) -> bool {
        lock(&self.seen.visits).iter().any(|visit| !visit.first.is_empty())
    }

    /// Ends every open connection, as a service does with idle ones, and waits for their ends.
    pub fn close_connections(&self) {
        let count = lock(&self.seen.visits).len();
        eventually("the connections have ended", || {
            self.seen.ended.notify_waiters();
            lock(&self.seen.visits).iter().take(count).all(|visit| visit.over).then_some(())
        });
    }
}

impl Visit {
    fn has_sent(&self, words: &[u8]) -> bool {
        self.first.windows(words.len()).any(|window| window == words)
    }
}

fn config(terms: Terms) -> ServerConfig {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(terms.versions)
        .expect("the provider has them");
    let verifier = |authority: &str| {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_slice(authority.as_bytes()).expect("PEM");
        roots.add(certificate).expect("an authority's certificate");
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
    };
    let verifier = match &terms.clients {
        Clients::Anybody => Ok(WebPkiClientVerifier::no_client_auth()),
        Clients::Asked(authority) => verifier(authority).allow_unauthenticated().build(),
        Clients::Known(authority) => verifier(authority).build(),
    };
    let builder = builder.with_client_cert_verifier(verifier.expect("there is an authority"));
    let mut config = builder
        .with_single_cert(vec![terms.credentials.certificate], terms.credentials.key)
        .expect("key and certificate fit");
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ticketer = aws_lc_rs::Ticketer::new().expect("tickets can be made");
    config
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    backend: SocketAddr,
    (seen, farewell): (Arc<Seen>, Farewell),
) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, seen) = (acceptor.clone(), Arc::clone(&seen));
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            match acceptor.accept(stream).await {
                Ok(stream) => {
                    let place = seen.enter(&stream);
                    // A peer that goes away in the middle is what many tests are about.
                    let _ = serve(stream, backend, (&seen, place), farewell).await;
                    seen.leave(place);
                }
                Err(error) => lock(&seen.refusals).push(error.to_string()),
            }
        });
    }
}

impl Seen {
    fn enter(&self, stream: &TlsStream<TcpStream>) -> usize {
        let kind = stream.get_ref().1.handshake_kind().expect("it has ended");
        let mut visits = lock(&self.visits);
        visits.push(Visit { kind, first: Vec::new(), over: false });
        visits.len() - 1
    }

    fn leave(&self, place: usize) {
        if let Some(visit) = lock(&self.visits).get_mut(place) {
            visit.over = true;
        }
    }
}

async fn serve(
    stream: TlsStream<TcpStream>,
    backend: SocketAddr,
    (seen, place): (&Seen, usize),
    farewell: Farewell,
) -> io::Result<()> {
    let (from_edge, mut to_edge) = tokio::io::split(stream);
    let (mut from_backend, to_backend) = TcpStream::connect(backend).await?.into_split();
    let upwards = async {
        // Its end is the backend's to draw a conclusion from.
        let _ = pass_up(from_edge, to_backend, (seen, place)).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = upwards => {}
        () = seen.ended.notified() => {}
        copied = tokio::io::copy(&mut from_backend, &mut to_edge) => { copied?; }
    }
    if farewell == Farewell::CloseNotify { to_edge.shutdown().await } else { Ok(()) }
}

async fn pass_up(
    mut from_edge: impl AsyncRead + Unpin,
    mut to_backend: impl AsyncWrite + Unpin,
    (seen, place): (&Seen, usize),
) -> io::Result<()> {
    let mut bytes = vec![0; 65_536];
    loop {
        let count = from_edge.read(&mut bytes).await?;
        let part = bytes.get(..count).unwrap_or_default();
        if let Some(visit) = lock(&seen.visits).get_mut(place).filter(|visit| visit.first.is_empty()) {
            visit.first.extend_from_slice(part);
        }
        if count == 0 {
            return to_backend.shutdown().await;
        }
        to_backend.write_all(part).await?;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
