//! The supervisor's end of the workers' asks: reads questions, has them answered side by side, writes answers.
//!
//! A worker that asks too much is told so at once; one that does not read its answers is not waited for. The public
//! keys travel here, too: the newest set comes before any answer that was given after it. So do the addresses of the
//! services, before the first keys and whenever they change.

pub mod answerer;

pub use answerer::Answerer;

use edge_worker::control::asks::{self, Answer, Answered, Asked, Question, Said};
use edge_worker::control::endpoint_set::EndpointSet;
use edge_worker::control::key_set::KeySet;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Semaphore, mpsc, watch};

/// Questions of one worker that are worked on at a time.
const RUNNING_MAX: usize = 1_024;
/// Answers of one worker that wait to be written.
const ANSWERS_MAX: usize = 4_096;
const READ_BYTES: usize = 16 * 1024;

/// Serves one worker until its channel ends, in either direction.
pub async fn serve(slot: usize, channel: UnixStream, answerer: Arc<Answerer>) {
    let (incoming, outgoing) = channel.into_split();
    let (answered, answers) = mpsc::channel(ANSWERS_MAX);
    tokio::select! {
        () = write(outgoing, answers, answerer.keys(), answerer.endpoints()) => {}
        () = read(slot, incoming, answered, &answerer) => {}
    }
}

async fn read(
    slot: usize,
    mut incoming: OwnedReadHalf,
    answered: mpsc::Sender<Answered>,
    answerer: &Arc<Answerer>,
) {
    let running = Arc::new(Semaphore::new(RUNNING_MAX));
    let mut bytes = Vec::with_capacity(READ_BYTES);
    loop {
        match incoming.read_buf(&mut bytes).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => return,
        }
        loop {
            match asks::decode::<Asked>(&mut bytes) {
                Ok(Some(asked)) => take(asked, &running, &answered, answerer),
                Ok(None) => break,
                Err(fault) => {
                    tracing::error!(slot, fault = %fault, "a worker's asks cannot be read");
                    return;
                }
            }
        }
    }
}

/// Has one question answered by a task of its own.
fn take(asked: Asked, running: &Arc<Semaphore>, answered: &mpsc::Sender<Answered>, answerer: &Arc<Answerer>) {
    let Asked { id, question } = asked;
    let question = match question {
        // Nothing is looked up for it, so it waits for no look-up, however many there are.
        Question::Withdraw { withdrawal } => {
            answerer.withdraw(withdrawal);
            let _ = answered.try_send(Answered { id, answer: Answer::Withdrawn });
            return;
        }
        question => question,
    };
    let Ok(permit) = Arc::clone(running).try_acquire_owned() else {
        // A queue that is full drops even this; the worker's deadline then ends the ask.
        let _ = answered.try_send(Answered { id, answer: Answer::Overloaded });
        return;
    };
    let (answered, answerer) = (answered.clone(), Arc::clone(answerer));
    tokio::spawn(async move {
        let answer = answerer.answer(question).await;
        let _ = answered.try_send(Answered { id, answer });
        drop(permit);
    });
}

/// Writes the endpoints and the keys that hold, then answers, and each of those again when it changes.
async fn write(
    mut outgoing: OwnedWriteHalf,
    mut answers: mpsc::Receiver<Answered>,
    mut keys: watch::Receiver<Arc<KeySet>>,
    mut endpoints: watch::Receiver<Arc<EndpointSet>>,
) {
    let mut bytes = Vec::new();
    keys.mark_changed();
    endpoints.mark_changed();
    loop {
        let answer = tokio::select! {
            biased;
            Ok(()) = endpoints.changed() => {
                endpoints.mark_changed();
                None
            }
            Ok(()) = keys.changed() => {
                keys.mark_changed();
                None
            }
            answer = answers.recv() => match answer {
                Some(answer) => Some(answer),
                None => return,
            },
        };
        bytes.clear();
        if endpoints.has_changed().is_ok_and(|changed| changed) {
            let set = EndpointSet::clone(&endpoints.borrow_and_update());
            let whole = asks::encode(&Said::Endpoints(set), &mut bytes);
            debug_assert!(whole, "a set fits into a frame");
        }
        // An answer may be one to a question that brought new keys about.
        if keys.has_changed().is_ok_and(|changed| changed) {
            let set = KeySet::clone(&keys.borrow_and_update());
            let whole = asks::encode(&Said::Keys(set), &mut bytes);
            debug_assert!(whole, "a set fits into a frame");
        }
        if let Some(answer) = answer {
            // One that is too long is not sent; the worker's deadline ends the ask.
            let _ = asks::encode(&Said::Answered(answer), &mut bytes);
        }
        if outgoing.write_all(&bytes).await.is_err() {
            return;
        }
    }
}
