//! The reactor with real processes: shells that run what a test wrote into their settings.

use super::super::names;
use super::{Hooks, Notifier, Reactor};
use crate::cluster::reads::Reads;
use crate::control::Answerer;
use crate::endpoints::Endpoints;
use crate::export::security_log::SecurityLog;
use crate::keys::Keys;
use crate::keys::remote::Wishes;
use crate::mirror::{Mirror, Withdrawals};
use crate::process::listeners::Listeners;
use crate::process::plan::{Outcome, Policy};
use crate::process::signals::Request;
use crate::process::spawn::{Fence, Spawner};
use edge_worker::config::{Sources, load};
use rustix::process::{Pid, Signal, kill_process};
use shm::SupervisorRegion;
use shm::readiness::NodePhase;
use std::cell::Cell;
use std::future::Future;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

const EXECUTABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/process/reactor/tests/worker.sh");
const PATIENCE: Duration = Duration::from_secs(30);
/// Says ready, as `frames` encodes it.
const READY: &str = r"printf '\003\000\000\000\001\002\001' >&3;";
/// Waits for a drain frame.
const AWAIT_DRAIN: &str = "head -c 14 <&3 >/dev/null;";
/// Reports that nothing was cut, or two requests.
const DRAINED: &str =
    r"printf '\022\000\000\000\001\003\005\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000' >&3;";
const CUT_TWO: &str =
    r"printf '\022\000\000\000\001\003\005\000\000\000\000\000\000\000\002\000\000\000\000\000\000\000' >&3;";

/// A supervisor whose workers run a script.
struct Node {
    policy: Policy,
    executable: &'static str,
    workers: usize,
    script: String,
    region: &'static SupervisorRegion,
    scratch: PathBuf,
    reaped: Rc<Cell<u32>>,
    restarted: Rc<Cell<u32>>,
}

impl Node {
    fn new(name: &str, script: &str) -> Self {
        let scratch = std::env::temp_dir().join(format!("floodgate-reactor-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&scratch).expect("scratch directory");
        let policy = Policy { backoff_first_ms: 1, ..Policy::new(0, 10_000) };
        let region = Box::leak(Box::new(SupervisorRegion::create().expect("region")));
        let (reaped, restarted) = (Rc::default(), Rc::default());
        Node {
            policy,
            executable: EXECUTABLE,
            workers: 1,
            script: script.to_owned(),
            region,
            scratch,
            reaped,
            restarted,
        }
    }

    /// Runs the reactor beside `operator`, who gets the signals' channel.
    async fn run<F: Future>(self, operator: impl FnOnce(Operator) -> F) -> (Outcome, F::Output) {
        let prelude = format!("S={}; echo $$ >> $S/pids;", self.scratch.display());
        let listeners =
            Listeners::bind("127.0.0.1:0".parse().expect("address"), self.workers).expect("loopback");
        let spawner = Spawner {
            executable: self.executable.into(),
            settings: memfd(&(prelude + &self.script)),
            authority: self.region.authority_fd().try_clone_to_owned().expect("dup"),
            shared: self.region.shared_fd().try_clone_to_owned().expect("dup"),
            listeners,
            cores: Vec::new(),
            fence: Fence::raise().expect("descriptors"),
        };
        let (requests, received) = mpsc::unbounded_channel();
        let (reaped, restarted) = (Rc::clone(&self.reaped), Rc::clone(&self.restarted));
        let hooks = Hooks {
            last_words: Box::new(move |_| reaped.set(reaped.get() + 1)),
            restarted: Box::new(move |_| restarted.set(restarted.get() + 1)),
            ..Hooks::none()
        };
        let answerer = Arc::new(answerer(self.region));
        let reactor =
            Reactor::new(self.policy, spawner, self.region, received, Notifier::default(), hooks, answerer);
        let operator = operator(Operator { requests, region: self.region, scratch: self.scratch.clone() });
        let ended = timeout(PATIENCE, async { tokio::join!(reactor.run(), operator) }).await;
        std::fs::remove_dir_all(&self.scratch).expect("scratch directory");
        ended.expect("the node leaves in time")
    }
}

/// Of a development node; nobody asks it anything here.
fn answerer(region: &'static SupervisorRegion) -> Answerer {
    let key = include_str!("../../../../tests/keys/current.public.pem");
    let environment = [("NODE_ENV", "development"), ("JWT_PUBLIC_KEY", key)];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let loaded = load(&Sources { environment, ..Sources::default() }).expect("a valid configuration");
    let mut settings = loaded.settings;
    names::intern(region, &mut settings.worker).expect("the names fit");
    let security = SecurityLog::new(region.shared());
    let withdrawals = Withdrawals::new(Mirror::new(region, &[7; 32], 30, security.clone()), None);
    let keys = Arc::new(Keys::new(&settings.worker.tokens, region).expect("usable keys"));
    let endpoints = Arc::new(Endpoints::new(&settings.worker, region));
    let keys = (keys, Wishes::default(), endpoints);
    Answerer::new(&settings, region, withdrawals, Reads::default(), keys, security)
        .expect("the services are configured")
}

/// Who watches the node and sends signals.
struct Operator {
    requests: mpsc::UnboundedSender<Request>,
    region: &'static SupervisorRegion,
    scratch: PathBuf,
}

impl Operator {
    async fn serving(&self) {
        let readiness = &self.region.authority().readiness;
        until(|| (readiness.phase() == NodePhase::Serving).then_some(())).await;
    }

    /// Waits until so many workers have started; their process ids in order.
    async fn started(&self, count: usize) -> Vec<Pid> {
        let pids = self.scratch.join("pids");
        until(|| {
            let text = std::fs::read_to_string(&pids).ok()?;
            let pids: Vec<Pid> = text.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)).collect();
            (pids.len() >= count && text.ends_with('\n')).then_some(pids)
        })
        .await
    }

    async fn read(&self, name: &str) -> String {
        let file = self.scratch.join(name);
        until(|| std::fs::read_to_string(&file).ok().filter(|text| text.ends_with("end\n"))).await
    }

    fn terminate(&self) {
        self.requests.send(Request::Terminate("SIGTERM")).expect("the reactor listens");
    }
}

async fn until<T>(mut probe: impl FnMut() -> Option<T>) -> T {
    loop {
        if let Some(found) = probe() {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn memfd(text: &str) -> OwnedFd {
    let file = rustix::fs::memfd_create("script", rustix::fs::MemfdFlags::CLOEXEC).expect("memfd");
    rustix::io::write(&file, text.as_bytes()).expect("write");
    file
}

#[tokio::test]
async fn the_node_serves_when_all_workers_are_ready_and_drains_on_a_signal() {
    let mut node = Node::new("drains", &format!("{READY} {AWAIT_DRAIN} {DRAINED} exit 0"));
    node.workers = 3;
    let (region, reaped, restarted) = (node.region, Rc::clone(&node.reaped), Rc::clone(&node.restarted));
    let operate = async |operator: Operator| {
        operator.serving().await;
        operator.terminate();
        operator.terminate();
        operator.started(3).await.len()
    };
    let (outcome, started) = node.run(operate).await;
    assert_eq!((outcome, started), (Outcome::Drained, 3));
    assert_eq!((reaped.get(), restarted.get()), (3, 0));
    assert_eq!(region.authority().readiness.phase(), NodePhase::Draining);
}

#[tokio::test]
async fn requests_that_a_worker_cut_are_in_the_outcome() {
    let node = Node::new("cuts", &format!("{READY} {AWAIT_DRAIN} {CUT_TWO} exit 1"));
    let operate = async |operator: Operator| {
        operator.serving().await;
        operator.terminate();
    };
    let (outcome, ()) = node.run(operate).await;
    assert_eq!(outcome, Outcome::Cut { requests: 2, unreported: 0 });
}

#[tokio::test]
async fn a_killed_worker_is_reaped_cleared_and_replaced() {
    let node = Node::new("killed", &format!("{READY} {AWAIT_DRAIN} {DRAINED} exit 0"));
    let (region, reaped, restarted) = (node.region, Rc::clone(&node.reaped), Rc::clone(&node.restarted));
    let operate = async |operator: Operator| {
        operator.serving().await;
        let block = &region.shared().workers[0];
        block.begin(1, 1);
        block.requests_in_flight_add();
        block.connections_add();
        let first = operator.started(1).await[0];
        kill_process(first, Signal::KILL).expect("our worker");
        let pids = operator.started(2).await;
        assert_ne!(pids[0], pids[1]);
        assert_eq!((block.requests_in_flight(), block.connections(), block.pid()), (0, 0, 0));
        operator.terminate();
    };
    let (outcome, ()) = node.run(operate).await;
    assert_eq!(outcome, Outcome::Drained);
    assert_eq!((reaped.get(), restarted.get()), (2, 1));
}

#[tokio::test]
async fn a_node_whose_workers_always_fail_gives_up() {
    let node = Node::new("fails", "exit 70");
    let (outcome, ()) = node.run(async |_| ()).await;
    assert_eq!(outcome, Outcome::NeverReady { slot: 0 });
}

#[tokio::test]
async fn an_executable_that_cannot_be_started_is_given_up_as_well() {
    let mut node = Node::new("absent", "");
    node.executable = "/nonexistent/floodgate";
    let (outcome, ()) = node.run(async |_| ()).await;
    assert_eq!(outcome, Outcome::NeverReady { slot: 0 });
}

#[tokio::test]
async fn a_worker_that_does_not_drain_is_killed_at_the_hard_stop() {
    let mut node = Node::new("deaf", &format!("{READY} exec sleep 600"));
    node.policy.shutdown_timeout_ms = 200;
    let operate = async |operator: Operator| {
        operator.serving().await;
        operator.terminate();
    };
    let (outcome, ()) = node.run(operate).await;
    assert_eq!(outcome, Outcome::Cut { requests: 0, unreported: 1 });
}

#[tokio::test]
async fn a_worker_without_a_heartbeat_is_killed_and_replaced() {
    let mut node = Node::new("silent", &format!("{READY} {AWAIT_DRAIN} {DRAINED} exit 0"));
    node.policy.silence_max_ms = 600;
    let restarted = Rc::clone(&node.restarted);
    let operate = async |operator: Operator| {
        operator.started(2).await;
        operator.terminate();
    };
    let (outcome, ()) = node.run(operate).await;
    assert_eq!(outcome, Outcome::Drained);
    assert_eq!(restarted.get(), 1);
}

#[tokio::test]
async fn a_worker_that_speaks_nonsense_is_killed() {
    let node = Node::new("nonsense", "printf nonsense >&3; exec sleep 600");
    let (outcome, ()) = node.run(async |_| ()).await;
    assert_eq!(outcome, Outcome::NeverReady { slot: 0 });
}

#[tokio::test]
async fn a_worker_gets_an_empty_environment_its_arguments_and_no_input() {
    let script = format!(
        "{{ env; echo \"$@\"; ls -l /proc/self/fd; echo end; }} > $S/seen; \
         {READY} {AWAIT_DRAIN} {DRAINED} exit 0"
    );
    let node = Node::new("environment", &script);
    let operate = async |operator: Operator| {
        let seen = operator.read("seen").await;
        operator.serving().await;
        operator.terminate();
        seen
    };
    let (outcome, seen) = node.run(operate).await;
    assert_eq!(outcome, Outcome::Drained);
    assert!(seen.contains("worker --slot 0 --generation 1 --listeners 1\n"), "{seen}");
    assert!(!seen.contains("CARGO") && !seen.contains("HOME="), "{seen}");
    assert!(seen.contains("0 -> /dev/null"), "{seen}");
    assert!(seen.contains("3 -> socket:") && seen.contains("7 -> socket:"), "{seen}");
    assert!(seen.contains("4 -> /memfd:script"), "{seen}");
}
