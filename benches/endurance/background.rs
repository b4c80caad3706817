//! The service in a thread of its own, for loads whose clients have theirs.

use super::simulated_service::Service;
use rustix::event::Timespec;
use rustix::event::epoll;

const ANSWER_BYTES: usize = 200;

/// Serves until the program ends. Gives the port.
pub fn serve() -> u16 {
    let service = Service::bind();
    let port = service.port();
    std::thread::spawn(move || {
        let answer = service.answer(ANSWER_BYTES);
        let mut buffer = vec![0; 65_536];
        let mut events = Vec::with_capacity(1024);
        loop {
            events.clear();
            epoll::wait(service.epoll(), rustix::buffer::spare_capacity(&mut events), None::<&Timespec>)
                .expect("epoll waits");
            for event in &events {
                service.turn(event.data.u64(), &answer, &mut buffer);
            }
        }
    });
    port
}
