//! Five times what the services can do is asked for, by everybody at once: who is served, and how fast?

use super::{Figures, Size, tell};
use crate::harness::{Backend, Client, Command, Desks, Edge, Script, Token, polling};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Name, method, path, and how many of ten requests.
const CLASSES: [(&str, &str, &str, usize); 4] = [
    ("anonymous", "GET", "/api/v1/integrations/oauth/callback/square", 3),
    ("browsing", "GET", "/api/v1/events", 4),
    ("admitted", "GET", "/api/v1/tickets", 2),
    ("checkout", "POST", "/api/v1/tickets/purchase", 1),
];
const CHECKOUT: usize = 3;
const SERVED_IN: Duration = Duration::from_millis(10);
const OVERLOAD: f64 = 5.0;
/// The checkout's p99 under overload, in those at saturation. The node sheds from twice the services' desks in flight
/// on, so that a request waits behind up to four desks' worth of others where at saturation it waits behind two.
const P99_FACTOR_MAX: f64 = 3.0;

/// One answer.
struct Seen {
    class: usize,
    /// How long it took; `None` where it was no 200.
    took: Option<Duration>,
    /// How much later it was asked for than it should have been: for want of a core, or of a free connection.
    late: Duration,
}

#[test]
fn five_times_too_much_leaves_the_checkout_as_it_was() {
    let size = Size::of_run();
    let (desks, clients) = (size.pick(4, 16), size.pick(64, 300));
    let (saturation, overload) = size.pick((1, 3), (5, 20));
    let backend = Backend::start();
    let served = Desks::new(desks, SERVED_IN);
    for prefix in ["/api/v1/integrations", "/api/v1/events", "/api/v1/tickets"] {
        backend.script(prefix, Script::served(&served));
    }
    let edge = Command::run(&backend)
        .set("FLOODGATE_SHED_IN_FLIGHT", &(2 * desks).to_string())
        .unset("FLOODGATE_SHED_LAG_MS")
        // What comes in one tick before the first is shed must fit in.
        .set("FLOODGATE_IN_FLIGHT_MAX", "4096")
        .start();
    let (rate, calm) = saturate(&edge, 2 * desks, Duration::from_secs(saturation));
    tell("overload, at saturation", &format!("{rate:.0} requests a second, {}", calm.text()));
    let window = Duration::from_secs(overload);
    let seen = send_paced(&edge, clients, rate * OVERLOAD, window);
    let offered = seen.len() as f64 / window.as_secs_f64();
    let shares = table(&seen, offered, window);
    tell("overload, asked late", &Figures::of(seen.iter().map(|one| one.late).collect()).text());
    let served = seen.iter().filter(|one| one.took.is_some()).count() as f64 / window.as_secs_f64();
    tell("overload, served", &format!("{served:.0} a second, {:.0} % of saturation", 100.0 * served / rate));
    for class in ["anonymous", "browsing", "admitted", "checkout"] {
        let shed = edge.metrics().count("gateway_shed_requests_total", &[("class", class)]);
        tell("overload, shed", &format!("{class} {shed}"));
    }
    assert!(shares[0] < 0.5, "the first class is shed: {shares:?}");
    // Two classes of which all is shed have what was served before the first tick, which is no matter of class.
    let is_in_order = shares.windows(2).all(|pair| pair[0] <= pair[1] + 0.02);
    assert!(is_in_order, "the less important, the more is shed: {shares:?}");
    assert!(shares[CHECKOUT] >= 0.99, "{shares:?}");
    if size == Size::Full {
        let p99 = Figures::of(times(&seen, CHECKOUT)).at(99);
        let factor = p99.as_secs_f64() / calm.at(99).as_secs_f64();
        tell("overload, p99 of the checkout", &format!("{p99:.1?}, x{factor:.2} of that at saturation"));
        assert!(factor <= P99_FACTOR_MAX, "x{factor:.2}");
        assert!(
            offered >= 0.9 * rate * OVERLOAD,
            "the load was offered: {offered:.0} of {:.0}",
            rate * OVERLOAD
        );
    }
}

fn table(seen: &[Seen], offered: f64, window: Duration) -> [f64; 4] {
    let mut shares = [0.0; 4];
    tell("overload", &format!("{offered:.0} requests a second for {window:?}"));
    for (class, (name, ..)) in CLASSES.iter().enumerate() {
        let asked = seen.iter().filter(|one| one.class == class).count();
        let took = times(seen, class);
        shares[class] = took.len() as f64 / asked.max(1) as f64;
        let figures = if took.is_empty() { "none served".to_owned() } else { Figures::of(took).text() };
        tell("overload", &format!("{name:<9} {:6.2} % of {asked} served, {figures}", 100.0 * shares[class]));
    }
    shares
}

fn times(seen: &[Seen], class: usize) -> Vec<Duration> {
    seen.iter().filter(|one| one.class == class).filter_map(|one| one.took).collect()
}

/// As much as comes through, by clients that ask again as soon as they have an answer: requests a second, and their
/// times.
fn saturate(edge: &Edge, clients: usize, window: Duration) -> (f64, Figures) {
    let token = Token::valid().build();
    let times = Mutex::new(Vec::new());
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                let mut client = edge.client();
                while began.elapsed() < window {
                    let asked = Instant::now();
                    // At the mark itself nothing is shed.
                    assert_eq!(ask(&mut client, CHECKOUT, &token).ok(), Some(200));
                    times.lock().expect("no client panics with it").push(asked.elapsed());
                }
            });
        }
    });
    let times = times.into_inner().expect("no client panicked");
    (times.len() as f64 / began.elapsed().as_secs_f64(), Figures::of(times))
}

/// Sends at a constant pace whatever comes back, by so many connections at most.
fn send_paced(edge: &Edge, clients: usize, pace: f64, window: Duration) -> Vec<Seen> {
    let token = Token::valid().build();
    let (next, seen) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                let (mut client, mut own) = (edge.client(), Vec::new());
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let due = began + Duration::from_secs_f64(number as f64 / pace);
                    if due >= began + window {
                        break;
                    }
                    polling::pause(due.saturating_duration_since(Instant::now()));
                    let (class, asked) = (class_of(number), Instant::now());
                    let status = ask(&mut client, class, &token);
                    let took = (status.as_ref().ok() == Some(&200)).then(|| asked.elapsed());
                    own.push(Seen { class, took, late: asked.saturating_duration_since(due) });
                    if status.is_err() {
                        client = edge.client();
                    }
                }
                seen.lock().expect("no client panics with it").append(&mut own);
            });
        }
    });
    seen.into_inner().expect("no client panicked")
}

/// Mixed, in the shares of the table.
fn class_of(number: usize) -> usize {
    let mut turn = number * 7 % 10;
    CLASSES
        .iter()
        .position(|class| {
            let is_its = turn < class.3;
            turn = turn.saturating_sub(class.3);
            is_its
        })
        .expect("the shares are ten in all")
}

fn ask(client: &mut Client, class: usize, token: &str) -> std::io::Result<u16> {
    let (_, method, path, _) = CLASSES[class];
    let request = client.request(method, path);
    let request = if class == 0 { request } else { request.bearer(token) };
    let request = if method == "POST" { request.body("{}") } else { request };
    request.try_send().map(|answer| answer.status)
}
