//! The same over a Cluster, Sentinels, TLS and a password.

use super::servers::{Node, Server, ask, eventually, holds_within, security, settings};
use crate::cluster::connection::{CallFault, Connection};
use crate::cluster::publisher::Published;
use edge_worker::config::redis::Topology;
use edge_worker::config::secret::Secret;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Three primaries that share the slots.
async fn cluster() -> [Server; 3] {
    let arguments = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"];
    let servers = [
        Server::start_with(&arguments).await,
        Server::start_with(&arguments).await,
        Server::start_with(&arguments).await,
    ];
    let ranges = [("0", "5460"), ("5461", "10922"), ("10923", "16383")];
    for (server, (first, last)) in servers.iter().zip(ranges) {
        assert_eq!(server.command(&["CLUSTER", "ADDSLOTSRANGE", first, last]), "+OK\r\n");
        for other in &servers {
            server.command(&["CLUSTER", "MEET", "127.0.0.1", &other.port.to_string()]);
        }
    }
    let whole = |server: &Server| {
        let info = server.command(&["CLUSTER", "INFO"]);
        info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
    };
    eventually("the Cluster is whole", || servers.iter().all(whole)).await;
    servers
}

#[tokio::test]
async fn a_cluster_carries_revocations_and_its_scan_covers_every_primary() {
    let servers = cluster().await;
    let settings = settings(Topology::Cluster, &[servers[0].port, servers[1].port]);
    let a = Node::live("a", &settings).await;
    let b = Node::live("b", &settings).await;
    for number in 0..200 {
        assert_eq!(a.revoke(&format!("token-{number}")), Published::Waiting);
    }
    eventually("the other node knows them", || (0..200).all(|number| b.knows(&format!("token-{number}"))))
        .await;
    let sizes: Vec<String> = servers.iter().map(|server| server.command(&["DBSIZE"])).collect();
    assert!(sizes.iter().all(|size| size != ":0\r\n"), "keys lie on all three: {sizes:?}");
    let c = Node::live("c", &settings).await;
    assert!((0..200).all(|number| c.knows(&format!("token-{number}"))), "by the scan alone");
}

#[tokio::test]
async fn sentinels_lead_to_the_new_master_after_a_failover() {
    let mut master = Server::start().await;
    let port = master.port.to_string();
    let replica =
        Server::start_with(&["--replicaof", "127.0.0.1", &port, "--repl-diskless-sync-delay", "0"]).await;
    eventually("the replica follows", || {
        replica.command(&["INFO", "replication"]).contains("link_status:up")
    })
    .await;
    let file = master.directory().join("sentinel.conf");
    let text = format!(
        "sentinel monitor main 127.0.0.1 {port} 1\nsentinel down-after-milliseconds main 500\n\
         sentinel failover-timeout main 2000\n"
    );
    std::fs::write(&file, text).expect("the directory of the test");
    let file = file.display().to_string();
    let sentinel = Sentinel::start(&file).await;
    let settings = settings(Topology::Sentinel { master: "main".to_owned() }, &[sentinel.port]);
    let a = Node::live("a", &settings).await;
    let b = Node::live("b", &settings).await;
    assert_eq!(a.revoke("before"), Published::Waiting);
    eventually("seen", || b.knows("before")).await;
    eventually("the Sentinel knows the replica", || {
        ask(sentinel.port, &["SENTINEL", "replicas", "main"])
            .is_some_and(|text| text.contains(&replica.port.to_string()))
    })
    .await;
    master.kill();
    assert_eq!(a.revoke("meanwhile"), Published::Waiting);
    eventually("the new master carries it", || b.knows("meanwhile")).await;
    assert!(replica.command(&["ROLE"]).contains("master"));
}

/// redis-server as a Sentinel; its file is rewritten by itself.
struct Sentinel {
    port: u16,
    child: std::process::Child,
}

impl Sentinel {
    async fn start(file: &str) -> Sentinel {
        let port = super::servers::free_port();
        let mut command = Command::new("redis-server");
        command.args([file, "--sentinel", "--bind", "127.0.0.1", "--port", &port.to_string()]);
        let child =
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("redis-server is installed");
        let sentinel = Sentinel { port, child };
        let known = || {
            ask(port, &["SENTINEL", "get-master-addr-by-name", "main"])
                .is_some_and(|text| text.starts_with('*'))
        };
        assert!(holds_within(Duration::from_secs(10), known).await, "the Sentinel starts");
        sentinel
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn tls_is_verified_against_the_given_authority() {
    let directory = std::env::temp_dir().join(format!("fg-tls-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("the temporary directory is writable");
    let path = |name: &str| directory.join(name).display().to_string();
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
        .args(["-keyout", &path("key.pem"), "-out", &path("cert.pem"), "-days", "2", "-subj", "/CN=redis"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"])
        .stderr(Stdio::null())
        .status();
    assert!(made.is_ok_and(|status| status.success()), "openssl makes a certificate");
    let (key, certificate) = (path("key.pem"), path("cert.pem"));
    let tls_port = super::servers::free_port();
    let port = tls_port.to_string();
    let arguments = [
        "--tls-port",
        &port,
        "--tls-cert-file",
        &certificate,
        "--tls-key-file",
        &key,
        "--tls-auth-clients",
        "no",
        "--tls-ca-cert-file",
        &certificate,
    ];
    let server = Server::start_with(&arguments).await;
    let mut settings = settings(Topology::Single, &[tls_port]);
    settings.server.tls = true;
    let strangers =
        Connection::new(&settings, security().figures()).expect("the system has authorities, or none");
    assert!(strangers.ping().await.is_err(), "a certificate that nobody vouches for");
    settings.authorities = Some(std::fs::read_to_string(&certificate).expect("just made"));
    let connection = Connection::new(&settings, security().figures()).expect("the settings make a client");
    connection.ping().await.expect("verified");
    drop(server);
    let _ = std::fs::remove_dir_all(&directory);
}

#[tokio::test]
async fn a_password_is_sent_and_a_wrong_one_is_a_dead_redis() {
    let server = Server::start_with(&["--requirepass", "long-enough"]).await;
    let mut settings = server.settings();
    settings.server.password = Some(Secret::new("long-enough".to_owned()));
    Connection::new(&settings, security().figures()).expect("a client").ping().await.expect("let in");
    settings.server.password = Some(Secret::new("wrong".to_owned()));
    let fault = Connection::new(&settings, security().figures())
        .expect("a client")
        .ping()
        .await
        .expect_err("kept out");
    assert!(matches!(fault, CallFault::Link(_)) && !fault.to_string().contains("wrong"), "{fault}");
}
