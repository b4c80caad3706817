//! The control socket over a real socket, before a real mirror.

use super::super::operator;
use super::super::sockets::tests::Directory;
use super::super::sockets::{CONTROL_SOCKET, bind_socket};
use super::*;
use crate::cluster::publisher::Publisher;
use crate::export::security_log::SecurityLog;
use crate::mirror::Mirror;
use edge_worker::identity::digests::Digests;
use edge_worker::telemetry::metrics::Metric;
use shm::SupervisorRegion;
use shm::revocations::{Cause, Presented, Verdict};
use tokio::io::AsyncReadExt;

const KEY: [u8; 32] = [7; 32];
const TENANT: &str = "22222222-bbbb-4bbb-8bbb-222222222222";

struct Node {
    region: &'static SupervisorRegion,
    security: SecurityLog,
    directory: Directory,
}

impl Node {
    /// Takes orders from `owner`; a publisher that nobody runs is a Redis that is down.
    fn start(name: &str, owner: Owner, publisher: Option<Publisher>) -> Node {
        let region: &'static SupervisorRegion =
            Box::leak(Box::new(SupervisorRegion::create().expect("memory")));
        let security = SecurityLog::new(region.shared());
        let mirror = Mirror::new(region, &KEY, 30, security.clone());
        let withdrawals = Withdrawals::new(mirror, publisher);
        let control =
            Control::new(withdrawals, security.clone(), TenantFormat::Uuid, owner, Circuits::none());
        let directory = Directory::new(name);
        let listener = bind_socket(directory.path(), CONTROL_SOCKET).expect("the directory is ours");
        drop(tokio::spawn(Arc::new(control).serve(listener)));
        Node { region, security, directory }
    }

    async fn give(&self, order: Order) -> OrderAnswer {
        let path = self.directory.path().join(CONTROL_SOCKET);
        let given = tokio::task::spawn_blocking(move || operator::give(&path, &order));
        given.await.expect("it does not panic").expect("the node answers")
    }

    async fn raw(&self, bytes: &[u8]) -> OrderAnswer {
        let path = self.directory.path().join(CONTROL_SOCKET);
        let mut stream = UnixStream::connect(path).await.expect("it listens");
        stream.write_all(bytes).await.expect("it reads");
        let mut line = Vec::new();
        stream.read_to_end(&mut line).await.expect("it answers");
        order::decode_answer(&line).expect("an answer")
    }

    fn raised(&self, event: SecurityEvent) -> u64 {
        self.security.figures().counted(Metric::SecurityEvents, event as u16, event.severity() as u16)
    }

    fn verdict(&self, jti: &str) -> Verdict {
        let digests = Digests::new(KEY);
        let (token, user, tenant) =
            (digests.token_id(jti), digests.user(TENANT, "u"), digests.tenant(TENANT));
        let issued_at_s = clock::wall_seconds();
        let presented =
            Presented { token: &token, jti: Some(&token), user: &user, tenant: &tenant, issued_at_s };
        self.region.authority().revocations.verdict(&presented, issued_at_s)
    }
}

fn revoke(whom: Revoked) -> Order {
    Order::Revoke { whom, reason: Some("a test".to_owned()) }
}

fn of_tenant() -> Order {
    revoke(Revoked::Tenant { tenant: TENANT.to_owned() })
}

fn of_token(expires_at: i64) -> Order {
    revoke(Revoked::Token { token: Named::Jti("one".to_owned()), expires_at })
}

#[tokio::test]
async fn what_is_ordered_holds_on_the_node_when_the_answer_comes() {
    let node = Node::start("control", Owner::of_process(), None);
    let before = node.verdict("one");
    let later = clock::wall_seconds() + 60;
    let alone = OrderAnswer::Revoked { spread: Spread::Alone, table_full: false };
    assert_eq!(node.give(of_token(later)).await, alone);
    assert_eq!(node.verdict("one"), Verdict::Revoked(Cause::Token));
    assert_eq!(node.verdict("two"), before, "another token of the user");
    assert_eq!(node.give(of_tenant()).await, alone);
    assert_eq!(node.verdict("two"), Verdict::Revoked(Cause::Tenant));
    assert_eq!(node.raised(SecurityEvent::OperatorRevocation), 2);
}

#[tokio::test]
async fn without_redis_it_is_queued_and_an_expired_token_needs_nothing() {
    let region = SupervisorRegion::create().expect("memory");
    let publisher = Publisher::new("here".to_owned(), 30, SecurityLog::new(region.shared()));
    let node = Node::start("queued", Owner::of_process(), Some(publisher));
    let queued = OrderAnswer::Revoked { spread: Spread::Queued { waiting: 1 }, table_full: false };
    assert_eq!(node.give(of_tenant()).await, queued);
    let expired = OrderAnswer::Revoked { spread: Spread::Expired, table_full: false };
    assert_eq!(node.give(of_token(clock::wall_seconds() - 3_600)).await, expired);
}

#[tokio::test]
async fn a_stranger_is_refused_whatever_the_order() {
    let node = Node::start("stranger", Owner { uid: 4_000_000_001, gid: 4_000_000_001 }, None);
    let refused = node.give(of_tenant()).await == OrderAnswer::NotAllowed;
    assert_eq!(refused, Owner::of_process().uid != 0, "root is nowhere a stranger");
    assert_eq!(node.raised(SecurityEvent::ControlSocketRefused), u64::from(refused));
    assert_eq!(node.raised(SecurityEvent::OperatorRevocation), u64::from(!refused));
}

#[tokio::test]
async fn a_peer_is_who_the_kernel_says() {
    let (ours, _theirs) = UnixStream::pair().expect("a pair");
    let peer = Peer::of(&ours).expect("connected");
    let owner = Owner::of_process();
    assert_eq!((peer.uid, peer.pid.cast_unsigned()), (owner.uid, std::process::id()));
    let mut groups: Vec<u32> =
        rustix::process::getgroups().expect("ours").into_iter().map(|group| group.as_raw()).collect();
    groups.push(owner.gid);
    assert_eq!(peer.groups, groups);
}

#[test]
fn root_the_own_user_and_its_group_are_obeyed_and_nobody_else() {
    let owner = Owner { uid: 990, gid: 991 };
    let peer = |uid, groups: &[u32]| Peer { uid, pid: 7, groups: groups.to_vec() };
    assert!(owner.obeys(&peer(0, &[0])));
    assert!(owner.obeys(&peer(990, &[5])));
    assert!(owner.obeys(&peer(1_000, &[1_000, 27, 991])));
    assert!(!owner.obeys(&peer(991, &[990])), "a group is no user");
    assert!(!owner.obeys(&peer(1_000, &[1_000, 27])));
    assert!(!owner.obeys(&peer(1_000, &[])));
}

#[tokio::test]
async fn nonsense_and_too_much_are_answered_and_change_nothing() {
    let node = Node::start("nonsense", Owner::of_process(), None);
    let before = node.verdict("one");
    let refused = |answer| matches!(answer, OrderAnswer::Refused { .. });
    assert!(refused(node.raw(b"GET /metrics HTTP/1.1\r\n").await));
    assert!(refused(node.raw(b"{\"version\":9,\"order\":{}}\n").await));
    assert!(refused(node.raw(&[b'x'; order::ORDER_BYTES_MAX]).await), "an endless line ends at the limit");
    let whom = Revoked::Tenant { tenant: TENANT.to_owned() };
    let reason = Some("x".repeat(order::REASON_BYTES_MAX + 1));
    assert!(refused(node.give(Order::Revoke { whom, reason }).await));
    assert!(refused(node.give(revoke(Revoked::Tenant { tenant: "acme".to_owned() })).await));
    assert_eq!(node.verdict("one"), before);
}
