//! The doors open: a node that knows nobody gets thousands of people at once, and auth-service takes its time.

use super::{Figures, Size, tell};
use crate::harness::token::TENANT;
use crate::harness::{Backend, Client, Command, Script, Step, Token};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const ROW: &str = "/api/v1/tickets";
const LOOK_UP: &str = "/auth/internal/users/";
const AUTH_SERVICE_TAKES: Duration = Duration::from_millis(50);
/// Devices of one person: as many tokens, one record.
const TOKENS_A_USER: usize = 4;
const CLIENTS: usize = 200;

fn user(number: usize) -> String {
    format!("30000000-0000-4000-8000-{number:012}")
}

fn tokens(count: usize) -> Vec<String> {
    let one = |number: usize| {
        let jti = format!("40000000-0000-4000-8000-{number:012}");
        Token::valid().user(&user(number / TOKENS_A_USER)).claim("jti", jti).build()
    };
    let numbers: Vec<usize> = (0..count).collect();
    let parts: Vec<Vec<String>> = std::thread::scope(|scope| {
        let signing: Vec<_> = numbers
            .chunks(count.div_ceil(4))
            .map(|part| scope.spawn(move || part.iter().map(|number| one(*number)).collect()))
            .collect();
        signing.into_iter().map(|part| part.join().expect("signing does not fail")).collect()
    });
    parts.concat()
}

/// Sends each at its time from one of the clients that is free, and gives the time each took; a client that is late
/// counts from when it should have sent.
fn send_paced(address: SocketAddr, tokens: &[String], window: Duration) -> Vec<Duration> {
    let (next, times) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(tokens.len())));
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut client = Client::connect(address);
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(token) = tokens.get(number) else { return };
                    let share = f64::from(u32::try_from(number).expect("few")) / tokens.len() as f64;
                    let due = began + window.mul_f64(share);
                    crate::harness::polling::pause(due.saturating_duration_since(Instant::now()));
                    client.fetch_as(token, ROW).expect_status(200);
                    times.lock().expect("no client panics with it").push(due.elapsed());
                }
            });
        }
    });
    times.into_inner().expect("no client panicked")
}

#[test]
fn a_cold_node_takes_a_rush_of_new_people_without_an_error() {
    let size = Size::of_run();
    let (count, window) = size.pick((600, Duration::from_millis(1_500)), (20_000, Duration::from_secs(10)));
    let steps = vec![Step::Pause(AUTH_SERVICE_TAKES), Step::Record { tenant: TENANT.to_owned() }];
    let auth = Backend::named("auth").on(LOOK_UP, Script::of(steps));
    let services = Backend::start();
    let command = Command::run(&services).service("auth", &auth);
    let edge = command.set("AUTH_USER_CHECK", "always").set("S2S_SERVICE_TOKEN", "a-token").start();
    let tokens = tokens(count);
    let times = send_paced(edge.address(), &tokens, window);
    let figures = Figures::of(times);
    let look_ups = auth.hits();
    tell(
        &format!("{count} new tokens in {window:?}, auth-service at {AUTH_SERVICE_TAKES:?}"),
        &format!("no error, {look_ups} look-ups, {}", figures.text()),
    );
    assert_eq!(services.hits(), count);
    let people = count / TOKENS_A_USER;
    // A question that is asked while its answer is on the way to the region is asked again: a few of thousands.
    let most = people + people.div_ceil(100);
    assert!((people..=most).contains(&look_ups), "{look_ups} look-ups for {people} people");
}
