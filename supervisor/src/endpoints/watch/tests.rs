//! Which changes are told, and which are none.

use super::*;

fn seen(health: Health, ejected_ms: u64) -> Vec<Seen> {
    let view = View {
        health,
        since_ms: 0,
        ejected_ms,
        ejections: 1,
        failures: 0,
        latency_us: 0,
        in_flight: 0,
        share: 0,
    };
    let address = SocketAddr::from(([10, 0, 0, 1], 80));
    vec![Seen { service: "auth".to_owned(), address, view: Some(view) }]
}

fn events(book: &mut Book, seen: &[Seen]) -> Vec<Event> {
    book.note(seen).into_iter().map(|(event, _)| event).collect()
}

#[test]
fn every_change_is_told_once() {
    let mut book = Book::default();
    let course = [
        (Health::Unknown, 0, None),
        (Health::Up, 0, None),
        (Health::Up, 5_000, Some(Event::Ejected)),
        (Health::Up, 4_000, None),
        (Health::Down, 3_000, Some(Event::WentDown)),
        (Health::Down, 0, None),
        (Health::Up, 0, Some(Event::CameUp)),
        (Health::Up, 9_000, Some(Event::Ejected)),
        (Health::Up, 0, Some(Event::Returned)),
        (Health::Down, 0, Some(Event::WentDown)),
        (Health::Up, 800, Some(Event::Ejected)),
    ];
    for (health, ejected_ms, expected) in course {
        assert_eq!(events(&mut book, &seen(health, ejected_ms)), Vec::from_iter(expected), "{health:?}");
    }
}

#[test]
fn one_that_is_gone_is_forgotten() {
    let mut book = Book::default();
    assert_eq!(events(&mut book, &seen(Health::Down, 0)), [Event::WentDown]);
    assert_eq!(events(&mut book, &[]), []);
    assert_eq!(events(&mut book, &seen(Health::Down, 0)), [Event::WentDown], "it is a new one");
}
