//! The edge under test: the real binary with real workers, on ports that the kernel chose.

use super::backend::Backend;
use super::client::{Client, Response};
use super::metrics::Metrics;
use super::polling::eventually;
use super::process::{self, PROFILE_VARIABLE, Process};
use super::token::{Key, SHARED_SECRET};
use rustix::process::Signal;
use serde_json::Value;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicU32, Ordering};

/// The built binary.
pub const BINARY: &str = env!("CARGO_BIN_EXE_floodgate");

/// The nineteen services with the variable that holds each base URL, in the platform's order.
pub const SERVICES: [(&str, &str); 19] = [
    ("auth", "AUTH_SERVICE_URL"),
    ("venue", "VENUE_SERVICE_URL"),
    ("event", "EVENT_SERVICE_URL"),
    ("ticket", "TICKET_SERVICE_URL"),
    ("payment", "PAYMENT_SERVICE_URL"),
    ("marketplace", "MARKETPLACE_SERVICE_URL"),
    ("analytics", "ANALYTICS_SERVICE_URL"),
    ("notification", "NOTIFICATION_SERVICE_URL"),
    ("integration", "INTEGRATION_SERVICE_URL"),
    ("compliance", "COMPLIANCE_SERVICE_URL"),
    ("queue", "QUEUE_SERVICE_URL"),
    ("search", "SEARCH_SERVICE_URL"),
    ("file", "FILE_SERVICE_URL"),
    ("monitoring", "MONITORING_SERVICE_URL"),
    ("blockchain", "BLOCKCHAIN_SERVICE_URL"),
    ("order", "ORDER_SERVICE_URL"),
    ("scanning", "SCANNING_SERVICE_URL"),
    ("minting", "MINTING_SERVICE_URL"),
    ("transfer", "TRANSFER_SERVICE_URL"),
];

/// An invocation of the binary with a chosen environment and nothing else.
#[derive(Clone, Debug)]
pub struct Command {
    variables: Vec<(String, String)>,
    arguments: Vec<String>,
    runtime_dir: PathBuf,
    /// As whom it runs; as the test does without one.
    user: Option<u32>,
    /// What it sees instead of the machine's /etc/hosts.
    hosts: Option<String>,
}

impl Command {
    /// `floodgate run` as most tests want it: development rules, one worker, both ports free, every service here.
    pub fn run(backend: &Backend) -> Command {
        Command::run_before(&backend.url())
    }

    /// The same before a service of somebody else's.
    pub fn run_before(service_url: &str) -> Command {
        let command = Command::bare(&["run"])
            .set("NODE_ENV", "development")
            .set("HOST", "127.0.0.1")
            .set("PORT", "0")
            .set("FLOODGATE_ADMIN_LISTEN", "127.0.0.1:0")
            .set("FLOODGATE_WORKERS", "1")
            .set("FLOODGATE_IO_DRIVER", &driver())
            .set("JWT_PUBLIC_KEY", Key::Current.public_pem())
            .set("JWT_PUBLIC_KEY_PREVIOUS", Key::Previous.public_pem())
            .set("AUTH_USER_CHECK", "off")
            .set("DRAIN_DELAY_MS", "0")
            // Beside other tests every loop is late at times, and what is shed for that is no answer to any of them.
            .set("FLOODGATE_SHED_LAG_MS", "0");
        SERVICES.iter().fold(command, |command, entry| command.set(entry.1, service_url))
    }

    /// The binary with these arguments and no environment but what every process needs.
    pub fn bare(arguments: &[&str]) -> Command {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::SeqCst);
        // Short, since a unix socket's path has room for 108 bytes.
        let runtime_dir = std::env::temp_dir().join(format!("fg-{}-{count}", std::process::id()));
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let command = Command { variables: Vec::new(), arguments, runtime_dir, user: None, hosts: None };
        let runtime_dir = command.runtime_dir.to_str().expect("temporary paths are UTF-8").to_owned();
        command.set("FLOODGATE_RUNTIME_DIR", &runtime_dir)
    }

    /// Sets a variable, replacing an earlier value.
    #[must_use]
    pub fn set(self, name: &str, value: &str) -> Command {
        let mut command = self.unset(name);
        command.variables.push((name.to_owned(), value.to_owned()));
        command
    }

    #[must_use]
    pub fn argument(mut self, argument: &str) -> Command {
        self.arguments.push(argument.to_owned());
        self
    }

    #[must_use]
    pub fn unset(mut self, name: &str) -> Command {
        self.variables.retain(|variable| variable.0 != name);
        self
    }

    /// Replaces the command line.
    #[must_use]
    pub fn arguments(mut self, arguments: &[&str]) -> Command {
        self.arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        self
    }

    #[must_use]
    pub fn workers(self, count: usize) -> Command {
        self.set("FLOODGATE_WORKERS", &count.to_string())
    }

    /// Sends one service's requests to a backend of its own.
    #[must_use]
    pub fn service(self, name: &str, backend: &Backend) -> Command {
        self.service_url(name, &backend.url())
    }

    #[must_use]
    pub fn service_url(self, name: &str, url: &str) -> Command {
        let entry = SERVICES.iter().find(|entry| entry.0 == name).expect("one of the nineteen services");
        self.set(entry.1, url)
    }

    /// HS256 alone, as older installations have it.
    #[must_use]
    pub fn shared_secret_tokens(self) -> Command {
        self.set("JWT_ALGORITHMS", "HS256").set("JWT_SECRET", SHARED_SECRET).unset("JWT_PUBLIC_KEY")
    }

    /// Puts a file in the place of /etc/hosts, for this command alone. Root of the machine, or of a user namespace,
    /// can do that.
    #[must_use]
    pub fn hosts(mut self, path: &str) -> Command {
        self.hosts = Some(path.to_owned());
        self
    }

    /// A file beside the runtime directory, for settings that come as files.
    pub fn file(&self, name: &str, content: &str) -> String {
        std::fs::create_dir_all(&self.runtime_dir).expect("the temporary directory is writable");
        let path = self.runtime_dir.join(name);
        std::fs::write(&path, content).expect("the temporary directory is writable");
        path.to_str().expect("temporary paths are UTF-8").to_owned()
    }

    /// Starts the edge and waits until it serves.
    pub fn start(&self) -> Edge {
        let process = Process::spawn(&mut self.command());
        Edge::wait_for(process, RuntimeDirectory(self.runtime_dir.clone()))
    }

    /// Runs to the end.
    pub fn finish(&self) -> Finished {
        self.finish_with("")
    }

    /// The same with something on its standard input.
    pub fn finish_with(&self, input: &str) -> Finished {
        let _directory = RuntimeDirectory(self.runtime_dir.clone());
        let mut process = Process::spawn_with(&mut self.command(), input.as_bytes());
        let status = process.wait();
        Finished { status, output: process.whole_output() }
    }

    fn command(&self) -> std::process::Command {
        std::fs::create_dir_all(&self.runtime_dir).expect("the temporary directory is writable");
        let mut command = match &self.hosts {
            None => std::process::Command::new(BINARY),
            Some(hosts) => {
                let mut command = std::process::Command::new("unshare");
                let script = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";
                command.args(["--map-root-user", "--mount", "sh", "-c", script, hosts, BINARY]);
                command
            }
        };
        command.args(&self.arguments).env_clear().current_dir(&self.runtime_dir);
        command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.envs(profile().map(|file| (PROFILE_VARIABLE, file)));
        command.envs(self.variables.iter().map(|variable| (&variable.0, &variable.1)));
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command
    }
}

/// Where the processes of a coverage build write what they counted: few files which all of them add to. A file a
/// process, as the coverage tool has it, fills the disk: 4 MiB each, and the tests start a thousand.
fn profile() -> Option<String> {
    let file = std::env::var(PROFILE_VARIABLE).ok()?;
    Some(file.replace("%m-%p", "shared-%4m"))
}

/// A command that ran to its end.
#[derive(Debug)]
pub struct Finished {
    pub status: ExitStatus,
    /// Standard output and standard error.
    pub output: String,
}

impl Finished {
    #[track_caller]
    pub fn expect_code(&self, code: i32) -> &Finished {
        assert_eq!(self.status.code(), Some(code), "{}", self.output);
        self
    }

    #[track_caller]
    pub fn expect_words(&self, words: &[&str]) -> &Finished {
        for word in words {
            assert!(self.output.contains(word), "no {word:?} in:\n{}", self.output);
        }
        self
    }
}

/// A running edge.
pub struct Edge {
    process: Process,
    address: SocketAddr,
    admin: SocketAddr,
    /// Dropped after the process, which writes there to its end.
    directory: RuntimeDirectory,
}

struct RuntimeDirectory(PathBuf);

impl Edge {
    /// One worker in front of this backend.
    pub fn start(backend: &Backend) -> Edge {
        Command::run(backend).start()
    }

    fn wait_for(mut process: Process, directory: RuntimeDirectory) -> Edge {
        let (address, admin) = eventually("the edge logs the addresses it listens on", || {
            let lines = process.lines();
            if let Some(status) = process.has_exited() {
                panic!("the edge ended with {status}:\n{}", lines.join("\n"));
            }
            Some((address_in(&lines, "listening")?, address_in(&lines, "admin")?))
        });
        let edge = Edge { process, address, admin, directory };
        eventually("the edge has started", || {
            let mut client = Client::try_connect(edge.admin).ok()?;
            let answer = client.request("GET", "/health/startup").host("127.0.0.1").try_send().ok()?;
            (answer.status == 200).then_some(())
        });
        edge
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A new connection to the edge.
    pub fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// GET on a connection of its own, without a token.
    pub fn get(&self, target: &str) -> Response {
        self.client().get(target)
    }

    /// GET on a connection of its own, with a bearer token.
    pub fn fetch_as(&self, token: &str, target: &str) -> Response {
        self.client().fetch_as(token, target)
    }

    /// GET on the private address.
    pub fn ask_admin(&self, target: &str) -> Response {
        Client::connect(self.admin).request("GET", target).host("127.0.0.1").send()
    }

    pub fn metrics(&self) -> Metrics {
        let answer = self.ask_admin("/metrics");
        answer.expect_status(200);
        Metrics::parse(&answer.text())
    }

    /// Waits until the counters say so: they are exported a moment after the answer.
    pub fn metrics_say(&self, what: &str, holds: impl Fn(&Metrics) -> bool) -> Metrics {
        let mut latest = Metrics::default();
        let seen = super::holds_within(super::polling::PATIENCE, || {
            latest = self.metrics();
            holds(&latest)
        });
        assert!(seen, "{what}\n{}", latest.text());
        latest
    }

    /// Waits until a counter has exactly this value.
    #[track_caller]
    pub fn counts(&self, name: &str, labels: &[(&str, &str)], value: u64) {
        self.metrics_say(&format!("{name}{labels:?} is {value}"), |metrics| {
            metrics.count(name, labels) == value
        });
    }

    /// A file or socket of its runtime directory.
    pub fn runtime_path(&self, name: &str) -> String {
        self.directory.0.join(name).to_str().expect("temporary paths are UTF-8").to_owned()
    }

    /// `floodgate revoke` with these arguments, at this node.
    pub fn revoke(&self, arguments: &[&str]) -> Finished {
        self.revoke_with(arguments, "")
    }

    /// The same with something on its standard input.
    pub fn revoke_with(&self, arguments: &[&str], input: &str) -> Finished {
        self.revocation(arguments).finish_with(input)
    }

    /// The same as another user of the machine and in no group but its own; for root alone.
    pub fn revoke_as(&self, user: u32, arguments: &[&str]) -> Finished {
        Command { user: Some(user), ..self.revocation(arguments) }.finish()
    }

    /// Runs `floodgate breaker` with this node's socket.
    pub fn breaker(&self, arguments: &[&str]) -> Finished {
        let socket = self.runtime_path("control.sock");
        Command::bare(&[&["breaker", "--socket", &socket], arguments].concat()).finish()
    }

    fn revocation(&self, arguments: &[&str]) -> Command {
        let socket = self.runtime_path("control.sock");
        Command::bare(&[&["revoke", "--socket", &socket], arguments].concat())
    }

    /// Every line the edge wrote.
    pub fn log_lines(&self) -> Vec<String> {
        self.process.lines()
    }

    /// Every line the edge wrote that is a JSON object.
    pub fn log_records(&self) -> Vec<Value> {
        self.log_lines().iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Waits for the access-log record of a request.
    pub fn access_record(&self, request_id: &str) -> Value {
        eventually("the request is in the access log", || {
            self.log_records().into_iter().find(|record| {
                record.get("requestId").and_then(Value::as_str) == Some(request_id)
                    && record.get("status").is_some()
            })
        })
    }

    pub fn supervisor_pid(&self) -> u32 {
        self.process.pid()
    }

    /// Process ids of the workers that are alive.
    pub fn worker_pids(&self) -> Vec<u32> {
        self.process.children()
    }

    /// Kills a worker as the kernel does when memory runs out.
    pub fn kill_worker(&self, index: usize) -> u32 {
        let pids = self.worker_pids();
        let pid = *pids.get(index).unwrap_or_else(|| panic!("worker {index} of {pids:?}"));
        process::kill(pid, Signal::KILL);
        pid
    }

    /// Waits until so many workers are alive and none of them is `gone`.
    pub fn workers_are_replaced(&self, count: usize, gone: u32) -> Vec<u32> {
        eventually("the worker has a successor", || {
            let pids = self.worker_pids();
            (pids.len() == count && !pids.contains(&gone)).then_some(pids)
        })
    }

    /// Private memory of all workers, bytes.
    pub fn worker_memory_bytes(&self) -> u64 {
        self.worker_pids().into_iter().map(process::private_memory_bytes).sum()
    }

    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Waits for the end after a signal.
    pub fn wait(&mut self) -> ExitStatus {
        self.process.wait()
    }

    /// SIGTERM, and the end.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait()
    }
}

impl Drop for RuntimeDirectory {
    fn drop(&mut self) {
        // It may never have been made; what cannot be removed is left to the system's cleaner.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Which driver this run of the suite is for; both must pass.
pub fn driver() -> String {
    std::env::var("FLOODGATE_TEST_DRIVER").unwrap_or_else(|_| "auto".to_owned())
}

/// The first address that a JSON log line gives in this field.
fn address_in(lines: &[String], field: &str) -> Option<SocketAddr> {
    lines.iter().find_map(|line| {
        let record: Value = serde_json::from_str(line).ok()?;
        find(&record, field)?.as_str()?.parse().ok()
    })
}

/// A field of a log record, at its top or in a nested object.
fn find<'record>(record: &'record Value, field: &str) -> Option<&'record Value> {
    let members = record.as_object()?;
    members.get(field).or_else(|| members.values().find_map(|member| find(member, field)))
}
