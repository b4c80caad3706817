//! A connection of the supervisor's own to an instance of a service, over TLS where its URL says https; and who vouches
//! for services.

use edge_worker::clock;
use edge_worker::config::headers::Scheme;
use edge_worker::config::roots::Root;
use edge_worker::config::services::{Instance, Service};
use edge_worker::net::tls::TlsFault;
use hyper_util::client::legacy::connect::{Connected, Connection};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Time between two log lines about one instance.
const COMPLAINT_PERIOD: Duration = Duration::from_secs(60);

/// The system's certificate authorities. Some systems have none, or damaged ones: what is left decides.
#[must_use]
pub fn system_roots() -> Vec<Root> {
    rustls_native_certs::load_native_certs().certs.into_iter().map(Root::new).collect()
}

/// Adds the system's authorities where a service is spoken to over TLS. Workers read no file, so they get them so.
pub fn complete_roots(services: &[Service], roots: &mut Vec<Root>) {
    let is_secure = |instance: &Instance| instance.scheme == Scheme::Https;
    if !services.iter().flat_map(|service| &service.instances).any(is_secure) {
        return;
    }
    roots.extend(system_roots());
    if roots.is_empty() {
        tracing::error!("no certificate authority is known: services with https cannot be reached");
    }
}

/// Verifies services: by these authorities, and by the names in their certificates. There is no way around it.
#[derive(Clone)]
pub struct Verifier {
    connector: TlsConnector,
    /// When an instance was complained about last, in milliseconds; an entry an instance.
    complained: Arc<Mutex<HashMap<String, u64>>>,
}

/// How an instance is spoken to.
#[derive(Clone)]
pub enum Security {
    Plain,
    Tls(Box<Peer>),
}

/// Who has to be at the other end.
#[derive(Clone)]
pub struct Peer {
    verifier: Verifier,
    name: ServerName<'static>,
    service: String,
    authority: String,
}

/// An open connection.
pub enum Line {
    Plain(TcpStream),
    Secured(Box<TlsStream<TcpStream>>),
}

impl Verifier {
    /// # Errors
    /// If the cryptography lacks a version of TLS.
    pub fn new(roots: &[Root]) -> Result<Verifier, rustls::Error> {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(roots.iter().map(Root::certificate));
        let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(store)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Verifier { connector: TlsConnector::from(Arc::new(config)), complained: Arc::default() })
    }

    /// For connections that are no service's.
    #[must_use]
    pub fn connector(&self) -> TlsConnector {
        self.connector.clone()
    }

    /// `None` if no certificate can name the instance's host.
    #[must_use]
    pub fn security(&self, service: &str, instance: &Instance) -> Option<Security> {
        if instance.scheme == Scheme::Http {
            return Some(Security::Plain);
        }
        Some(Security::Tls(Box::new(Peer {
            verifier: self.clone(),
            name: ServerName::try_from(instance.host.clone()).ok()?,
            service: service.to_owned(),
            authority: instance.authority.clone(),
        })))
    }
}

impl Peer {
    async fn shake_hands(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let shaken = self.verifier.connector.connect(self.name.clone(), stream).await;
        shaken.inspect_err(|error| self.complain(error, clock::now().millis().0))
    }

    fn complain(&self, error: &io::Error, now_ms: u64) {
        let mut complained = self.verifier.complained.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = |last: &u64| now_ms < last + COMPLAINT_PERIOD.as_millis() as u64;
        if complained.get(&self.authority).is_some_and(recent) {
            return;
        }
        complained.insert(self.authority.clone(), now_ms);
        let fault = error.get_ref().and_then(|source| source.downcast_ref::<rustls::Error>());
        let reason = fault.map_or_else(|| error.to_string(), |fault| TlsFault::of(fault).reason);
        let (service, instance) = (&self.service, &self.authority);
        tracing::warn!(service, instance, reason, "TLS with a service failed; nothing was sent to it");
    }
}

impl Line {
    /// # Errors
    /// If nobody listens there, or is not who it has to be.
    pub async fn open(address: SocketAddr, security: &Security) -> io::Result<Line> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(match security {
            Security::Plain => Line::Plain(stream),
            Security::Tls(peer) => Line::Secured(Box::new(peer.shake_hands(stream).await?)),
        })
    }
}

impl AsyncRead for Line {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Line::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Line::Secured(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Line {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Line::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Line::Secured(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Line::Plain(stream) => Pin::new(stream).poll_flush(context),
            Line::Secured(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Line::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Line::Secured(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

impl Connection for Line {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

#[cfg(test)]
mod tests;
