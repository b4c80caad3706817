//! Keeps a panic inside the connection that caused it: the worker goes on.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

/// A task whose panic is a value.
pub struct Guarded<F>(Pin<Box<F>>);

/// Wraps a future before it is spawned. What it owns is released by unwinding, like on any other end.
pub fn guarded<F: Future<Output = ()>>(future: F) -> Guarded<F> {
    Guarded(Box::pin(future))
}

impl<F: Future<Output = ()>> Future for Guarded<F> {
    type Output = Result<(), Box<dyn Any + Send>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(())) => Poll::Ready(Ok(())),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    }
}
