//! The Redis of the edge that looks users and API keys up, on core 1 and on a port of its own.

use super::harness::RedisServer;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::time::Duration;

/// Ends with the run.
pub struct Store(RedisServer);

/// Where keys stand: one template is one read a look-up.
pub const TEMPLATE: &str = "api:key:{key}";
const RECORD: &str = r#"{"venueId":"7e000000-0000-4000-8000-000000000001","tier":"standard"}"#;
/// Seconds that a key lives: longer than any scenario.
const LIFE_S: &str = "3600";
const OK: &str = "+OK\r\n";

/// An API key with a number.
pub fn key(number: usize) -> String {
    format!("vk_bench.{number:032}")
}

impl Store {
    pub fn start() -> Store {
        Store(RedisServer::start())
    }

    pub fn url(&self) -> String {
        self.0.url()
    }

    /// Makes these keys valid ones.
    pub fn know(&self, numbers: Range<usize>) {
        let mut commands = String::new();
        for number in numbers.clone() {
            let name = TEMPLATE.replace("{key}", &key(number));
            let words = ["SET", &name, RECORD, "EX", LIFE_S];
            let _ = write!(commands, "*{}\r\n", words.len());
            for word in words {
                let _ = write!(commands, "${}\r\n{word}\r\n", word.len());
            }
        }
        let mut stream = TcpStream::connect(self.0.address()).expect("redis-server is running");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a positive limit");
        stream.write_all(commands.as_bytes()).expect("redis-server reads");
        let mut replies = vec![0; numbers.len() * OK.len()];
        stream.read_exact(&mut replies).expect("redis-server answers each");
        assert!(replies.chunks(OK.len()).all(|reply| reply == OK.as_bytes()), "redis-server keeps them");
    }

    /// The GETs that Redis has answered.
    pub fn reads(&self) -> usize {
        let statistics = self.0.command(&["INFO", "commandstats"]);
        let line = statistics.lines().find_map(|line| line.strip_prefix("cmdstat_get:calls="));
        line.and_then(|line| line.split(',').next()?.parse().ok()).unwrap_or(0)
    }
}
