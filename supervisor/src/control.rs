//! The supervisor's end of the workers' asks: reads questions, has them answered side by side, writes answers.
//!
//! A worker that asks too much is told so at once; one that does not read its answers is not waited for.

pub mod answerer;

pub use answerer::Answerer;

use edge_worker::control::asks::{self, Answer, Answered, Asked};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::{Semaphore, mpsc};

/// Questions of one worker that are worked on at a time.
const RUNNING_MAX: usize = 1_024;
/// Answers of one worker that wait to be written.
const ANSWERS_MAX: usize = 4_096;
const READ_BYTES: usize = 16 * 1024;

/// Serves one worker until its channel ends.
pub async fn serve(slot: usize, channel: UnixStream, answerer: Arc<Answerer>) {
    let (mut incoming, outgoing) = channel.into_split();
    let (answered, answers) = mpsc::channel(ANSWERS_MAX);
    tokio::spawn(write(outgoing, answers));
    let running = Arc::new(Semaphore::new(RUNNING_MAX));
    let mut bytes = Vec::with_capacity(READ_BYTES);
    loop {
        match incoming.read_buf(&mut bytes).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => return,
        }
        loop {
            match asks::decode::<Asked>(&mut bytes) {
                Ok(Some(asked)) => take(asked, &running, &answered, &answerer),
                Ok(None) => break,
                Err(fault) => {
                    tracing::error!(slot, fault = %fault, "a worker's asks cannot be read; it goes without answers");
                    return;
                }
            }
        }
    }
}

/// Has one question answered by a task of its own.
fn take(asked: Asked, running: &Arc<Semaphore>, answered: &mpsc::Sender<Answered>, answerer: &Arc<Answerer>) {
    let Asked { id, question } = asked;
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

async fn write(mut outgoing: OwnedWriteHalf, mut answers: mpsc::Receiver<Answered>) {
    let mut bytes = Vec::new();
    while let Some(answer) = answers.recv().await {
        bytes.clear();
        if asks::encode(&answer, &mut bytes) && outgoing.write_all(&bytes).await.is_err() {
            return;
        }
    }
}
