//! Order, bounds, and what wakes a waiter.

#![allow(clippy::disallowed_types, reason = "a waker of the standard library is made of an Arc")]

use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

const HERE: fn(RawFd) -> bool = |_| false;

fn lots(waiters: &[Rc<Waiter>]) -> Vec<Option<Lot>> {
    waiters.iter().map(|waiter| waiter.lot.get()).collect()
}

fn line(queue: &Queue, waits_ms: &[u64]) -> Vec<Rc<Waiter>> {
    let join = |(client, until_ms): (RawFd, &u64)| queue.join(client, *until_ms).expect("there is room");
    (0..).zip(waits_ms).map(join).collect()
}

#[test]
fn who_came_first_is_served_first() {
    let queue = Queue::new(9);
    let waiters = line(&queue, &[100, 100, 100]);
    assert!(queue.grant(HERE));
    assert_eq!(lots(&waiters), [Some(Lot::Place), None, None]);
    assert!(queue.grant(HERE) && queue.grant(HERE));
    assert!(!queue.grant(HERE) && queue.is_empty(), "nobody is left");
}

#[test]
fn a_full_line_takes_nobody() {
    let queue = Queue::new(2);
    let _waiters = line(&queue, &[1, 1]);
    assert!(queue.join(7, 1).is_none());
    assert!(queue.grant(HERE));
    assert!(queue.join(7, 1).is_some());
    assert!(Queue::new(0).join(7, 1).is_none());
}

#[test]
fn who_waits_too_long_is_told_so_and_the_others_stay() {
    let queue = Queue::new(9);
    let waiters = line(&queue, &[30, 10, 20]);
    queue.expire(9);
    assert_eq!(queue.len(), 3);
    queue.expire(20);
    assert_eq!(lots(&waiters), [None, Some(Lot::Late), Some(Lot::Late)]);
    assert_eq!(queue.len(), 1);
}

#[test]
fn a_client_that_left_is_passed_over() {
    let queue = Queue::new(9);
    let waiters = line(&queue, &[9, 9, 9]);
    assert!(!queue.sweep(HERE));
    assert!(queue.sweep(|client| client == 1));
    assert!(queue.grant(|client| client == 0));
    assert_eq!(lots(&waiters), [Some(Lot::Gone), Some(Lot::Gone), Some(Lot::Place)]);
    let last = line(&queue, &[9]);
    assert!(!queue.grant(|_| true));
    assert_eq!((lots(&last), queue.len()), (vec![Some(Lot::Gone)], 0));
}

#[test]
fn who_leaves_by_itself_is_in_nobodys_way() {
    let queue = Queue::new(9);
    let waiters = line(&queue, &[9, 9]);
    assert_eq!(queue.leave(&waiters[0]), None);
    assert!(queue.grant(HERE));
    assert_eq!(queue.leave(&waiters[1]), Some(Lot::Place), "its place has to be given back");
    assert_eq!(queue.len(), 0);
}

struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_waiter_is_woken_once_with_its_lot() {
    let queue = Queue::new(9);
    let waiters = line(&queue, &[9]);
    let count = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&count));
    assert_eq!(waiters[0].poll(&Context::from_waker(&waker)), Poll::Pending);
    assert!(queue.grant(HERE));
    assert_eq!(count.0.load(Ordering::SeqCst), 1);
    assert_eq!(waiters[0].poll(&Context::from_waker(&waker)), Poll::Ready(Lot::Place));
    queue.expire(100);
    assert_eq!(count.0.load(Ordering::SeqCst), 1, "what is settled stays so");
}
