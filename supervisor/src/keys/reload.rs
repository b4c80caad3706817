//! SIGHUP: the files of the public keys are read again. Everything else needs a restart, and the log says what.

use super::Keys;
use edge_worker::config::lookup::Effective;
use edge_worker::config::problem::Problem;
use edge_worker::config::{Loaded, Sources, load};
use std::sync::Arc;
use tokio::sync::Notify;

/// The settings that are read again.
const AGAIN: [&str; 3] = ["JWT_PUBLIC_KEY", "JWT_PUBLIC_KEY_PREVIOUS", "JWKS_FILE"];

/// Reads again whenever `asked` says so. Several requests while one is worked on are one more.
pub async fn run(sources: Sources, running: Vec<Effective>, keys: Arc<Keys>, asked: Arc<Notify>) {
    loop {
        asked.notified().await;
        let sources = sources.clone();
        // Files may stand on something slow.
        match tokio::task::spawn_blocking(move || load(&sources)).await {
            Ok(Ok(loaded)) => take(&loaded, &running, &keys),
            Ok(Err(problems)) => refuse(&problems),
            Err(fault) => {
                tracing::error!(fault = %fault, "SIGHUP: the settings cannot be read; nothing changes")
            }
        }
    }
}

fn take(loaded: &Loaded, running: &[Effective], keys: &Keys) {
    match keys.replace_files(loaded.settings.worker.tokens.keys.clone()) {
        Ok(change) => change.log("SIGHUP"),
        Err(why) => tracing::error!(why = %why, "SIGHUP: the public keys cannot be used; nothing changes"),
    }
    let others = changed(running, &loaded.settings.effective).join(" ");
    if !others.is_empty() {
        tracing::warn!(
            settings = others,
            "SIGHUP: only public keys are read again; the rest needs a restart"
        );
    }
}

fn refuse(problems: &[Problem]) {
    for problem in problems {
        tracing::error!(problem = %problem, "SIGHUP: a setting is wrong");
    }
    tracing::error!(problems = problems.len(), "SIGHUP: the settings are refused; nothing changes");
}

/// Settings that have another value than the running one. Secrets are shown as set or not, so a new one is not seen.
fn changed(running: &[Effective], read: &[Effective]) -> Vec<String> {
    let value =
        |all: &[Effective], name: &str| all.iter().find(|one| one.name == name).map(|one| one.value.clone());
    let differs = |one: &&Effective| value(running, &one.name) != value(read, &one.name);
    let gone = running.iter().filter(|one| value(read, &one.name).is_none());
    let names = read.iter().filter(differs).chain(gone).map(|one| one.name.clone());
    names.filter(|name| !AGAIN.contains(&name.as_str())).collect()
}
