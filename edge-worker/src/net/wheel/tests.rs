//! The wheel against a model: what expires, when, and for which reason.

use super::*;

fn wheel() -> Rc<Wheel<u32>> {
    Rc::new(Wheel::new(Millis(1_000)))
}

fn expired(wheel: &Wheel<u32>, now: u64) -> Vec<(u32, Reason)> {
    let mut seen = Vec::new();
    wheel.advance(Millis(now), |handle, reason| seen.push((handle, reason)));
    seen
}

#[test]
fn a_deadline_expires_once_and_not_before_its_time() {
    let wheel = wheel();
    let timer = wheel.timer(7);
    timer.arm(Reason::Head, 100);
    assert_eq!(expired(&wheel, 1_099), []);
    assert_eq!(timer.fired(), None);
    assert_eq!(expired(&wheel, 1_100), [(7, Reason::Head)]);
    assert_eq!(timer.fired(), Some(Reason::Head));
    assert_eq!(expired(&wheel, 9_000), []);
}

#[test]
fn a_later_deadline_replaces_an_earlier_one() {
    let wheel = wheel();
    let timer = wheel.timer(7);
    timer.arm(Reason::Head, 100);
    timer.arm(Reason::Idle, 5_000);
    assert_eq!(expired(&wheel, 3_000), []);
    assert_eq!(expired(&wheel, 6_000), [(7, Reason::Idle)]);
}

#[test]
fn an_earlier_deadline_replaces_a_later_one() {
    let wheel = wheel();
    let timer = wheel.timer(7);
    timer.arm(Reason::Idle, 5_000);
    timer.arm(Reason::Head, 100);
    assert_eq!(expired(&wheel, 1_100), [(7, Reason::Head)]);
    assert_eq!(expired(&wheel, 7_000), []);
}

#[test]
fn a_disarmed_or_dropped_timer_never_expires() {
    let wheel = wheel();
    let disarmed = wheel.timer(1);
    disarmed.arm(Reason::Head, 100);
    disarmed.disarm();
    let dropped = wheel.timer(2);
    dropped.arm(Reason::Head, 100);
    drop(dropped);
    assert_eq!(expired(&wheel, 2_000), []);
}

#[test]
fn a_place_that_is_used_again_does_not_inherit_a_deadline() {
    let wheel = wheel();
    let first = wheel.timer(1);
    first.arm(Reason::Head, 100);
    drop(first);
    let second = wheel.timer(2);
    second.arm(Reason::Idle, 5_000);
    assert_eq!(expired(&wheel, 1_500), []);
    assert_eq!(expired(&wheel, 6_000), [(2, Reason::Idle)]);
}

#[test]
fn a_deadline_longer_than_one_round_is_kept() {
    let wheel = wheel();
    let timer = wheel.timer(7);
    let round_ms = TICK_MS * BUCKETS as u64;
    timer.arm(Reason::Idle, 3 * round_ms);
    assert_eq!(expired(&wheel, 1_000 + round_ms), []);
    assert_eq!(expired(&wheel, 1_000 + 3 * round_ms - TICK_MS), []);
    assert_eq!(expired(&wheel, 1_000 + 3 * round_ms), [(7, Reason::Idle)]);
}

#[test]
fn a_stall_longer_than_one_round_loses_no_deadline() {
    let wheel = wheel();
    let timers: Vec<_> = (0..50).map(|handle| wheel.timer(handle)).collect();
    for (index, timer) in timers.iter().enumerate() {
        timer.arm(Reason::Body, 17 * index as u64);
    }
    assert_eq!(expired(&wheel, 10_000_000).len(), 50);
}

#[test]
fn hastening_brings_idle_connections_forward_and_leaves_the_others() {
    let wheel = wheel();
    let idle = wheel.timer(1);
    idle.arm(Reason::Idle, 75_000);
    let busy = wheel.timer(2);
    busy.arm(Reason::Answer, 30_000);
    wheel.hasten(Some(Reason::Idle), Reason::Linger, 1_000);
    assert_eq!(expired(&wheel, 2_000), [(1, Reason::Linger)]);
    wheel.hasten(None, Reason::Cut, 0);
    let mut cut = expired(&wheel, 2_000 + TICK_MS);
    cut.sort_unstable_by_key(|(handle, _)| *handle);
    assert_eq!(cut, [(1, Reason::Cut), (2, Reason::Cut)]);
}

#[test]
fn random_operations_agree_with_a_plain_list() {
    let wheel = wheel();
    let timers: Vec<_> = (0..20).map(|handle| wheel.timer(handle)).collect();
    let mut model: Vec<Option<u64>> = vec![None; 20];
    let (mut now, mut seed) = (1_000_u64, 0x9E37_79B9_7F4A_7C15_u64);
    let mut random = |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    for _ in 0..20_000 {
        let chosen = random(20) as usize;
        match random(4) {
            0 => {
                let after = random(60_000);
                timers[chosen].arm(Reason::Idle, after);
                model[chosen] = Some(now + after);
            }
            1 => {
                timers[chosen].disarm();
                model[chosen] = None;
            }
            _ => {
                now += random(200);
                let mut seen: Vec<_> = expired(&wheel, now).into_iter().map(|(handle, _)| handle).collect();
                seen.sort_unstable();
                // The wheel is up to one tick late, never early.
                for handle in &seen {
                    let due = model[*handle as usize].take().expect("only armed timers expire");
                    assert!(due <= now, "timer {handle} expired {} ms early", due - now);
                }
                for (handle, due) in model.iter().enumerate() {
                    let late = due.is_some_and(|due| due + TICK_MS < now);
                    assert!(!late, "timer {handle} is late");
                }
            }
        }
    }
}
