//! The private address over real sockets.

use super::sockets::tests::Directory;
use super::sockets::{METRICS_SOCKET, bind_address, bind_socket};
use super::*;
use edge_worker::config::instances::InstanceSettings;
use edge_worker::config::limits::Limits;
use edge_worker::config::lookups::identity::{OutagePolicy, UserCheck, VenueAccessMode};
use edge_worker::config::redis::ColdPolicy;
use edge_worker::config::secret::Secret;
use edge_worker::config::shedding::Marks;
use edge_worker::config::tokens::{PermissionSource, TenantFormat, TokenSettings};
use edge_worker::config::{
    Environment, IoDriver, LocalSettings, NameTable, UserSettings, headers, telemetry,
};
use shm::SupervisorRegion;
use shm::readiness::NodePhase;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

fn settings() -> WorkerSettings {
    WorkerSettings {
        environment: Environment::Test,
        log_level: telemetry::LogLevel::Info,
        io_driver: IoDriver::Auto,
        instances: InstanceSettings::default(),
        roots: Vec::new(),
        services: Vec::new(),
        routes: Vec::new(),
        tokens: TokenSettings {
            algorithms: Vec::new(),
            keys: Vec::new(),
            renewable: false,
            hs256_secret: None,
            issuers: Vec::new(),
            audiences: Vec::new(),
            clock_skew_s: 30,
            tenant_format: TenantFormat::Uuid,
            permission_source: PermissionSource::Union,
            digest_key: Secret::new([0; 32]),
        },
        limits: Limits::default(),
        shedding: Marks { lag_ms: 50, in_flight: 100, in_flight_max: 200 },
        headers: headers::HeaderSettings {
            trusted_proxies: Vec::new(),
            external_scheme: headers::Scheme::Http,
            public_hosts: Vec::new(),
            enforce_https: false,
            mask_upstream_5xx: false,
            external_port: 80,
        },
        local: LocalSettings {
            metrics_allowed: Vec::new(),
            health_token: None,
            metrics_socket: "metrics.sock".into(),
            ready_dependencies: Vec::new(),
            follows_redis: false,
        },
        users: UserSettings {
            check: UserCheck::Off,
            outage_policy: OutagePolicy::Deny,
            remote_validate: false,
            revocation_cold: ColdPolicy::Serve,
            venue_access: VenueAccessMode::Bearer,
            cross_tenant_admin: false,
            older_blacklist: false,
        },
        names: NameTable::default(),
    }
}

fn current(metrics_enabled: bool, region: &'static SupervisorRegion) -> Current {
    let facts = Facts {
        version: "1.2.3".to_owned(),
        revision: "abc".to_owned(),
        config_hash: "f00".to_owned(),
        config_applied_ms: 0,
        workers: 1,
        services: Vec::new(),
        follows_redis: false,
    };
    let endpoints = Arc::new(Endpoints::new(&settings(), region));
    Current { settings: settings(), facts, metrics_enabled, endpoints }
}

struct Bench {
    region: &'static SupervisorRegion,
    admin: Arc<Admin>,
    address: SocketAddr,
    directory: Directory,
}

async fn bench(name: &str) -> Bench {
    let region: &'static SupervisorRegion =
        Box::leak(Box::new(SupervisorRegion::create().expect("a memfd can be made")));
    let spool = Spool::start(std::io::sink(), 1024).expect("a thread");
    let admin = Arc::new(Admin::new(region.authority(), region.shared(), spool, current(true, region)));
    let directory = Directory::new(name);
    let socket = bind_socket(directory.path(), METRICS_SOCKET).expect("the directory is ours");
    let listener = bind_address(([127, 0, 0, 1], 0).into()).await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(Arc::clone(&admin).serve(listener, socket));
    Bench { region, admin, address, directory }
}

/// Status and body of the answer to these bytes.
async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> (u16, String) {
    stream.write_all(request.as_bytes()).await.expect("the request is small");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer in UTF-8");
    let status = answer.get(9..12).and_then(|text| text.parse().ok()).expect("a status line");
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).to_owned();
    (status, body)
}

impl Bench {
    async fn get(&self, path: &str) -> (u16, String) {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")).await
    }

    async fn ask(&self, request: &str) -> (u16, String) {
        exchange(TcpStream::connect(self.address).await.expect("it listens"), request).await
    }

    async fn ask_socket(&self, request: &str) -> (u16, String) {
        let path = self.directory.path().join(METRICS_SOCKET);
        exchange(UnixStream::connect(path).await.expect("it listens"), request).await
    }
}

#[tokio::test]
async fn metrics_and_health_are_served_on_the_private_address() {
    let bench = bench("answers").await;
    let (status, text) = bench.get("/metrics").await;
    assert_eq!(status, 200);
    assert!(text.contains("gateway_build_info{version=\"1.2.3\",revision=\"abc\"} 1"), "{text}");
    assert_eq!(bench.get("/live").await, (200, r#"{"status":"alive"}"#.to_owned()));
    assert_eq!(bench.get("/health/live").await, (200, r#"{"status":"ok"}"#.to_owned()));
    assert_eq!(bench.get("/health/startup").await.0, 503);
    assert_eq!(bench.get("/ready").await.0, 503);
    bench.region.authority().readiness.set_phase(bench.region.writer(), NodePhase::Serving);
    assert_eq!(bench.get("/health/startup").await.0, 200);
    assert_eq!(bench.get("/ready").await.0, 200);
    assert_eq!(bench.get("/health/ready").await.0, 200);
    let (status, health) = bench.get("/health").await;
    assert!(status == 200 && health.contains("\"version\""), "{health}");
    assert_eq!(bench.get("/elsewhere").await.0, 404);
}

#[tokio::test]
async fn a_name_as_host_is_refused() {
    let bench = bench("rebinding").await;
    let with = |host: &str| format!("GET /live HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let refused = [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "[::1",
        "[::1]x",
        "[evil]",
        "127.0.0.1:port",
        "",
        "::1",
    ];
    for host in refused {
        assert_eq!(bench.ask(&with(host)).await.0, 403, "{host}");
    }
    for host in ["127.0.0.1", "127.0.0.1:9090", "LOCALHOST:9090", "[::1]", "[::1]:9090", "10.0.0.7"] {
        assert_eq!(bench.ask(&with(host)).await.0, 200, "{host}");
    }
    let twice = "GET /live HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    assert_eq!(bench.ask(twice).await.0, 403);
    assert_eq!(bench.ask("GET /live HTTP/1.1\r\nConnection: close\r\n\r\n").await.0, 403);
}

#[tokio::test]
async fn the_private_address_only_reads() {
    let bench = bench("reads").await;
    let post = "POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    assert_eq!(bench.ask(post).await.0, 405);
    let head = "HEAD /live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert_eq!(bench.ask(head).await, (200, String::new()));
}

#[tokio::test]
async fn the_socket_serves_forwarded_scrapes_under_any_host_and_nothing_else() {
    let bench = bench("socket").await;
    let with = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: api.example\r\nConnection: close\r\n\r\n");
    let (status, text) = bench.ask_socket(&with("/metrics")).await;
    assert!(status == 200 && text.contains("gateway_build_info"), "{text}");
    assert_eq!(bench.ask_socket(&with("/health")).await.0, 404);
}

#[tokio::test]
async fn metrics_that_are_switched_off_are_not_found() {
    let bench = bench("off").await;
    bench.admin.configured(current(false, bench.region));
    assert_eq!(bench.get("/metrics").await.0, 404);
    assert_eq!(bench.get("/live").await.0, 200);
}
