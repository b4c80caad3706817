//! Kills callers of services with SIGKILL, thousands of times: the permit of a dead prober always comes back,
//! no two probe at a time, no window wedges, no count grows out of bounds, no call of the dead stays in flight
//! and no ejection lasts.
//!
//! The callers are forked children that share breakers and endpoints with their parent, who also moves the
//! clock and checks the instances as a supervisor does.
//! `FLOODGATE_SEED` repeats a run as far as the scheduler allows; `FLOODGATE_KILLS` changes how often they are
//! killed.

#![cfg(not(loom))]

mod ground;
mod seeded;

use std::io::Write;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions};
use seeded::{Random, number_from};
use shm::breakers::{Admission, Breaker, Breakers, Outcome, Parameters, Permit, Position, Retry, Transition};
use shm::endpoints::{Choice, EndpointIndex, EndpointKey, Endpoints, Health, Rules};
use shm::names::NameId;
use shm::{AuthorityWriter, SupervisorRegion, WorkerSlot};

const KILLS: usize = 2_000;
const CALLERS: usize = 3;
const SERVICES: usize = 3;
/// The one that the parent gives orders about; orders take permits back, so who probes there is not checked.
const ORDERED: usize = 2;
const PARAMETERS: Parameters = Parameters { error_percent: 50, volume: 6, reset_ms: 700, probe_ms: 400 };
const INSTANCES: usize = 4;
const RULES: Rules = Rules {
    failures: 3,
    eject_ms: 300,
    eject_ms_max: 900,
    ejected_percent_max: 50,
    slow_start_ms: 200,
    decay_ms: 1_000,
};
const LATENCY_US_MAX: u64 = 10_000;
/// A caller that lives longer than planned, because its killer gets no time, stops for others' sake.
const STEPS_MAX: u64 = 20_000;
const OUT_MAX: usize = 4;

/// What parent and children share. All of it is valid when zero.
#[repr(C)]
struct Ground {
    breakers: Breakers<SERVICES>,
    endpoints: Endpoints<INSTANCES>,
    now_ms: AtomicU64,
    /// Results that were recorded or were about to be.
    recorded: [AtomicU64; SERVICES],
    steps: [AtomicU64; CALLERS],
    /// Until when a caller's probe is the only one.
    probing: [[AtomicU64; SERVICES]; CALLERS],
    probes: AtomicU64,
    opened: AtomicU64,
    closed: AtomicU64,
    reopened: AtomicU64,
    retries: AtomicU64,
    ejected: AtomicU64,
}

#[test]
fn killed_callers_keep_no_permit_wedge_no_window_and_leave_nothing_in_flight() {
    let seed = number_from("FLOODGATE_SEED").unwrap_or_else(|| u64::from(std::process::id()) << 20 | 0x5eed);
    let kills = number_from("FLOODGATE_KILLS").map_or(KILLS, small);
    let started = Instant::now();
    // SAFETY: `Ground` is made of atomics alone, valid when zero.
    let ground: &Ground = unsafe { ground::shared() };
    let region = SupervisorRegion::create().expect("memfds are available");
    for number in 0..INSTANCES {
        ground.endpoints.claim(region.writer(), key(number)).expect("there is room for all");
    }
    ground.now_ms.store(1_000_000, Ordering::SeqCst);
    let mut random = Random(seed);
    let mut callers: [Option<Caller>; CALLERS] = [const { None }; CALLERS];
    let (mut died_probing, mut left_in_flight) = (0, 0);
    for round in 0..kills {
        for (index, caller) in callers.iter_mut().enumerate() {
            caller.get_or_insert_with(|| Caller::spawn(ground, index, Random(random.next())));
        }
        let chosen = small(random.below(CALLERS as u64));
        wait_for(ground, chosen, &mut random, seed);
        let prober = (0..CALLERS).find(|index| probes(ground, *index) > 0);
        let index = prober.filter(|_| random.below(2) == 0).unwrap_or(chosen);
        if let Some(caller) = callers[index].take() {
            caller.kill();
        }
        died_probing += probes(ground, index);
        left_in_flight += bury(ground, index);
        look(ground, random.next());
        give_an_order(ground, &mut random);
        check_an_instance(ground, region.writer(), &mut random);
        ground.now_ms.fetch_add(random.below(100), Ordering::SeqCst);
        if round % 50 == 49 {
            callers.iter_mut().filter_map(Option::take).for_each(Caller::kill);
            everything_has_a_way_back(ground);
            every_instance_comes_back(ground, region.writer());
        }
    }
    callers.into_iter().flatten().for_each(Caller::kill);
    everything_has_a_way_back(ground);
    every_instance_comes_back(ground, region.writer());
    let counts = [&ground.probes, &ground.opened, &ground.closed, &ground.reopened];
    let [probes, opened, closed, reopened] = counts.map(|count| count.load(Ordering::SeqCst));
    let [retries, ejected] = [&ground.retries, &ground.ejected].map(|count| count.load(Ordering::SeqCst));
    let seconds = started.elapsed().as_secs_f64();
    let mut output = std::io::stdout();
    writeln!(
        output,
        "seed {seed}, {seconds:.1} s, {kills} kills: {probes} probes, {died_probing} died probing, opened \
         {opened}, closed {closed}, reopened {reopened}, {retries} retries, {ejected} ejections, \
         {left_in_flight} calls of the dead"
    )
    .expect("standard output is open");
    assert!(died_probing > 10, "hardly a prober was killed: the test tests nothing");
    assert!(opened > 10 && closed > 10 && reopened > 10, "the circuits hardly moved");
    assert!(ejected > 10 && left_in_flight > 10, "the endpoints hardly moved");
}

/// What holds at every moment, whoever is in the middle of what.
fn look(ground: &Ground, number: u64) {
    let now_ms = ground.now_ms.load(Ordering::SeqCst);
    let service = small(number % SERVICES as u64);
    let breaker = breaker(ground, service).view(now_ms);
    let recorded = ground.recorded[service].load(Ordering::SeqCst);
    assert!(breaker.failures <= breaker.calls && breaker.calls <= recorded, "{recorded}: {breaker:?}");
    assert!(breaker.retries <= recorded / 10 + 1, "{recorded}: {breaker:?}");
    assert!(breaker.left_ms <= PARAMETERS.reset_ms, "{breaker:?}");

    let instance = view(ground, endpoint(ground, small(number % INSTANCES as u64)));
    assert!(instance.in_flight <= (CALLERS * OUT_MAX) as u64, "{instance:?}");
    assert!(instance.failures < RULES.failures && instance.latency_us <= LATENCY_US_MAX, "{instance:?}");
    assert!(instance.ejected_ms <= RULES.eject_ms_max, "{instance:?}");
}

/// What a supervisor does for the dead. Says how many calls it had in flight.
fn bury(ground: &Ground, index: usize) -> u64 {
    let in_flight = || endpoints(ground).map(|called| ground.endpoints.in_flight(slot(index), called)).sum();
    let left: u64 = in_flight();
    assert!(left <= OUT_MAX as u64, "{left} in flight");
    ground.endpoints.clear(slot(index));
    assert_eq!(in_flight(), 0);
    left
}

fn check_an_instance(ground: &Ground, writer: &AuthorityWriter, random: &mut Random) {
    let health = match random.below(8) {
        0 => Health::Down,
        1..4 => Health::Up,
        _ => return,
    };
    let index = endpoint(ground, small(random.below(INSTANCES as u64)));
    ground.endpoints.set_health(writer, index, health, ground.now_ms.load(Ordering::SeqCst));
}

/// Nobody else is alive: nothing is in flight, every ejection ends, and failures eject again.
fn every_instance_comes_back(ground: &Ground, writer: &AuthorityWriter) {
    (0..CALLERS).for_each(|index| ground.endpoints.clear(slot(index)));
    let longest_ms = endpoints(ground).map(|index| view(ground, index).ejected_ms).max().unwrap_or(0);
    let now_ms = ground.now_ms.fetch_add(longest_ms, Ordering::SeqCst) + longest_ms;
    for index in endpoints(ground) {
        ground.endpoints.set_health(writer, index, Health::Up, now_ms);
        let view = view(ground, index);
        assert_eq!((view.in_flight, view.ejected_ms), (0, 0), "{view:?}");
        ground.endpoints.record(index, Outcome::Success, 1_000, &RULES, now_ms);
        let record = |_: &u8| ground.endpoints.record(index, Outcome::Failure, 1_000, &RULES, now_ms);
        let ejection = (1..=RULES.failures).find_map(|number| record(&number).map(|_| number));
        assert_eq!(ejection, Some(RULES.failures));
    }
    let longest_ms = endpoints(ground).map(|index| view(ground, index).ejected_ms).max().unwrap_or(0);
    ground.now_ms.fetch_add(longest_ms, Ordering::SeqCst);
}

fn endpoints(ground: &Ground) -> impl Iterator<Item = EndpointIndex> {
    (0..INSTANCES).map(|number| endpoint(ground, number))
}

fn endpoint(ground: &Ground, number: usize) -> EndpointIndex {
    ground.endpoints.find(key(number)).expect("the parent claimed all of them")
}

fn key(number: usize) -> EndpointKey {
    let port = u16::try_from(number + 1).expect("few");
    EndpointKey::of(NameId::new(1).expect("not zero"), SocketAddr::from(([127, 0, 0, 1], port)))
}

fn view(ground: &Ground, index: EndpointIndex) -> shm::endpoints::View {
    ground.endpoints.view(index, &RULES, ground.now_ms.load(Ordering::SeqCst))
}

fn slot(index: usize) -> WorkerSlot {
    WorkerSlot::new(index).expect("a small number")
}

fn give_an_order(ground: &Ground, random: &mut Random) {
    let breaker = breaker(ground, ORDERED);
    let obeyed = match random.below(12) {
        0 => breaker.force_open(),
        1 => breaker.force_closed(),
        2..5 => breaker.reset(),
        _ => return,
    };
    obeyed.expect("orders get through");
}

/// Nobody else is alive: each circuit can be closed from where it was left, counts again, and opens again.
fn everything_has_a_way_back(ground: &Ground) {
    breaker(ground, ORDERED).reset().expect("orders get through");
    for service in 0..SERVICES {
        let breaker = breaker(ground, service);
        let now_ms = || ground.now_ms.load(Ordering::SeqCst);
        let left_ms = breaker.view(now_ms()).left_ms;
        ground.now_ms.fetch_add(left_ms, Ordering::SeqCst);
        let ended = match breaker.admit(&PARAMETERS, now_ms()) {
            Admission::Pass(_) => continue,
            Admission::Probe(permit) => record(ground, service, permit, Outcome::Success),
            Admission::Refused { .. } => panic!("service {service} is refused after {left_ms} ms"),
        };
        assert_eq!(ended, Some(Transition::Closed));
        let view = breaker.view(now_ms());
        assert_eq!((view.position, view.calls, view.failures), (Position::Closed, 0, 0));
        for call in 1..=u64::from(PARAMETERS.volume) {
            let Admission::Pass(permit) = breaker.admit(&PARAMETERS, now_ms()) else {
                panic!("service {service} is closed")
            };
            let outcome = if call % 2 == 0 { Outcome::Failure } else { Outcome::Success };
            let changed = record(ground, service, permit, outcome);
            assert_eq!(changed.is_some(), call == u64::from(PARAMETERS.volume), "at call {call}");
        }
        assert_eq!(breaker.view(now_ms()).position, Position::Open);
    }
}

fn breaker(ground: &Ground, service: usize) -> &Breaker {
    let id = u16::try_from(service + 1).ok().and_then(NameId::new).expect("small and not zero");
    ground.breakers.of(id).expect("there is room for all")
}

fn record(ground: &Ground, service: usize, permit: Permit, outcome: Outcome) -> Option<Transition> {
    ground.recorded[service].fetch_add(1, Ordering::SeqCst);
    let now_ms = ground.now_ms.load(Ordering::SeqCst);
    let changed = breaker(ground, service).record(permit, outcome, &PARAMETERS, now_ms)?;
    match changed {
        Transition::Opened => ground.opened.fetch_add(1, Ordering::SeqCst),
        Transition::Closed => ground.closed.fetch_add(1, Ordering::SeqCst),
        Transition::Reopened => ground.reopened.fetch_add(1, Ordering::SeqCst),
        Transition::ForcedOpen | Transition::ForcedClosed | Transition::Reset => {
            panic!("nobody ordered that by a result")
        }
    };
    Some(changed)
}

/// How many services the caller probes.
fn probes(ground: &Ground, index: usize) -> usize {
    let now_ms = ground.now_ms.load(Ordering::SeqCst);
    ground.probing[index].iter().filter(|until| until.load(Ordering::SeqCst) > now_ms).count()
}

/// Lets time pass until the caller has worked for a while.
fn wait_for(ground: &Ground, index: usize, random: &mut Random, seed: u64) {
    let steps = random.below(60);
    let deadline = Instant::now() + Duration::from_secs(20);
    while ground.steps[index].load(Ordering::SeqCst) < steps {
        look(ground, random.next());
        ground.now_ms.fetch_add(random.below(100), Ordering::SeqCst);
        std::thread::yield_now();
        assert!(Instant::now() < deadline, "the caller {index} does nothing; seed {seed}");
    }
}

/// A caller at work.
struct Caller(Pid);

impl Caller {
    fn spawn(ground: &'static Ground, index: usize, random: Random) -> Caller {
        ground.steps[index].store(0, Ordering::SeqCst);
        // SAFETY: the child uses its copy of this process and the memory that is shared on purpose, allocates
        // (which the C library allows after a fork) and waits for no thread of its parent; it ends without
        // running anything of its parent's.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            call_until_killed(ground, index, random);
        }
        Caller(Pid::from_raw(pid).expect("fork succeeded"))
    }

    fn kill(self) {
        rustix::process::kill_process(self.0, Signal::KILL).expect("the caller is our child");
        let (_, status) = rustix::process::waitpid(Some(self.0), WaitOptions::empty())
            .expect("the caller is our child")
            .expect("it was waited for");
        let signal = status.terminating_signal();
        assert_eq!(signal, Some(Signal::KILL.as_raw()), "it failed by itself: see its message above");
    }
}

fn call_until_killed(ground: &'static Ground, index: usize, mut random: Random) -> ! {
    let failure = catch_unwind(AssertUnwindSafe(|| {
        let die_with_parent = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
        die_with_parent.expect("every kernel can");
        let (mut out, mut sent) = (Vec::new(), Vec::new());
        ground.endpoints.clear(slot(index));
        for _ in 0..STEPS_MAX {
            step(ground, index, &mut out, &mut random);
            send(ground, index, &mut sent, &mut random);
            ground.steps[index].fetch_add(1, Ordering::SeqCst);
        }
        loop {
            rustix::event::pause();
        }
    }));
    let Err(failure): Result<std::convert::Infallible, _> = failure;
    let message = failure.downcast::<String>().ok();
    let _lost = writeln!(std::io::stderr(), "the caller {index} failed: {message:?}");
    std::process::abort();
}

/// A call that is out.
struct Call {
    service: usize,
    permit: Permit,
    /// Until when it probes alone; zero if it does not.
    alone_until_ms: u64,
}

fn step(ground: &Ground, index: usize, out: &mut Vec<Call>, random: &mut Random) {
    let service = small(random.below(SERVICES as u64));
    let now_ms = ground.now_ms.load(Ordering::SeqCst);
    if random.below(16) == 0 && breaker(ground, service).retry(now_ms) == Retry::Granted {
        ground.retries.fetch_add(1, Ordering::SeqCst);
    }
    if out.len() < OUT_MAX && random.below(2) == 0 {
        let (permit, alone_until_ms) = match breaker(ground, service).admit(&PARAMETERS, now_ms) {
            Admission::Pass(permit) => (permit, 0),
            Admission::Probe(permit) => (permit, probe(ground, index, service, now_ms)),
            Admission::Refused { retry_after_ms } => {
                assert!(retry_after_ms >= 1);
                return;
            }
        };
        out.push(Call { service, permit, alone_until_ms });
    } else if !out.is_empty() {
        let chosen = small(random.below(out.len() as u64));
        // Probes take their time, so that many of them are killed, and some are late.
        if out[chosen].alone_until_ms > 0 && random.below(32) > 0 {
            return;
        }
        let call = out.swap_remove(chosen);
        let cell = &ground.probing[index][call.service];
        // Before the result, which may let the next one probe.
        let _newer = cell.compare_exchange(call.alone_until_ms, 0, Ordering::SeqCst, Ordering::SeqCst);
        let outcome = match random.below(8) {
            0..4 => Outcome::Failure,
            4..7 => Outcome::Success,
            _ => Outcome::Neutral,
        };
        record(ground, call.service, call.permit, outcome);
    }
}

/// Sends a call to an instance, or ends one: the first instance fails most calls, the others few.
fn send(ground: &Ground, index: usize, sent: &mut Vec<EndpointIndex>, random: &mut Random) {
    let now_ms = ground.now_ms.load(Ordering::SeqCst);
    if sent.len() < OUT_MAX && random.below(2) == 0 {
        let instances: Vec<EndpointIndex> = endpoints(ground).collect();
        let choice = Choice { own: Some(slot(index)), instances: &instances, except: None };
        let chosen = ground.endpoints.choose(&choice, &RULES, now_ms, random.next());
        let chosen = chosen.expect("there always is an instance");
        ground.endpoints.in_flight_add(slot(index), chosen);
        sent.push(chosen);
    } else if let Some(called) = sent.pop() {
        let fails = random.below(4) < if called == endpoint(ground, 0) { 3 } else { 1 };
        let outcome = if fails { Outcome::Failure } else { Outcome::Success };
        let latency_us = random.below(LATENCY_US_MAX);
        let ejection = ground.endpoints.record(called, outcome, latency_us, &RULES, now_ms);
        ground.ejected.fetch_add(u64::from(ejection.is_some()), Ordering::SeqCst);
        ground.endpoints.in_flight_sub(slot(index), called);
    }
}

/// Notes until when the probe is alone, and checks that it is.
fn probe(ground: &Ground, index: usize, service: usize, now_ms: u64) -> u64 {
    ground.probes.fetch_add(1, Ordering::SeqCst);
    if service == ORDERED {
        return 0;
    }
    for (other, cells) in ground.probing.iter().enumerate() {
        let until_ms = cells[service].load(Ordering::SeqCst);
        assert!(until_ms <= now_ms, "{index} probes at {now_ms}, {other} until {until_ms}");
    }
    let until_ms = now_ms + PARAMETERS.probe_ms;
    ground.probing[index][service].store(until_ms, Ordering::SeqCst);
    until_ms
}

fn small(number: u64) -> usize {
    usize::try_from(number).expect("small")
}
