//! A Redis server for one test, on a port that was free a moment ago.

use super::polling::holds_within;
use super::process::Process;
use rustix::process::Signal;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// A running redis-server; it is killed when it is dropped.
pub struct RedisServer {
    address: SocketAddr,
    directory: PathBuf,
    process: Option<Process>,
}

impl RedisServer {
    /// Starts one. Another process may take the free port first, so it is tried with a few.
    pub fn start() -> RedisServer {
        for _ in 0..5 {
            let address = free_address();
            let mut server = RedisServer { address, directory: directory(address), process: None };
            server.launch();
            if holds_within(Duration::from_secs(10), || server.answers()) {
                return server;
            }
        }
        panic!("redis-server does not start; it is needed for the tests (apt-get install redis-server)");
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self) -> String {
        format!("redis://{}/0", self.address)
    }

    /// Sends one command and reads what comes back within a read.
    pub fn command(&self, words: &[&str]) -> String {
        let mut stream = TcpStream::connect(self.address).expect("redis-server is running");
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a positive limit");
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        stream.write_all(request.as_bytes()).expect("redis-server reads");
        let mut answer = vec![0; 65_536];
        let count = stream.read(&mut answer).expect("redis-server answers");
        answer.truncate(count);
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Ends the server at once, as a crash does.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Lets it hang: links stay open and nothing is answered.
    pub fn stall(&self) {
        self.process.as_ref().expect("redis-server runs").signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.process.as_ref().expect("redis-server runs").signal(Signal::CONT);
    }

    /// Starts it again on the same port.
    pub fn restart(&mut self) {
        self.launch();
        assert!(holds_within(Duration::from_secs(10), || self.answers()), "redis-server comes back");
    }

    fn launch(&mut self) {
        std::fs::create_dir_all(&self.directory).expect("the temporary directory is writable");
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"]);
        command.arg(self.address.port().to_string()).arg("--dir").arg(&self.directory);
        self.process = Some(Process::spawn(&mut command));
    }

    fn answers(&self) -> bool {
        TcpStream::connect(self.address).is_ok() && self.command(&["PING"]).starts_with("+PONG")
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
        // Nothing is saved, so the directory is empty unless it is already gone.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// A loopback address that was free a moment ago.
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
    listener.local_addr().expect("a bound listener has an address")
}

fn directory(address: SocketAddr) -> PathBuf {
    std::env::temp_dir().join(format!("fg-redis-{}-{}", std::process::id(), address.port()))
}
