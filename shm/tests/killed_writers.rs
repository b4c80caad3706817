//! Kills writers with SIGKILL, thousands of times, while readers look on: no identity is ever wrong, every
//! claim comes back, no record is torn and no count goes back.
//!
//! The writers are forked children. `FLOODGATE_SEED` repeats a run as far as the scheduler allows;
//! `FLOODGATE_KILLS` changes how often they are killed.

#![cfg(not(loom))]

mod seeded;

use std::collections::HashMap;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions};
use seeded::{Random, number_from};
use shm::counters::{CounterIndex, SeriesKey};
use shm::token_cache::{CachedToken, PermissionIds};
use shm::workers::Phase;
use shm::{Shared, SupervisorRegion, Text, WorkerRegion, WorkerSlot};

const WRITERS: usize = 3;
const KILLS: usize = 2_000;
/// A writer that lives longer than planned, because its killer gets no time, stops for others' sake.
const OPERATIONS_MAX: u64 = 1_000;
/// Tokens that fight for two buckets of four places, so that writers meet and evict each other all the time.
const TOKENS: u64 = 24;
const BUCKETS: u64 = 2;
const NOW: i64 = 1_795_000_000;
const OPERATIONS: SeriesKey = SeriesKey::new(1, 0, 0, 0);
const DURATIONS: SeriesKey = SeriesKey::new(2, 0, 0, 0);

#[test]
fn killed_writers_never_leave_a_wrong_identity_a_claim_or_a_torn_record() {
    let seed = number_from("FLOODGATE_SEED").unwrap_or_else(|| u64::from(std::process::id()) << 20 | 0x5eed);
    let kills = number_from("FLOODGATE_KILLS").map_or(KILLS, |kills| usize::try_from(kills).unwrap_or(KILLS));
    let started = Instant::now();
    let mut trial = Trial::new(seed);
    for index in 0..WRITERS {
        trial.spawn(index);
    }
    for _ in 0..kills {
        let index = usize::try_from(trial.random.below(WRITERS as u64)).expect("small");
        trial.kill(index);
        trial.spawn(index);
    }
    for index in 0..WRITERS {
        trial.kill(index);
    }
    trial.look(1_000);
    trial.check_totals();
    let seconds = started.elapsed().as_secs_f64();
    let mut output = std::io::stdout();
    writeln!(output, "seed {seed}, {seconds:.1} s: {:?}", trial.figures).expect("standard output is open");
    assert!(trial.figures.claims_swept > 0, "no writer was killed inside a store: the test tests nothing");
    assert!(trial.figures.hits > 1_000, "hardly anything was ever found: the test tests nothing");
}

/// What the test saw; printed at the end.
#[derive(Debug, Default)]
struct Figures {
    killed: usize,
    killed_before_serving: usize,
    claims_swept: usize,
    hits: u64,
    misses: u64,
    records: u64,
    operations: u64,
}

/// The supervisor's side.
struct Trial {
    region: SupervisorRegion,
    writers: [Option<Pid>; WRITERS],
    generation: u32,
    /// Next record that each writer, by slot and generation, has to deliver.
    delivered: HashMap<u64, u64>,
    random: Random,
    figures: Figures,
}

impl Trial {
    fn new(seed: u64) -> Trial {
        known(0);
        let region = SupervisorRegion::create().expect("memfds are available");
        Trial {
            region,
            writers: [const { None }; WRITERS],
            generation: 0,
            delivered: HashMap::new(),
            random: Random(seed),
            figures: Figures::default(),
        }
    }

    fn spawn(&mut self, index: usize) {
        self.generation += 1;
        let random = Random(self.random.next());
        // SAFETY: the child uses its copy of this process, maps the region anew, allocates (which the C
        // library allows after a fork) and waits for no thread of its parent; it ends without running
        // anything of its parent's.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            write_until_killed(&self.region, index, self.generation, random);
        }
        self.writers[index] = Some(Pid::from_raw(pid).expect("fork succeeded"));
    }

    /// Kills a writer at a random moment of its work, reaps it, and does what a supervisor does then.
    fn kill(&mut self, index: usize) {
        let operations = self.random.below(50);
        self.wait_for(index, operations);
        let writer = self.writers[index].take().expect("a writer runs in every slot");
        rustix::process::kill_process(writer, Signal::KILL).expect("the writer is our child");
        let (_, status) = rustix::process::waitpid(Some(writer), WaitOptions::empty())
            .expect("the writer is our child")
            .expect("it was waited for");
        let signal = status.terminating_signal();
        assert_eq!(signal, Some(Signal::KILL.as_raw()), "the writer failed by itself: see its message above");
        let shared = self.region.shared();
        let slot = WorkerSlot::new(index).expect("a small number");
        let block = &shared.workers[index];
        self.figures.killed += 1;
        self.figures.killed_before_serving += usize::from(block.phase() != Phase::Serving);

        let (counted, promised) = (count(&shared.counters[index]), block.heartbeat_ms());
        assert!(counted == promised || counted == promised + 1, "{counted} counted, {promised} promised");
        self.figures.claims_swept += shared.token_cache.sweep(slot);
        shared.counters[index].fold_into(&shared.cumulative);
        block.clear();
        assert_eq!(count(&shared.counters[index]), 0);
        self.figures.operations += counted;
        assert_eq!(
            count(&shared.cumulative),
            self.figures.operations,
            "the sum of what all the dead counted"
        );
        self.drain();
    }

    /// Looks at the region until the writer has worked for a while, so that it dies in the middle of its work
    /// however slow the machine is.
    fn wait_for(&mut self, index: usize, operations: u64) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.region.shared().workers[index].heartbeat_ms() < operations {
            self.look(2);
            std::thread::yield_now();
            assert!(Instant::now() < deadline, "the writer in slot {index} does nothing");
        }
        let looks = self.random.below(8);
        self.look(looks);
    }

    fn look(&mut self, looks: u64) {
        for _ in 0..looks {
            let number = self.random.below(TOKENS);
            match find(self.region.shared(), number) {
                true => self.figures.hits += 1,
                false => self.figures.misses += 1,
            }
        }
    }

    fn drain(&mut self) {
        for journal in &self.region.shared().journals[..WRITERS] {
            let delivered = &mut self.delivered;
            let drained = journal.drain(usize::MAX, |record| {
                let [writer, number, rest @ ..] = record else {
                    panic!("a record without a head: {record:?}")
                };
                let next = delivered.entry(*writer).or_default();
                assert!(number >= next, "writer {writer} delivered {number} after {next}");
                *next = number + 1;
                assert!(rest.iter().copied().eq(tail(*writer, *number)), "torn: {record:?}");
            });
            assert_eq!(journal.torn(), 0);
            self.figures.records += drained as u64;
        }
    }

    fn check_totals(&mut self) {
        self.drain();
        let shared = self.region.shared();
        assert_eq!(shared.token_cache.claimed_entries(), 0, "a claim of the dead is still there");
        let dropped: u64 = shared.journals[..WRITERS].iter().map(shm::journal::Journal::dropped).sum();
        // A writer counts an operation, then pushes its record: each death may lose the last one.
        let records = self.figures.records + dropped;
        let lost = count(&shared.cumulative) - records;
        assert!(lost <= self.figures.killed as u64, "{lost} records lost by {} deaths", self.figures.killed);
        shared.cumulative.each_histogram(|key, buckets, sum, observed| {
            assert_eq!(key, DURATIONS);
            assert_eq!(buckets.iter().sum::<u64>(), observed);
            // Every value is 3; a death between bucket and sum loses at most one of them.
            assert!(sum <= observed * 3 && sum + 3 * self.figures.killed as u64 >= observed * 3);
        });
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        for writer in self.writers.iter().flatten() {
            // Fails only if the writer is gone, which is what is wanted.
            let _gone = rustix::process::kill_process(*writer, Signal::KILL);
        }
    }
}

/// What a child does: takes the region as a worker would, and writes without end. A wrong identity ends it by
/// abort, which its parent notices.
fn write_until_killed(region: &SupervisorRegion, index: usize, generation: u32, random: Random) -> ! {
    let failure = catch_unwind(AssertUnwindSafe(|| {
        let die_with_parent = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
        die_with_parent.expect("every kernel can");
        let [authority, shared] = [region.authority_fd(), region.shared_fd()]
            .map(|fd| fd.try_clone_to_owned().expect("a descriptor can be duplicated"));
        let region = WorkerRegion::attach(authority, shared).expect("the region is intact");
        write(region.shared(), index, generation, random)
    }));
    let Err(failure): Result<std::convert::Infallible, _> = failure;
    let message = failure.downcast::<String>().ok();
    let _lost = writeln!(std::io::stderr(), "the writer in slot {index} failed: {message:?}");
    std::process::abort();
}

fn write(region: &Shared, index: usize, generation: u32, mut random: Random) -> ! {
    let own = WorkerSlot::new(index).expect("a small number");
    let (block, counters) = (&region.workers[index], &region.counters[index]);
    block.begin(std::process::id(), generation);
    block.set_phase(Phase::Serving);
    let (operations, durations): (CounterIndex, _) =
        (counters.counter(OPERATIONS), counters.histogram(DURATIONS));
    let writer = u64::from(generation) << 8 | index as u64;
    for number in 0..OPERATIONS_MAX {
        let (digest, token) = known(random.below(TOKENS));
        region.token_cache.store(own, digest, token, NOW);
        for _ in 0..4 {
            find(region, random.below(TOKENS));
        }
        counters.add(operations, 1);
        block.beat(number + 1);
        let record: Vec<u64> = [writer, number].into_iter().chain(tail(writer, number)).collect();
        region.journals[index].push(&record);
        counters.observe(durations, usize::try_from(number % 16).expect("small"), 3);
    }
    loop {
        rustix::event::pause();
    }
}

/// Whether the token is in the cache; whoever finds it, finds exactly what belongs to it.
fn find(region: &Shared, number: u64) -> bool {
    let (digest, token) = known(number);
    let found = region.token_cache.find(digest);
    assert!(found.is_none_or(|found| found == *token), "token {number} is taken for {found:?}");
    found.is_some()
}

/// Digest and identity of a token. Worked out before the first fork, so that writers spend their time in the
/// region.
fn known(number: u64) -> &'static ([u8; 32], CachedToken) {
    static ALL: LazyLock<Vec<([u8; 32], CachedToken)>> =
        LazyLock::new(|| (0..TOKENS).map(|number| (digest(number), token(number))).collect());
    &ALL[usize::try_from(number).expect("small")]
}

fn digest(number: u64) -> [u8; 32] {
    let mut random = Random(number);
    let words = [number % BUCKETS, random.next(), random.next(), random.next()];
    words.map(u64::to_le_bytes).concat().try_into().expect("four words")
}

/// The one identity that belongs to a token's number. All tokens of a bucket have texts of the same lengths,
/// so that a mixture of two looks like a token and only the protocol tells that it is none.
fn token(number: u64) -> CachedToken {
    let mut shape = Random(number % BUCKETS);
    let mut random = Random(!number);
    let mut text = |bytes_max: u64| {
        let bytes = usize::try_from(shape.below(bytes_max + 1)).expect("small");
        format!("{number:02}-{:016x}", random.next()).repeat(7)[..bytes].to_owned()
    };
    let texts = [text(128), text(64), text(64)];
    let ids: Vec<u16> =
        (0..shape.below(33)).map(|step| u16::try_from(number * 100 + step).expect("small")).collect();
    CachedToken {
        sub: Text::new(&texts[0]).expect("short"),
        tenant: Text::new(&texts[1]).expect("short"),
        jti: Text::new(&texts[2]).expect("short"),
        role: u16::try_from(number).expect("small"),
        permissions: PermissionIds::new(&ids).expect("few"),
        issued_at: NOW - 1,
        not_before: NOW,
        expires_at: NOW + 1 + i64::try_from(random.below(1_000)).expect("small"),
        validated_at: NOW - 2,
        key: random.next(),
        settings: random.next(),
    }
}

/// Up to 30 words that follow from who wrote them.
fn tail(writer: u64, number: u64) -> impl Iterator<Item = u64> {
    let mut random = Random(writer ^ number << 32);
    let length = usize::try_from(random.below(31)).expect("small");
    std::iter::repeat_with(move || random.next()).take(length)
}

fn count(block: &shm::counters::Counters) -> u64 {
    let mut total = 0;
    block.each_counter(|key, value| {
        assert_eq!(key, OPERATIONS);
        total += value;
    });
    total
}
