//! What issue after issue demonstrates, with figures. A small size is part of every run of the tests; `make shows`
//! runs the full size, where the bars hold, and prints the figures.

mod revocation;
mod rush;
mod outages;
mod instances;
mod stall;
mod overload;
mod circuits;
mod readiness;

use std::time::Duration;

/// The variable that asks for the full size.
const FULL: &str = "FLOODGATE_SHOWS";

/// One of two sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    /// Beside other tests, on a machine that does much else: only what must hold always is asserted.
    Small,
    /// Alone: the promised figures are asserted.
    Full,
}

impl Size {
    fn of_run() -> Size {
        if std::env::var(FULL).is_ok_and(|size| size == "full") { Size::Full } else { Size::Small }
    }

    fn pick<T>(self, small: T, full: T) -> T {
        if self == Size::Full { full } else { small }
    }
}

/// Durations in order.
struct Figures(Vec<Duration>);

impl Figures {
    fn of(mut times: Vec<Duration>) -> Figures {
        times.sort_unstable();
        Figures(times)
    }

    /// The value that `percent` of them do not exceed.
    fn at(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        *self.0.get(rank - 1).expect("there are figures")
    }

    fn worst(&self) -> Duration {
        self.at(100)
    }

    fn text(&self) -> String {
        let (median, p99, worst, count) = (self.at(50), self.at(99), self.worst(), self.0.len());
        format!("median {median:.1?}, p99 {p99:.1?}, worst {worst:.1?} of {count}")
    }
}

/// For whoever reads the output of `make shows`.
fn tell(what: &str, figures: &str) {
    eprintln!("show: {what}: {figures}");
}
