//! One fetch of the document that `JWKS_URI` names: bounded in time and bytes, certificates verified, redirects not
//! followed.

use crate::line::{Verifier, system_roots};
use edge_worker::config::headers::Scheme;
use edge_worker::config::tokens::key_url::{KeyUrl, RemoteKeys};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::Response;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, CACHE_CONTROL, CONNECTION, HOST, USER_AGENT};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{InvalidDnsNameError, ServerName};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Everything together: a request may wait for it, and its ask has a deadline a little later.
pub const TOTAL: Duration = Duration::from_secs(5);
const CONNECT: Duration = Duration::from_secs(2);
const DOCUMENT_BYTES_MAX: usize = 256 * 1024;
const HEAD_BYTES_MAX: usize = 16 * 1024;
const HEADERS_MAX: usize = 100;

/// Fetches from one address.
pub struct Fetcher {
    url: KeyUrl,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

/// What the address answered.
#[derive(Debug)]
pub struct Document {
    pub body: Bytes,
    /// `Cache-Control: max-age`.
    pub max_age: Option<Duration>,
}

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
pub enum FetchFault {
    #[error("no answer within {} s", TOTAL.as_secs())]
    Late,
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    #[error("no TLS: {0}")]
    Tls(io::Error),
    #[error("no valid answer: {0}")]
    Answer(#[from] hyper::Error),
    #[error("answered {0}")]
    Status(u16),
    #[error("the document is cut or longer than {DOCUMENT_BYTES_MAX} bytes")]
    Body,
}

/// Why an address cannot be fetched from at all.
#[derive(Debug, thiserror::Error)]
pub enum TlsFault {
    #[error("the host of JWKS_URI is no name for a certificate")]
    Name(#[from] InvalidDnsNameError),
    #[error("TLS cannot be used: {0}")]
    Rustls(#[from] rustls::Error),
}

impl Fetcher {
    /// # Errors
    /// If no certificate could ever be verified.
    pub fn new(settings: &RemoteKeys) -> Result<Fetcher, TlsFault> {
        let url = settings.url.clone();
        let tls = match url.base.scheme {
            Scheme::Http => None,
            Scheme::Https => {
                let name = ServerName::try_from(url.base.host.clone())?;
                let mut roots = settings.roots.clone();
                roots.extend(system_roots());
                Some((Verifier::new(&roots)?.connector(), name))
            }
        };
        Ok(Fetcher { url, tls })
    }

    /// One GET on a connection of its own, within [`TOTAL`].
    ///
    /// # Errors
    /// See [`FetchFault`].
    pub async fn fetch(&self) -> Result<Document, FetchFault> {
        timeout(TOTAL, self.get()).await.map_err(|_| FetchFault::Late)?
    }

    async fn get(&self) -> Result<Document, FetchFault> {
        let address = (self.url.base.host.as_str(), self.url.base.port);
        let late = |_| FetchFault::Connect(io::ErrorKind::TimedOut.into());
        let stream = timeout(CONNECT, TcpStream::connect(address)).await.map_err(late)?;
        let stream = stream.map_err(FetchFault::Connect)?;
        match &self.tls {
            None => self.exchange(stream).await,
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), stream).await.map_err(FetchFault::Tls)?;
                self.exchange(stream).await
            }
        }
    }

    async fn exchange(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ) -> Result<Document, FetchFault> {
        let mut builder = hyper::client::conn::http1::Builder::new();
        builder.max_buf_size(HEAD_BYTES_MAX).max_headers(HEADERS_MAX);
        let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
        // Ends with the connection, whose end is the end of this fetch.
        let carrier = tokio::spawn(connection);
        let request = hyper::Request::get(&self.url.target)
            .header(HOST, self.url.base.authority())
            .header(CONNECTION, "close")
            .header(USER_AGENT, "floodgate")
            .header(ACCEPT, "application/jwk-set+json, application/json")
            .body(Empty::<Bytes>::new())
            .expect("a checked address makes a request");
        let document = match sender.send_request(request).await {
            Ok(answer) => document(answer).await,
            Err(fault) => Err(fault.into()),
        };
        carrier.abort();
        document
    }
}

async fn document(answer: Response<Incoming>) -> Result<Document, FetchFault> {
    let status = answer.status().as_u16();
    if status != 200 {
        return Err(FetchFault::Status(status));
    }
    let control = answer.headers().get(CACHE_CONTROL).and_then(|value| value.to_str().ok());
    let max_age = control.and_then(max_age);
    let body = Limited::new(answer.into_body(), DOCUMENT_BYTES_MAX).collect().await;
    Ok(Document { body: body.map_err(|_| FetchFault::Body)?.to_bytes(), max_age })
}

/// The directive's seconds (RFC 9111 section 5.2.2.1); what may not be stored at all is 0.
fn max_age(control: &str) -> Option<Duration> {
    let mut directives = control.split(',').map(str::trim);
    if directives
        .clone()
        .any(|one| one.eq_ignore_ascii_case("no-store") || one.eq_ignore_ascii_case("no-cache"))
    {
        return Some(Duration::ZERO);
    }
    directives.find_map(|one| {
        let (name, seconds) = one.split_once('=')?;
        let seconds = seconds.trim().trim_matches('"').parse().ok()?;
        name.trim().eq_ignore_ascii_case("max-age").then(|| Duration::from_secs(seconds))
    })
}

#[cfg(test)]
mod tests;
