//! Kills supervisors with SIGKILL, thousands of times, while a reader looks on: what was acknowledged as
//! revoked is never clear, what was acknowledged as forgotten is never found, and no record is another's.
//!
//! The supervisors are forked children that share the two structures with their parent, each taking over what
//! the one before left. `FLOODGATE_SEED` repeats a run as far as the scheduler allows; `FLOODGATE_KILLS`
//! changes how often they are killed.

#![cfg(not(loom))]

mod ground;
mod seeded;

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions};
use seeded::{Random, number_from};
use shm::access::{
    Access, ApiKey, Decision, DecisionKey, Kept, Staff, StaffRecord, Tier, UserRecord, UserStatus,
    VenueAccess,
};
use shm::revocations::{
    Completeness, Cutoff, NotBefore, Recorded, Repaired, Revocations, Scope, StreamId, Verdict,
};
use shm::token_cache::PermissionIds;
use shm::{AuthorityWriter, SupervisorRegion};

const KILLS: usize = 2_000;
/// Tokens and users that fight for 32 places, so that places are taken, freed and refused all the time.
const TOKENS: usize = 36;
const USERS: usize = 36;
const VENUES: usize = 3;
/// So long that the tables are full now and then.
const EXPIRY_S_MAX: u64 = 14;
const DIGEST_KEY: u64 = 0x5eed;
/// A supervisor that lives longer than planned, because its killer gets no time, stops for others' sake.
const STEPS_MAX: u64 = 5_000;

/// What parent and children share. All of it is valid when zero.
#[repr(C)]
struct Ground {
    revocations: Revocations<2, 2>,
    access: Access<2, 2, 2, 2>,
    acknowledged: Acknowledged,
}

/// What supervisors have promised, written by them right after the call that promises it returned.
#[repr(C)]
struct Acknowledged {
    now_s: AtomicU64,
    steps: AtomicU64,
    torn: AtomicU64,
    refused: AtomicU64,
    evicted: AtomicU64,
    takeovers: AtomicU64,
    /// The last applied event: its `seq` is three times its `ms`.
    applied_ms: AtomicU64,
    /// Until when a token is revoked.
    tokens: [AtomicU64; TOKENS],
    /// A user's or tenant's epoch in the upper half, until when in the lower half.
    cutoffs: [AtomicU64; USERS],
    /// The last version of a user's records that was forgotten.
    users_forgotten: [AtomicU64; USERS],
    /// The last version of a venue's decisions that was forgotten.
    venues_forgotten: [AtomicU64; VENUES],
    /// The version that the next record gets.
    version: AtomicU64,
}

#[test]
fn killed_supervisors_never_leave_a_revocation_unknown_or_a_record_wrong() {
    let seed = number_from("FLOODGATE_SEED").unwrap_or_else(|| u64::from(std::process::id()) << 20 | 0x5eed);
    let kills = number_from("FLOODGATE_KILLS").map_or(KILLS, |kills| usize::try_from(kills).unwrap_or(KILLS));
    let started = Instant::now();
    let region = SupervisorRegion::create().expect("memfds are available");
    // SAFETY: `Ground` is made of atomics alone, valid when zero.
    let ground: &Ground = unsafe { ground::shared() };
    ground.acknowledged.now_s.store(1_000, Ordering::Release);
    let mut random = Random(seed);
    let mut figures = Figures::default();
    for _ in 0..kills {
        let supervisor = Supervisor::spawn(ground, region.writer(), Random(random.next()));
        let steps = ground.acknowledged.steps.load(Ordering::Acquire) + random.below(40);
        let deadline = Instant::now() + Duration::from_secs(20);
        while ground.acknowledged.steps.load(Ordering::Acquire) < steps {
            look(ground, &mut random, &mut figures);
            assert!(Instant::now() < deadline, "the supervisor does nothing; seed {seed}");
        }
        for _ in 0..random.below(8) {
            look(ground, &mut random, &mut figures);
        }
        supervisor.kill();
        look_at_all(ground, region.writer(), &mut figures);
    }
    let shared = &ground.acknowledged;
    let counts = [&shared.steps, &shared.torn, &shared.refused, &shared.evicted, &shared.takeovers];
    let [steps, torn, refused, evicted, takeovers] = counts.map(|count| count.load(Ordering::Acquire));
    let mut output = std::io::stdout();
    let seconds = started.elapsed().as_secs_f64();
    writeln!(
        output,
        "seed {seed}, {seconds:.1} s, {takeovers} takeovers: {steps} steps, {torn} torn, {refused} refused, \
         {evicted} evicted, {figures:?}"
    )
    .expect("standard output is open");
    assert!(torn > 0, "no supervisor was killed inside a write: the test tests nothing");
    assert!(refused > 0 && evicted > 0, "the tables were never full: the test tests too little");
    assert!(figures.revoked > 1_000 && figures.clear > 1_000 && figures.records > 1_000, "{figures:?}");
}

/// What the reader was told.
#[derive(Debug, Default)]
struct Figures {
    clear: u64,
    revoked: u64,
    unsure: u64,
    records: u64,
    misses: u64,
}

/// A supervisor at work.
struct Supervisor(Pid);

impl Supervisor {
    fn spawn(ground: &'static Ground, writer: &AuthorityWriter, random: Random) -> Supervisor {
        // SAFETY: the child uses its copy of this process and the memory that is shared on purpose, allocates
        // (which the C library allows after a fork) and waits for no thread of its parent, who takes no turn
        // with the writer while it forks; it ends without running anything of its parent's.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            supervise_until_killed(ground, writer, random);
        }
        Supervisor(Pid::from_raw(pid).expect("fork succeeded"))
    }

    fn kill(self) {
        rustix::process::kill_process(self.0, Signal::KILL).expect("the supervisor is our child");
        let (_, status) = rustix::process::waitpid(Some(self.0), WaitOptions::empty())
            .expect("the supervisor is our child")
            .expect("it was waited for");
        let signal = status.terminating_signal();
        assert_eq!(signal, Some(Signal::KILL.as_raw()), "it failed by itself: see its message above");
    }
}

fn supervise_until_killed(ground: &'static Ground, writer: &AuthorityWriter, mut random: Random) -> ! {
    let failure = catch_unwind(AssertUnwindSafe(|| {
        let die_with_parent = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
        die_with_parent.expect("every kernel can");
        take_over(ground, writer);
        for _ in 0..STEPS_MAX {
            step(ground, writer, &mut random);
            ground.acknowledged.steps.fetch_add(1, Ordering::AcqRel);
        }
        loop {
            rustix::event::pause();
        }
    }));
    let Err(failure): Result<std::convert::Infallible, _> = failure;
    let message = failure.downcast::<String>().ok();
    let _lost = writeln!(std::io::stderr(), "the supervisor failed: {message:?}");
    std::process::abort();
}

fn take_over(ground: &Ground, writer: &AuthorityWriter) {
    let shared = &ground.acknowledged;
    let found = ground.revocations.repair(writer, DIGEST_KEY);
    let torn_records = ground.access.repair(writer) as u64;
    let first = shared.takeovers.fetch_add(1, Ordering::AcqRel) == 0;
    match found {
        Repaired::Emptied => assert!(first, "the mirror is emptied only once"),
        Repaired::Kept { torn } => {
            assert!(torn <= 1, "a supervisor dies in one write at most");
            let complete = ground.revocations.completeness() == Completeness::Complete;
            assert!(torn == 0 || !complete, "a repaired mirror is stale");
            shared.torn.fetch_add(torn as u64 + torn_records, Ordering::AcqRel);
        }
    }
    assert_eq!(ground.revocations.repair(writer, DIGEST_KEY), Repaired::Kept { torn: 0 });
}

fn step(ground: &Ground, writer: &AuthorityWriter, random: &mut Random) {
    let shared = &ground.acknowledged;
    let now_s = shared.now_s.load(Ordering::Acquire);
    match random.below(16) {
        0 => shared.now_s.store(now_s + 1, Ordering::Release),
        1 => drop(ground.revocations.sweep(writer, signed(now_s))),
        2 => sync(ground, writer, now_s),
        3 => apply(ground, writer),
        4..8 => revoke(ground, writer, random, now_s),
        8..11 => raise(ground, writer, random, now_s),
        11 | 12 => forget(ground, writer, random),
        _ => store(ground, writer, random, now_s),
    }
}

fn revoke(ground: &Ground, writer: &AuthorityWriter, random: &mut Random, now_s: u64) {
    let shared = &ground.acknowledged;
    let number = small(random.below(TOKENS as u64));
    let expires_at_s = now_s + 1 + random.below(EXPIRY_S_MAX);
    match ground.revocations.revoke_token(writer, &digest(number), signed(expires_at_s), signed(now_s)) {
        Recorded::Full => drop(shared.refused.fetch_add(1, Ordering::AcqRel)),
        Recorded::Expired => panic!("it was to expire later"),
        Recorded::Inserted | Recorded::Extended | Recorded::AlreadyThere => {
            shared.tokens[number].fetch_max(expires_at_s, Ordering::AcqRel);
        }
    }
}

fn raise(ground: &Ground, writer: &AuthorityWriter, random: &mut Random, now_s: u64) {
    let shared = &ground.acknowledged;
    let number = small(random.below(USERS as u64));
    let (epoch_s, expires_at_s) = (now_s - random.below(9), now_s + 1 + random.below(EXPIRY_S_MAX));
    let except = digest(1_000 + small(epoch_s));
    let cutoff = Cutoff::new(signed(epoch_s), Some(&except).filter(|_| epoch_s.is_multiple_of(2)));
    let key = (scope(number), &digest(number));
    match ground.revocations.raise_not_before(writer, key, cutoff, signed(expires_at_s), signed(now_s)) {
        Recorded::Full => drop(shared.refused.fetch_add(1, Ordering::AcqRel)),
        Recorded::Expired => panic!("it was to expire later"),
        Recorded::Inserted | Recorded::Extended | Recorded::AlreadyThere => {
            shared.cutoffs[number].store(epoch_s << 32 | expires_at_s, Ordering::Release);
        }
    }
}

/// A snapshot: everything that was acknowledged is what the durable keys would say.
fn sync(ground: &Ground, writer: &AuthorityWriter, now_s: u64) {
    ground.revocations.begin_sync(writer);
    for (number, until) in ground.acknowledged.tokens.iter().enumerate() {
        let until = signed(until.load(Ordering::Acquire));
        let recorded = ground.revocations.revoke_token(writer, &digest(number), until, signed(now_s));
        assert!(matches!(recorded, Recorded::AlreadyThere | Recorded::Expired), "{number}: {recorded:?}");
    }
    ground.revocations.end_sync(writer, now_s);
}

fn apply(ground: &Ground, writer: &AuthorityWriter) {
    let shared = &ground.acknowledged;
    let last = ground.revocations.last_applied(writer);
    let ms = last.map_or(1, |last| {
        assert_eq!(last.seq, last.ms * 3, "two halves of different events");
        last.ms + 1
    });
    assert!(ms > shared.applied_ms.load(Ordering::Acquire), "the position went back");
    ground.revocations.set_last_applied(writer, StreamId { ms, seq: ms * 3 });
    shared.applied_ms.store(ms, Ordering::Release);
}

fn store(ground: &Ground, writer: &AuthorityWriter, random: &mut Random, now_s: u64) {
    let shared = &ground.acknowledged;
    let number = small(random.below(USERS as u64));
    let (user, version) = (digest(number), shared.version.fetch_add(1, Ordering::AcqRel) + 1);
    let venue = venue_of(number);
    let asked = ground.access.moment(writer);
    let now_s = signed(now_s);
    let kept = [
        ground.access.store_user(writer, &user, &user_record(number, version), asked, now_s),
        ground.access.store_decision(
            writer,
            DecisionKey { decision: &user, user: &user, venue: &digest(2_000 + venue) },
            &decision(number, version),
            asked,
            now_s,
        ),
        ground.access.store_staff(
            writer,
            (&user, Some(&digest(2_000 + venue))),
            &staff_record(number, version),
            asked,
            now_s,
        ),
        ground.access.store_api_key(writer, &user, &api_key(number, version), asked, now_s),
    ];
    assert!(!kept.contains(&Kept::Outdated), "nobody else forgets");
    let evicted = kept.iter().filter(|kept| **kept == Kept::Evicted).count() as u64;
    shared.evicted.fetch_add(evicted, Ordering::AcqRel);
}

fn forget(ground: &Ground, writer: &AuthorityWriter, random: &mut Random) {
    let shared = &ground.acknowledged;
    let version = shared.version.load(Ordering::Acquire);
    if random.below(4) == 0 {
        let venue = small(random.below(VENUES as u64));
        ground.access.forget_venue(writer, &digest(2_000 + venue));
        shared.venues_forgotten[venue].store(version, Ordering::Release);
    } else {
        let number = small(random.below(USERS as u64));
        ground.access.forget_user(writer, &digest(number));
        shared.users_forgotten[number].store(version, Ordering::Release);
    }
}

/// One random look of a reader, beside a supervisor that may be anywhere.
fn look(ground: &Ground, random: &mut Random, figures: &mut Figures) {
    look_at_token(ground, small(random.below(TOKENS as u64)), figures);
    look_at_cutoff(ground, small(random.below(USERS as u64)), figures);
    look_at_records(ground, small(random.below(USERS as u64)), figures);
}

/// Everything, after a death and before anybody has repaired anything.
fn look_at_all(ground: &Ground, writer: &AuthorityWriter, figures: &mut Figures) {
    for number in 0..TOKENS {
        look_at_token(ground, number, figures);
    }
    for number in 0..USERS {
        look_at_cutoff(ground, number, figures);
        look_at_records(ground, number, figures);
    }
    let last = ground.revocations.last_applied(writer).unwrap_or(StreamId { ms: 0, seq: 0 });
    assert_eq!(last.seq, last.ms * 3, "two halves of different events");
    let promised = ground.acknowledged.applied_ms.load(Ordering::Acquire);
    assert!(last.ms == promised || last.ms == promised + 1, "{} applied, {promised} promised", last.ms);
}

fn look_at_token(ground: &Ground, number: usize, figures: &mut Figures) {
    let shared = &ground.acknowledged;
    let promised = shared.tokens[number].load(Ordering::Acquire);
    let now_s = shared.now_s.load(Ordering::Acquire);
    let verdict = ground.revocations.token(&digest(number), signed(now_s));
    // The supervisor's clock may have gone on, and the place may have been given to another since.
    let expired = promised <= shared.now_s.load(Ordering::Acquire);
    match verdict {
        Verdict::Clear => {
            assert!(expired, "token {number} is revoked until {promised}, and at {now_s} it is clear");
            figures.clear += 1;
        }
        Verdict::Revoked(_) => figures.revoked += 1,
        Verdict::Unsure => figures.unsure += 1,
    }
}

fn look_at_cutoff(ground: &Ground, number: usize, figures: &mut Figures) {
    let shared = &ground.acknowledged;
    let promised = shared.cutoffs[number].load(Ordering::Acquire);
    let (epoch_s, until_s) = (promised >> 32, promised & 0xffff_ffff);
    let now_s = shared.now_s.load(Ordering::Acquire);
    let answer = ground.revocations.not_before(scope(number), &digest(number), signed(now_s));
    let expired = until_s <= shared.now_s.load(Ordering::Acquire);
    match answer {
        NotBefore::Unlimited => {
            assert!(expired, "cut-off {number} counts until {until_s}, and at {now_s} there is none");
            figures.clear += 1;
        }
        NotBefore::Since(cutoff) => {
            let epoch = cutoff.epoch_s();
            assert!(expired || epoch >= signed(epoch_s), "cut-off {number} went back to {epoch}");
            // Only even epochs except anybody, and each its own token: a mixture of two shows.
            for other in (epoch - 12).max(0)..epoch + 12 {
                let except = digest(1_000 + usize::try_from(other).expect("small"));
                let excepted = !cutoff.revokes(epoch, Some(&except));
                assert!(!excepted || (other == epoch && epoch % 2 == 0), "{number}: {cutoff:?}");
            }
            figures.revoked += 1;
        }
        NotBefore::Unsure => figures.unsure += 1,
    }
}

fn look_at_records(ground: &Ground, number: usize, figures: &mut Figures) {
    let shared = &ground.acknowledged;
    let user_forgotten = shared.users_forgotten[number].load(Ordering::Acquire);
    let venue_forgotten = shared.venues_forgotten[venue_of(number)].load(Ordering::Acquire);
    let at_venue = user_forgotten.max(venue_forgotten);
    let mut found = 0;
    if let Some(record) = ground.access.user(&digest(number), 0) {
        let version = u64::try_from(record.fetched_at_s).expect("positive");
        assert_eq!(record, user_record(number, version), "a record of user {number} that nobody stored");
        assert!(version > user_forgotten, "user {number} was forgotten at {user_forgotten}: {record:?}");
        found += 1;
    }
    if let Some(record) = ground.access.decision(&digest(number), 0) {
        let version = record.venue_generation;
        assert_eq!(record, decision(number, version), "a decision for user {number} that nobody stored");
        assert!(version > at_venue, "the decision for user {number} was forgotten at {at_venue}: {record:?}");
        found += 1;
    }
    if let Some(record) = ground.access.staff(&digest(number), 0) {
        let version = u64::try_from(record.expires_at_s).expect("positive") - 1 - number as u64;
        assert_eq!(record, staff_record(number, version), "a staff record that nobody stored");
        assert!(version > at_venue, "staff record {number} was forgotten at {at_venue}: {record:?}");
        found += 1;
    }
    if let Some(record) = ground.access.api_key(&digest(number), 0) {
        let version = u64::try_from(record.expires_at_s).expect("positive") - 1 - number as u64;
        assert_eq!(record, api_key(number, version), "a record of an API key that nobody stored");
        assert!(version > venue_forgotten, "API key {number} was forgotten at {venue_forgotten}: {record:?}");
        found += 1;
    }
    figures.records += found;
    figures.misses += 4 - found;
}

fn user_record(number: usize, version: u64) -> UserRecord {
    let statuses = [UserStatus::Active, UserStatus::Inactive, UserStatus::NotFound];
    UserRecord {
        status: statuses[small(version) % 3],
        role: u16::try_from(number).expect("small"),
        fetched_at_s: signed(version),
        expires_at_s: signed(version) * 2 + signed(number as u64),
    }
}

/// All have permissions of the same number, so that a mixture of two looks like a decision and only the
/// protocol tells that it is none.
fn decision(number: usize, version: u64) -> Decision {
    let mut random = Random(version ^ (number as u64) << 40);
    let ids: Vec<u16> = (0..8).map(|_| u16::try_from(random.below(4_096)).expect("small")).collect();
    Decision {
        access: if random.below(2) == 0 { VenueAccess::Allowed } else { VenueAccess::Denied },
        role: u16::try_from(number).expect("small"),
        permissions: PermissionIds::new(&ids).expect("few"),
        venue_generation: version,
        expires_at_s: signed(1 + random.below(1_000_000)),
    }
}

fn staff_record(number: usize, version: u64) -> StaffRecord {
    StaffRecord { staff: Staff::OfAVenue, expires_at_s: signed(version + 1 + number as u64) }
}

fn api_key(number: usize, version: u64) -> ApiKey {
    let tiers = [Tier::Free, Tier::Standard, Tier::Premium];
    ApiKey {
        venue: digest(2_000 + venue_of(number)),
        tier: tiers[small(version) % 3],
        rate_limit: u32::try_from(version * 7).ok(),
        expires_at_s: signed(version + 1 + number as u64),
    }
}

fn scope(number: usize) -> Scope {
    if number.is_multiple_of(2) { Scope::User } else { Scope::Tenant }
}

fn venue_of(number: usize) -> usize {
    number % VENUES
}

fn digest(number: usize) -> [u8; 32] {
    let mut random = Random(number as u64);
    let words = [random.next(), random.next(), random.next(), random.next()];
    words.map(u64::to_le_bytes).concat().try_into().expect("four words")
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).expect("small")
}

fn small(number: u64) -> usize {
    usize::try_from(number).expect("small")
}
