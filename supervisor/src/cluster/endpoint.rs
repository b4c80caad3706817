//! Opens links to a single Redis, to the master that Sentinels name, or to a Cluster, by TLS or plain.

use edge_worker::config::redis::{RedisServer, RedisSettings, Topology};
use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo,
    RedisResult, TlsCertificates, TlsMode,
};
use std::time::Duration;

/// To establish a link, Sentinel's answer, TLS and password included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Where links are opened. It is made without a word to Redis.
pub struct Endpoint(Kind);

enum Kind {
    Single(Box<Client>),
    Sentinel(Box<SentinelClient>),
    Cluster(Box<ClusterClient>),
}

/// An open link; clones share it.
#[derive(Clone)]
pub enum Link {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// The settings passed their rules, but no client can be made of them, such as a certificate that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("REDIS_URL or REDIS_CA: {0}")]
pub struct EndpointFault(#[from] redis::RedisError);

impl Endpoint {
    /// `wait_max` is the longest that a command may take on purpose, as a blocking read does.
    pub fn new(settings: &RedisSettings, wait_max: Duration) -> Result<Endpoint, EndpointFault> {
        let server = &settings.server;
        if server.tls {
            // A second installation is refused, and the first is the same one.
            let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        }
        let root_cert = settings.authorities.clone().map(String::into_bytes);
        let certificates = TlsCertificates { client_tls: None, root_cert };
        let kind = match &server.topology {
            Topology::Single => Kind::Single(Box::new(single(server, certificates)?)),
            Topology::Sentinel { master } => {
                Kind::Sentinel(Box::new(sentinel(server, master, &certificates)?))
            }
            Topology::Cluster => Kind::Cluster(Box::new(cluster(server, certificates, wait_max)?)),
        };
        Ok(Endpoint(kind))
    }

    /// The time-out of the whole is the caller's.
    pub async fn open(&mut self) -> RedisResult<Link> {
        // The caller bounds every call, so that a blocking read and a short one can share the code.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(None);
        Ok(match &mut self.0 {
            Kind::Single(client) => {
                Link::Single(client.get_multiplexed_async_connection_with_config(&config).await?)
            }
            Kind::Sentinel(client) => Link::Single(client.get_async_connection_with_config(&config).await?),
            Kind::Cluster(client) => Link::Cluster(client.get_async_connection().await?),
        })
    }
}

fn addresses(server: &RedisServer) -> impl Iterator<Item = ConnectionAddr> + '_ {
    server.addresses.iter().map(|(host, port)| {
        if server.tls {
            let (host, port) = (host.clone(), *port);
            ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(host.clone(), *port)
        }
    })
}

fn connection_infos(server: &RedisServer) -> RedisResult<Vec<ConnectionInfo>> {
    let mut entry = RedisConnectionInfo::default().set_db(i64::from(server.database)).set_skip_set_lib_name();
    if let Some(user) = &server.user {
        entry = entry.set_username(user);
    }
    if let Some(password) = &server.password {
        entry = entry.set_password(password.expose());
    }
    addresses(server)
        .map(|address| Ok(address.into_connection_info()?.set_redis_settings(entry.clone())))
        .collect()
}

fn single(server: &RedisServer, certificates: TlsCertificates) -> RedisResult<Client> {
    let first = connection_infos(server)?.into_iter().next();
    let info = first.ok_or((redis::ErrorKind::InvalidClientConfig, "no address"))?;
    if server.tls { Client::build_with_tls(info, certificates) } else { Client::open(info) }
}

fn sentinel(
    server: &RedisServer,
    master: &str,
    certificates: &TlsCertificates,
) -> RedisResult<SentinelClient> {
    let mut builder = SentinelClientBuilder::new(addresses(server), master, SentinelServerType::Master)?
        .set_client_to_redis_db(i64::from(server.database));
    if let Some(user) = &server.user {
        builder = builder.set_client_to_redis_username(user).set_client_to_sentinel_username(user);
    }
    if let Some(password) = &server.password {
        let password = password.expose();
        builder = builder.set_client_to_redis_password(password).set_client_to_sentinel_password(password);
    }
    if server.tls {
        builder = builder
            .set_client_to_redis_tls_mode(TlsMode::Secure)
            .set_client_to_sentinel_tls_mode(TlsMode::Secure)
            .set_client_to_redis_certificates(certificates.clone())
            .set_client_to_sentinel_certificates(certificates.clone());
    }
    builder.build()
}

/// Retries are ours: a call that found the Cluster changing fails like any other, and its caller knows what to do.
fn cluster(
    server: &RedisServer,
    certificates: TlsCertificates,
    wait_max: Duration,
) -> RedisResult<ClusterClient> {
    let mut builder = ClusterClient::builder(connection_infos(server)?)
        .connection_timeout(CONNECT_TIMEOUT)
        .response_timeout(wait_max)
        .overall_response_timeout(None)
        .retries(1);
    if server.tls {
        builder = builder.tls(TlsMode::Secure).certs(certificates);
    }
    builder.build()
}
