//! The cap over several blocks, and threads that take and give back as fast as they can.

use super::*;
use crate::SERVICES_MAX;
use crate::atomics::Zeroed;

const SERVICE: usize = 3;

#[test]
fn the_cap_holds_over_all_blocks() {
    let workers: [WorkerBlock; 3] = Zeroed::zeroed();
    assert!(workers[0].take_places(SERVICE, 4, &workers, 6));
    assert!(workers[1].take_places(SERVICE, 2, &workers, 6));
    assert!(!workers[2].take_places(SERVICE, 1, &workers, 6));
    assert_eq!(workers[2].places(SERVICE), 0, "what may not be kept is taken back");
    assert!(!workers[1].take_places(SERVICE, 3, &workers, 6));
    assert_eq!(workers[1].places(SERVICE), 2, "and what was held before stays");
    workers[0].set_places(SERVICE, 3);
    assert!(workers[2].take_places(SERVICE, 1, &workers, 6));
    assert!(workers[0].take_places(SERVICE + 1, 6, &workers, 6), "another service");
    workers[0].clear();
    assert!(workers[1].take_places(SERVICE, 5, &workers, 6), "the places of the dead are free");
}

#[test]
fn a_service_that_is_not_has_no_places() {
    let workers: [WorkerBlock; 1] = Zeroed::zeroed();
    assert!(!workers[0].take_places(SERVICES_MAX, 1, &workers, 6));
    workers[0].set_places(SERVICES_MAX, 1);
    workers[0].set_waiting(SERVICES_MAX, 1);
    assert_eq!((workers[0].places(SERVICES_MAX), workers[0].waiting(SERVICES_MAX)), (0, 0));
}

#[test]
fn what_threads_use_at_the_same_time_never_exceeds_the_cap() {
    const CAP: u64 = 3;
    let workers: [WorkerBlock; 4] = Zeroed::zeroed();
    let used = Word::zeroed();
    let most = std::thread::scope(|scope| {
        let takers: Vec<_> = workers
            .iter()
            .map(|own| {
                let (workers, used) = (&workers, &used);
                scope.spawn(move || {
                    let (mut most, mut taken) = (0, 0_u64);
                    for _ in 0..20_000 {
                        let has = own.places(SERVICE);
                        if own.take_places(SERVICE, has + 1, workers, CAP) {
                            used.add(1);
                            taken += 1;
                            most = most.max(used.observe());
                        } else if has > 0 {
                            used.add(u64::MAX);
                            own.set_places(SERVICE, has - 1);
                        }
                    }
                    (most, taken)
                })
            })
            .collect();
        takers.into_iter().map(|taker| taker.join().expect("no taker panics")).collect::<Vec<_>>()
    });
    assert!(most.iter().all(|(most, _)| *most <= CAP), "{most:?}");
    assert!(most.iter().map(|(_, taken)| taken).sum::<u64>() > 0);
}
