//! TLS to services: what an instance has to prove, and one connection's state without a socket.
//!
//! Ciphertext goes in and comes out, plaintext too; `io/secured.rs` carries it. Certificates and names are always
//! verified: nothing here can turn that off. No early data, since whoever records it can send it again, and no
//! protocol but HTTP/1.1.
#![allow(clippy::disallowed_types, reason = "threads could share what the library is given")]

pub mod fault;
pub mod records;
pub mod session;
pub mod shelf;
pub mod tickets;

pub use fault::{Handshake, TlsFault};
pub use session::{Session, Taken};
pub use shelf::Shelf;

use crate::config::roots::Root;
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{InvalidDnsNameError, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ClientConnection, RootCertStore, SignatureScheme};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use tickets::Tickets;

/// Who vouches for services, and what all connections of a worker have in common.
pub struct Verification {
    config: ClientConfig,
    shelf: Rc<Shelf>,
}

/// What an instance has to prove, with the sessions that were held with it.
pub struct Trust {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    pub shelf: Rc<Shelf>,
    pub leniency: Rc<Leniency>,
}

/// Whether an instance that asks for a certificate has let a connection without one through.
#[derive(Default)]
pub struct Leniency(Cell<bool>);

impl Leniency {
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.0.get()
    }

    /// It has, or has not, just now.
    pub fn note(&self, lenient: bool) {
        self.0.set(lenient);
    }
}

impl Verification {
    /// Roots that cannot be read are left out, as some systems have them. With none at all nobody is believed.
    ///
    /// # Errors
    /// If the cryptography lacks a version of TLS.
    pub fn new(roots: &[Root]) -> Result<Verification, rustls::Error> {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(roots.iter().map(Root::certificate));
        let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(store)
            .with_client_cert_resolver(Arc::new(Nobody));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Verification { config, shelf: Rc::default() })
    }

    /// Trust in the instance with this host, whose certificate must name it. A session is resumed with the instance
    /// that it was held with, and with no other.
    ///
    /// # Errors
    /// If no certificate can name such a host.
    pub fn trust(&self, host: &str) -> Result<Trust, InvalidDnsNameError> {
        let name = ServerName::try_from(host.to_owned())?;
        let mut config = self.config.clone();
        config.resumption = Resumption::store(Arc::new(Tickets::default()));
        let (shelf, leniency) = (Rc::clone(&self.shelf), Rc::default());
        Ok(Trust { config: Arc::new(config), name, shelf, leniency })
    }
}

impl Trust {
    /// A new connection, before its first byte.
    ///
    /// # Errors
    /// If the configuration allows no handshake at all.
    pub fn session(&self) -> Result<Session, TlsFault> {
        let connection = ClientConnection::new(Arc::clone(&self.config), self.name.clone());
        connection.map(Session::new).map_err(|fault| TlsFault::of(&fault))
    }
}

/// Has no certificate for services that ask for one, and remembers that one did.
#[derive(Debug)]
struct Nobody;

thread_local! {
    /// Set while a session's bytes are worked on, which is never two sessions' at a time.
    static ASKED: Cell<bool> = const { Cell::new(false) };
}

impl ResolvesClientCert for Nobody {
    fn resolve(&self, _issuers: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        ASKED.set(true);
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

#[cfg(test)]
pub(in crate::net) mod tests;
