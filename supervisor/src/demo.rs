//! `floodgate demo`: a platform to try the edge against, the real edge in front of it, and what to try.
//!
//! The services are simulated in this process on ports that the kernel chose. The edge is this binary's
//! `run` in a process of its own, with the environment that an installation would have.

pub mod people;
pub mod tokens;
pub mod catalogue;
pub mod auth_service;
pub mod venue_service;
pub mod platform;
pub mod guide;

use rustix::process::{Pid, Signal, kill_process};
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use platform::Platform;

/// Options of `floodgate demo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::Args)]
pub struct Arguments {
    /// Port of the edge.
    #[arg(long, default_value_t = 3000, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,
    /// Start the simulated services alone and print the environment for an edge of your own.
    #[arg(long)]
    pub platform_only: bool,
}

/// Runs the demo until Ctrl-C or SIGTERM, and ends with the exit code of the edge.
#[must_use]
pub fn run(arguments: &Arguments) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.and_then(|runtime| tokio::task::LocalSet::new().block_on(&runtime, play(*arguments))) {
        Ok(code) => code,
        Err(fault) => {
            let _closed_output = writeln!(io::stderr(), "floodgate demo: {fault}");
            ExitCode::from(SYSTEM_REFUSED)
        }
    }
}

async fn play(arguments: Arguments) -> io::Result<ExitCode> {
    let platform = Platform::start().await?;
    let directory = RuntimeDirectory::create()?;
    let environment = environment(&platform, arguments.port, &directory.0);
    if arguments.platform_only {
        print(&guide::environment(&environment))?;
        let _asked_to_end = next_signal().await?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut edge = Command::new("/proc/self/exe")
        .arg("run")
        .envs(environment.iter().map(|(name, value)| (name, value)))
        // A group of its own: the terminal's Ctrl-C reaches only us, and the edge gets exactly one signal.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let code = accompany(&mut edge, arguments.port).await?;
    Ok(exit_code(code))
}

/// Prints the guide when the edge serves, forwards signals, and waits for the edge's end.
async fn accompany(edge: &mut Child, port: u16) -> io::Result<ExitStatus> {
    let ready = serves(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    tokio::select! {
        status = edge.wait() => return status,
        asked = next_signal() => return end(edge, asked?).await,
        () = ready => print(&guide::text(port))?,
    }
    tokio::select! {
        status = edge.wait() => status,
        asked = next_signal() => end(edge, asked?).await,
    }
}

async fn end(edge: &mut Child, asked: Signal) -> io::Result<ExitStatus> {
    let pid = edge.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid {
        print("\nDraining: requests in flight are finished, then the edge ends.\n")?;
        kill_process(pid, asked)?;
    }
    edge.wait().await
}

/// SIGINT or SIGTERM, whichever comes first.
async fn next_signal() -> io::Result<Signal> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => Ok(Signal::INT),
        _ = terminate.recv() => Ok(Signal::TERM),
    }
}

/// Returns when the edge says that its start is over. Ends with the process if it never does.
async fn serves(address: SocketAddr) {
    while !has_started(address).await.unwrap_or(false) {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn has_started(address: SocketAddr) -> io::Result<bool> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET /health/startup HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
    let mut start = [0; 12];
    tokio::time::timeout(ANSWER_WITHIN, stream.read_exact(&mut start)).await??;
    Ok(&start == b"HTTP/1.1 200")
}

/// What an installation would have in its environment file.
fn environment(platform: &Platform, port: u16, directory: &Path) -> Vec<(String, String)> {
    let mut variables = vec![
        ("NODE_ENV".to_owned(), "development".to_owned()),
        ("HOST".to_owned(), "127.0.0.1".to_owned()),
        ("PORT".to_owned(), port.to_string()),
        ("FLOODGATE_ADMIN_LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
        ("FLOODGATE_RUNTIME_DIR".to_owned(), directory.display().to_string()),
        ("LOG_FORMAT".to_owned(), "pretty".to_owned()),
        ("AUTH_USER_CHECK".to_owned(), "always".to_owned()),
        ("S2S_SERVICE_TOKEN".to_owned(), platform.service_token().to_owned()),
        ("READY_DEPENDENCIES".to_owned(), "auth,venue".to_owned()),
        ("JWT_PUBLIC_KEY".to_owned(), platform.public_key_pem().to_owned()),
    ];
    variables.extend(platform.urls());
    variables
}

fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::from(SYSTEM_REFUSED), ExitCode::from)
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Where the edge makes its sockets; gone when the demo ends.
struct RuntimeDirectory(PathBuf);

impl RuntimeDirectory {
    /// Fails if somebody was there first: a directory of a stranger is no place for our sockets.
    fn create() -> io::Result<RuntimeDirectory> {
        use std::os::unix::fs::DirBuilderExt;
        let path = std::env::temp_dir().join(format!("floodgate-demo-{}", std::process::id()));
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(RuntimeDirectory(path))
    }
}

impl Drop for RuntimeDirectory {
    fn drop(&mut self) {
        // Nothing depends on it any more; what cannot be removed is left to the system's cleaner.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// `EX_OSERR` of sysexits.h, as everywhere in this binary.
const SYSTEM_REFUSED: u8 = 71;
const LOOK_EVERY: Duration = Duration::from_millis(50);
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
