//! Redis servers, links that can be cut, and nodes, for the tests of this folder.

use crate::cluster::connection::Connection;
use crate::cluster::event::{Event, TokenName};
use crate::cluster::publisher::{Published, Publisher};
use crate::cluster::stream::Gap;
use crate::cluster::tail::{SyncState, Tail, TailState, Update};
use crate::export::security_log::SecurityLog;
use edge_worker::clock;
use edge_worker::config::redis::{RedisServer, RedisSettings, Topology};
use shm::SupervisorRegion;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

/// Longer than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A running redis-server, killed with the value.
pub struct Server {
    pub port: u16,
    directory: PathBuf,
    arguments: Vec<String>,
    child: Option<Child>,
}

impl Server {
    pub async fn start() -> Server {
        Server::start_with(&[]).await
    }

    /// With more words on its command line. Another process may take the free port first, so a few are tried.
    pub async fn start_with(arguments: &[&str]) -> Server {
        for _ in 0..5 {
            let port = free_port();
            let directory = std::env::temp_dir().join(format!("fg-cluster-{}-{port}", std::process::id()));
            let arguments = arguments.iter().map(|word| (*word).to_owned()).collect();
            let mut server = Server { port, directory, arguments, child: None };
            server.launch();
            if server.answers_within(Duration::from_secs(10)).await {
                return server;
            }
        }
        panic!("redis-server does not start; it is needed for the tests (apt-get install redis-server)");
    }

    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// On the same port, with nothing of what it held.
    pub async fn restart(&mut self) {
        self.launch();
        assert!(self.answers_within(PATIENCE).await, "redis-server comes back");
    }

    /// One command, and what one read gives.
    pub fn command(&self, words: &[&str]) -> String {
        ask(self.port, words).expect("redis-server answers")
    }

    pub fn settings(&self) -> RedisSettings {
        settings(Topology::Single, &[self.port])
    }

    fn launch(&mut self) {
        std::fs::create_dir_all(&self.directory).expect("the temporary directory is writable");
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        command.arg("--port").arg(self.port.to_string()).arg("--dir").arg(&self.directory);
        command.args(&self.arguments).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(command.spawn().expect("redis-server is installed"));
    }

    async fn answers_within(&self, limit: Duration) -> bool {
        holds_within(limit, || {
            ask(self.port, &["PING"])
                .is_some_and(|answer| answer.starts_with("+PONG") || answer.contains("NOAUTH"))
        })
        .await
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

pub fn ask(port: u16, words: &[&str]) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = vec![0; 65_536];
    let count = stream.read(&mut answer).ok()?;
    answer.truncate(count);
    String::from_utf8(answer).ok()
}

pub fn free_port() -> u16 {
    // A Cluster node also listens at its port plus 10,000.
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        if port < 55_000 {
            return port;
        }
    }
}

pub fn settings(topology: Topology, ports: &[u16]) -> RedisSettings {
    let server = RedisServer {
        topology,
        tls: false,
        addresses: ports.iter().map(|port| ("127.0.0.1".to_owned(), *port)).collect(),
        database: 0,
        user: None,
        password: None,
    };
    RedisSettings {
        server,
        authorities: None,
        cache_mac_key: None,
        legacy_blacklist: true,
        api_key_templates: Vec::new(),
    }
}

/// Asks again and again until it holds.
pub async fn holds_within(limit: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let asked = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(limit, asked).await.is_ok()
}

#[track_caller]
pub fn eventually(what: &'static str, holds: impl FnMut() -> bool) -> impl Future<Output = ()> {
    let asked = holds_within(PATIENCE, holds);
    async move { assert!(asked.await, "never happened: {what}") }
}

/// A link to a server that stops carrying bytes when it is cut, as a dead cable does: nothing is closed.
pub struct Cable {
    pub port: u16,
    whole: watch::Sender<bool>,
}

impl Cable {
    pub async fn to(target: u16) -> Cable {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a loopback port is free");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let (whole, state) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, SocketAddr::from(([127, 0, 0, 1], target)), state.clone()));
            }
        });
        Cable { port, whole }
    }

    pub fn cut(&self) {
        self.whole.send_replace(false);
    }

    pub fn heal(&self) {
        self.whole.send_replace(true);
    }
}

async fn carry(client: tokio::net::TcpStream, target: SocketAddr, mut whole: watch::Receiver<bool>) {
    let _ = whole.wait_for(|whole| *whole).await;
    let Ok(server) = tokio::net::TcpStream::connect(target).await else { return };
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    tokio::join!(copy(from_client, to_server, whole.clone()), copy(from_server, to_client, whole));
}

async fn copy(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut whole: watch::Receiver<bool>,
) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut buffer = vec![0; 65_536];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if whole.wait_for(|whole| *whole).await.is_err() || to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}

/// One edge node's share in the cluster, with a mirror that keeps everything.
pub struct Node {
    pub publisher: Publisher,
    pub connection: Connection,
    pub security: SecurityLog,
    pub state: watch::Receiver<TailState>,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    events: Vec<Event>,
    tokens: BTreeSet<String>,
    gaps: Vec<Gap>,
    syncs: Vec<SyncState>,
}

/// Counts and budgets of a region of their own.
pub fn security() -> SecurityLog {
    SecurityLog::new(SupervisorRegion::create().expect("a memfd can be made").shared())
}

impl Seen {
    fn apply(&mut self, event: &Event) {
        if let Event::Token { token: TokenName::Jti(jti), .. } = event {
            self.tokens.insert(jti.clone());
        }
        self.events.push(event.clone());
    }
}

impl Node {
    pub fn start(name: &str, settings: &RedisSettings) -> Node {
        let connection = Connection::new(settings, security().figures()).expect("the settings make a client");
        let security = security();
        let publisher = Publisher::new(name.to_owned(), 30, security.clone());
        let tail = Tail::new(settings, connection.clone()).expect("the settings make a client");
        let (state, seen) = (tail.state(), Arc::new(Mutex::new(Seen::default())));
        tokio::spawn(publisher.clone().run(connection.clone()));
        let (mirror, replayer) = (Arc::clone(&seen), publisher.clone());
        tokio::spawn(tail.run(move |update| {
            let mut mirror = mirror.lock().expect("no test panics while holding it");
            match update {
                Update::Event { event, .. } => mirror.apply(&event),
                Update::Gap(gap) => {
                    mirror.gaps.push(gap);
                    if gap == Gap::Lost {
                        replayer.replay();
                    }
                }
                Update::Whole => {}
                Update::Sync(sync) => mirror.syncs.push(sync),
            }
        }));
        Node { publisher, connection, security, state, seen }
    }

    /// Started, and in step with Redis.
    pub async fn live(name: &str, settings: &RedisSettings) -> Node {
        let node = Node::start(name, settings);
        eventually("the node is live", || node.is_live()).await;
        node
    }

    pub fn is_live(&self) -> bool {
        matches!(self.state.borrow().sync, SyncState::Live { .. })
    }

    pub fn revoke(&self, jti: &str) -> Published {
        let seen = Arc::clone(&self.seen);
        self.publisher.publish(revocation(jti), "test", move |event| {
            seen.lock().expect("no test panics while holding it").apply(event);
        })
    }

    pub fn knows(&self, jti: &str) -> bool {
        self.seen.lock().expect("no test panics while holding it").tokens.contains(jti)
    }

    /// How many tokens it knows to be revoked.
    pub fn known(&self) -> usize {
        self.seen.lock().expect("no test panics while holding it").tokens.len()
    }

    pub fn has_seen(&self, event: &Event) -> bool {
        self.seen.lock().expect("no test panics while holding it").events.contains(event)
    }

    pub fn gaps(&self) -> Vec<Gap> {
        self.seen.lock().expect("no test panics while holding it").gaps.clone()
    }
}

pub fn revocation(jti: &str) -> Event {
    Event::Token { token: TokenName::Jti(jti.to_owned()), exp: clock::wall_seconds() + 900 }
}
