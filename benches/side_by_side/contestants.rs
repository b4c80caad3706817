//! The contestants: how each is configured and started, and what it is asked.

use super::measure::{self, pin_process};
use super::simulated_service::Service;
use super::store::{self, Store};
use super::tokens;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const CHECKED: &str = "floodgate-checked";

/// A proxy on core 0.
pub struct Contestant {
    pub name: &'static str,
    pub address: SocketAddr,
    child: Child,
}

/// Everybody who takes part, and the service behind them.
pub struct Field {
    pub service: Service,
    pub contestants: Vec<Contestant>,
    pub token: String,
    pub redis: Store,
    rs256: Contestant,
    directory: PathBuf,
}

impl Field {
    /// `before` is the executable of an older Floodgate, which then takes part, too.
    pub fn start(before: Option<PathBuf>) -> Self {
        let directory = std::env::temp_dir().join(format!("floodgate-bench-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a temporary directory can be made");
        let service = Service::bind();
        let upstream = service.port();
        let starter = Starter { directory: &directory, upstream };
        let own = Path::new(env!("CARGO_BIN_EXE_floodgate"));
        let redis = Store::start();
        let redis_url = redis.url();
        let hs256 = [("JWT_ALGORITHMS", "HS256"), ("JWT_SECRET", tokens::SECRET)];
        let checked = [
            ("REDIS_URL", redis_url.as_str()),
            ("AUTH_USER_CHECK", "always"),
            ("S2S_SERVICE_TOKEN", "only-for-benchmarks"),
            ("LEGACY_BLACKLIST", "false"),
            ("API_KEY_TEMPLATES", store::TEMPLATE),
        ];
        let checked = [hs256.as_slice(), &checked].concat();
        let mut contestants = vec![
            starter.forwarder(),
            starter.nginx(),
            starter.haproxy(),
            starter.floodgate("floodgate", own, &hs256),
            starter.floodgate(CHECKED, own, &checked),
        ];
        if let Some(before) = before {
            contestants.push(starter.floodgate("before", &before, &hs256));
            contestants.push(starter.floodgate("before-checked", &before, &checked));
        }
        let rs256 = starter.floodgate("floodgate-rs256", own, &[("JWT_PUBLIC_KEY", tokens::PUBLIC_KEY)]);
        Field { token: tokens::hs256(), service, contestants, redis, rs256, directory }
    }

    /// The contestants as they take turns in a round: each has every place, and every other behind it as often as
    /// before it.
    pub fn in_order(&self, round: usize) -> impl Iterator<Item = &Contestant> {
        let count = self.contestants.len();
        (0..count).map(move |turn| {
            let turn = if round.is_multiple_of(2) { turn } else { count - 1 - turn };
            &self.contestants[(round / 2 + turn) % count]
        })
    }

    /// Floodgate that checks users at auth-service, and API keys and revocations by Redis.
    pub fn checked(&self) -> &Contestant {
        self.contestants.iter().find(|one| one.name == CHECKED).expect("it takes part")
    }

    /// Floodgate as it is measured against the others.
    pub fn plain(&self) -> &Contestant {
        self.contestants.iter().find(|one| one.name == "floodgate").expect("it takes part")
    }

    /// The same before services at this URL, for which the authority in this PEM vouches.
    pub fn floodgate_before(&self, name: &'static str, url: &str, authority: &str) -> Contestant {
        let starter = Starter { directory: &self.directory, upstream: self.service.port() };
        let file = starter.write("authority.pem", authority);
        let file = file.to_str().expect("temporary paths are UTF-8");
        let identity =
            [("JWT_ALGORITHMS", "HS256"), ("JWT_SECRET", tokens::SECRET), ("UPSTREAM_CA_FILE", file)];
        starter.floodgate_at(url, name, Path::new(env!("CARGO_BIN_EXE_floodgate")), &identity)
    }

    /// Floodgate with RS256 keys, for cold tokens.
    pub fn rs256(&self) -> &Contestant {
        &self.rs256
    }
}

impl Drop for Field {
    fn drop(&mut self) {
        // The records of a run are of no use after it.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

impl Contestant {
    /// The same request for everybody: about 700 bytes.
    pub fn request(&self, token: &str) -> Vec<u8> {
        self.request_with(token, "")
    }

    /// The same with more header lines.
    pub fn request_with(&self, token: &str, lines: &str) -> Vec<u8> {
        format!(
            "GET /api/v1/events/5f0c9d7e-3333-4333-8333-0123456789ab HTTP/1.1\r\nHost: tickets.example.com\r\n\
             User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\nAccept: application/json\r\n\
             Accept-Encoding: gzip, deflate, br\r\nAccept-Language: en-GB,en;q=0.9\r\n\
             Authorization: Bearer {token}\r\n{lines}\r\n"
        )
        .into_bytes()
    }

    /// The process and its children.
    pub fn pids(&self) -> Vec<u32> {
        let own = self.child.id();
        let children = fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
        let children = children.split_whitespace().filter_map(|pid| pid.parse().ok());
        std::iter::once(own).chain(children).collect()
    }
}

impl Drop for Contestant {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        // Already gone is as good.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}

struct Starter<'s> {
    directory: &'s Path,
    upstream: u16,
}

impl Starter<'_> {
    fn forwarder(&self) -> Contestant {
        let port = free_port();
        let program = std::env::current_exe().expect("this program has a path");
        let mut command = Command::new(program);
        command.arg("forwarder").arg(port.to_string()).arg(self.upstream.to_string());
        self.start("forwarder", port, command)
    }

    fn nginx(&self) -> Contestant {
        let port = free_port();
        let directory = self.directory.display();
        let configuration = format!(
            "daemon off; worker_processes 1; pid {directory}/nginx.pid; error_log {directory}/nginx.log crit;\n\
             user root;\n\
             events {{ worker_connections 8192; multi_accept on; }}\n\
             http {{ access_log off; keepalive_requests 100000000; client_body_temp_path {directory}/b;\n\
             proxy_temp_path {directory}/p; fastcgi_temp_path {directory}/f; uwsgi_temp_path {directory}/u;\n\
             scgi_temp_path {directory}/s; proxy_buffers 16 16k; proxy_buffer_size 16k;\n\
             upstream service {{ server 127.0.0.1:{}; keepalive 512; keepalive_requests 100000000; }}\n\
             server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ proxy_pass http://service;\n\
             proxy_http_version 1.1; proxy_set_header Connection \"\"; }} }} }}\n",
            self.upstream
        );
        let path = self.write("nginx.conf", &configuration);
        let mut command = Command::new("nginx");
        command.arg("-c").arg(path).arg("-p").arg(self.directory);
        self.start("nginx", port, command)
    }

    /// HAProxy doing the same work: HS256 verified, expiry and issuer checked, a role asked for, identity headers
    /// from the claims, the client's own removed, security headers on the answer, a log line a request.
    fn haproxy(&self) -> Contestant {
        let port = free_port();
        let configuration = format!(
            "global\n  nbthread 1\n  maxconn 8000\n  log stdout format raw local0 info\n  nosplice\n\
             defaults\n  mode http\n  log global\n  option httplog\n  timeout client 60s\n  timeout server 60s\n  \
             timeout connect 2s\n  http-reuse always\n\
             frontend edge\n  bind 127.0.0.1:{port} backlog 4096\n\
             {}  default_backend service\n\
             backend service\n  server one 127.0.0.1:{} pool-max-conn 512\n",
            haproxy_rules(),
            self.upstream
        );
        let path = self.write("haproxy.cfg", &configuration);
        let mut command = Command::new("haproxy");
        command.arg("-db").arg("-f").arg(path);
        self.start("haproxy", port, command)
    }

    fn floodgate(&self, name: &'static str, executable: &Path, identity: &[(&str, &str)]) -> Contestant {
        self.floodgate_at(&format!("http://127.0.0.1:{}", self.upstream), name, executable, identity)
    }

    fn floodgate_at(
        &self,
        url: &str,
        name: &'static str,
        executable: &Path,
        identity: &[(&str, &str)],
    ) -> Contestant {
        let port = free_port();
        let mut command = Command::new(executable);
        command.arg("run").env_clear();
        command.env("NODE_ENV", "development").env("AUTH_USER_CHECK", "off").env("HOST", "127.0.0.1");
        command.env("PORT", port.to_string()).env("FLOODGATE_WORKERS", "1");
        command.env("FLOODGATE_ADMIN_LISTEN", format!("127.0.0.1:{}", free_port()));
        command.env("FLOODGATE_RUNTIME_DIR", self.directory.join(name));
        command.envs(identity.iter().copied());
        for service in SERVICES {
            command.env(format!("{service}_SERVICE_URL"), url);
        }
        self.start(name, port, command)
    }

    fn start(&self, name: &'static str, port: u16, mut command: Command) -> Contestant {
        let log = File::create(self.directory.join(format!("{name}.log"))).expect("a log file can be made");
        let errors = log.try_clone().expect("a descriptor can be duplicated");
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        measure::pin_to_core(0);
        let child = command.spawn().unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        measure::pin_to_core(1);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let patience = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < patience, "{name} does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        let contestant = Contestant { name, address, child };
        for pid in contestant.pids() {
            pin_process(pid, 0);
        }
        contestant
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.join(name);
        fs::write(&path, text).expect("a configuration can be written");
        path
    }
}

fn haproxy_rules() -> String {
    let mut rules = format!(
        "  http-request set-var(txn.bearer) http_auth_bearer\n  \
         http-request deny deny_status 401 unless {{ var(txn.bearer),jwt_header_query('$.alg') -m str HS256 }}\n  \
         http-request deny deny_status 401 unless {{ var(txn.bearer),jwt_verify(\"HS256\",\"{}\") -m int 1 }}\n  \
         http-request set-var(txn.exp) var(txn.bearer),jwt_payload_query('$.exp','int')\n  \
         http-request set-var(txn.now) date()\n  \
         http-request deny deny_status 401 if {{ var(txn.exp),sub(txn.now) -m int lt 0 }}\n  \
         http-request deny deny_status 401 unless {{ var(txn.bearer),jwt_payload_query('$.iss') -m str {} }}\n  \
         http-request deny deny_status 401 unless {{ var(txn.bearer),jwt_payload_query('$.type') -m str access }}\n  \
         http-request set-var(txn.sub) var(txn.bearer),jwt_payload_query('$.sub')\n  \
         http-request set-var(txn.tenant) var(txn.bearer),jwt_payload_query('$.tenant_id')\n  \
         http-request set-var(txn.role) var(txn.bearer),jwt_payload_query('$.role')\n  \
         http-request deny deny_status 403 unless {{ var(txn.role) -m str customer admin }}\n",
        tokens::SECRET,
        tokens::ISSUER
    );
    for stripped in ["x-tenant-", "x-user-", "x-internal-", "x-service-", "x-gateway-", "x-forwarded-"] {
        rules.push_str(&format!("  http-request del-header {stripped} -m beg\n"));
    }
    for (name, value) in [
        ("x-request-id", "%[uuid]"),
        ("x-tenant-id", "%[var(txn.tenant)]"),
        ("x-user-id", "%[var(txn.sub)]"),
        ("x-user-role", "%[var(txn.role)]"),
        ("x-forwarded-for", "%[src]"),
        ("x-forwarded-proto", "http"),
        ("x-gateway-forwarded", "true"),
    ] {
        rules.push_str(&format!("  http-request set-header {name} {value}\n"));
    }
    for (name, value) in [
        ("X-API-Version", "1.0.0"),
        ("X-Frame-Options", "DENY"),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "strict-origin-when-cross-origin"),
        ("Strict-Transport-Security", "\"max-age=31536000; includeSubDomains; preload\""),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
        ("Content-Security-Policy", "\"default-src 'self'; object-src 'none'; frame-src 'none'\""),
    ] {
        rules.push_str(&format!("  http-response set-header {name} {value}\n"));
    }
    rules
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    listener.local_addr().expect("a bound listener has an address").port()
}

const SERVICES: [&str; 19] = [
    "AUTH",
    "VENUE",
    "EVENT",
    "TICKET",
    "PAYMENT",
    "MARKETPLACE",
    "ANALYTICS",
    "NOTIFICATION",
    "INTEGRATION",
    "COMPLIANCE",
    "QUEUE",
    "SEARCH",
    "FILE",
    "MONITORING",
    "BLOCKCHAIN",
    "ORDER",
    "SCANNING",
    "MINTING",
    "TRANSFER",
];
