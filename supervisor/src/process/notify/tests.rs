//! What arrives at a socket that plays systemd.

use super::{Notifier, NotifyEnvironment};
use std::ffi::OsString;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

fn received(socket: &UnixDatagram) -> String {
    let mut bytes = [0_u8; 256];
    let length = socket.recv(&mut bytes).expect("a datagram");
    String::from_utf8_lossy(bytes.get(..length).expect("length")).into_owned()
}

fn notifier(notify_socket: impl Into<OsString>) -> Notifier {
    Notifier::new(&NotifyEnvironment {
        notify_socket: Some(notify_socket.into()),
        ..NotifyEnvironment::default()
    })
}

#[test]
fn messages_reach_an_abstract_socket() {
    let name = format!("floodgate-notify-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(name.as_bytes()).expect("name");
    let systemd = UnixDatagram::bind_addr(&address).expect("bind");
    let notifier = notifier(format!("@{name}"));
    notifier.ready("serving");
    notifier.status("2 workers");
    notifier.alive();
    notifier.stopping("draining");
    assert_eq!(received(&systemd), "READY=1\nSTATUS=serving");
    assert_eq!(received(&systemd), "STATUS=2 workers");
    assert_eq!(received(&systemd), "WATCHDOG=1");
    assert_eq!(received(&systemd), "STOPPING=1\nSTATUS=draining");
}

#[test]
fn messages_reach_a_socket_in_the_file_system() {
    let path = std::env::temp_dir().join(format!("floodgate-notify-{}.sock", std::process::id()));
    let _left_over = std::fs::remove_file(&path);
    let systemd = UnixDatagram::bind(&path).expect("bind");
    notifier(&path).alive();
    assert_eq!(received(&systemd), "WATCHDOG=1");
    std::fs::remove_file(&path).expect("remove");
}

#[test]
fn a_systemd_that_does_not_read_holds_up_nobody() {
    let name = format!("floodgate-deaf-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(name.as_bytes()).expect("name");
    let _systemd = UnixDatagram::bind_addr(&address).expect("bind");
    let notifier = notifier(format!("@{name}"));
    for _ in 0..10_000 {
        notifier.alive();
    }
}

#[test]
fn without_a_socket_nothing_happens() {
    Notifier::default().ready("serving");
    notifier("relative/path").ready("serving");
    notifier("/nonexistent/notify").ready("serving");
}

#[test]
fn the_watchdog_is_fed_at_half_its_time_and_only_if_it_is_ours() {
    let watchdog = |usec: &str, pid: Option<String>| {
        let environment = NotifyEnvironment {
            watchdog_usec: Some(usec.into()),
            watchdog_pid: pid.map(Into::into),
            ..NotifyEnvironment::default()
        };
        Notifier::new(&environment).watchdog()
    };
    let half = Some(Duration::from_secs(5));
    assert_eq!(watchdog("10000000", None), half);
    assert_eq!(watchdog("10000000", Some(std::process::id().to_string())), half);
    assert_eq!(watchdog("10000000", Some("1".to_owned())), None);
    assert_eq!(watchdog("0", None), None);
    assert_eq!(watchdog("soon", None), None);
}
