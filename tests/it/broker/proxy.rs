//! A TCP proxy that knows Kafka's frames: it can lose the answer to the next request of one kind, or the request.
//!
//! A frame is a length (4 bytes) and a body; a request's body begins with api key (2), version (2), correlation id (4),
//! an answer's with the correlation id. After a loss the connection is cut, as a network would.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Kafka's number of the request that ends a transaction.
pub(crate) const END_TXN: i16 = 26;

/// What to do with the next request of a kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// It reaches the broker; the answer is lost.
    LoseAnswer,
    /// It never reaches the broker.
    LoseRequest,
}

#[derive(Default)]
struct Plan {
    faults: Vec<(i16, Fault)>,
    done: usize,
}

/// The proxy; threads end with their connections.
pub(crate) struct Proxy {
    port: u16,
    plan: Arc<Mutex<Plan>>,
}

impl Proxy {
    /// Listens on a free port and forwards to `to`.
    pub(crate) fn start(to: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let plan = Arc::new(Mutex::new(Plan::default()));
        let shared = Arc::clone(&plan);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // No broker yet: the client is cut and comes again.
                if let Ok(broker) = TcpStream::connect(("127.0.0.1", to)) {
                    connection(client, broker, &shared);
                }
            }
        });
        Proxy { port, plan }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Lays a fault on the next request of that kind.
    pub(crate) fn arm(&self, api_key: i16, fault: Fault) {
        self.plan.lock().expect("not poisoned").faults.push((api_key, fault));
    }

    /// Takes away the faults that did not happen yet.
    pub(crate) fn disarm(&self) {
        self.plan.lock().expect("not poisoned").faults.clear();
    }

    /// Number of faults that happened.
    pub(crate) fn done(&self) -> usize {
        self.plan.lock().expect("not poisoned").done
    }
}

fn connection(client: TcpStream, broker: TcpStream, plan: &Arc<Mutex<Plan>>) {
    client.set_nodelay(true).expect("a socket option");
    broker.set_nodelay(true).expect("a socket option");
    let lost = Arc::new(Mutex::new(BTreeSet::<[u8; 4]>::new()));
    let (client_out, broker_in) = (client.try_clone().expect("a socket"), broker.try_clone().expect("a socket"));
    let (plan, marked) = (Arc::clone(plan), Arc::clone(&lost));
    thread::spawn(move || {
        forward(client, broker, |body| {
            let kind = i16::from_be_bytes([body[0], body[1]]);
            let mut plan = plan.lock().expect("not poisoned");
            let Some(at) = plan.faults.iter().position(|(key, _)| *key == kind) else { return true };
            let (_, fault) = plan.faults.remove(at);
            plan.done += 1;
            if fault == Fault::LoseAnswer {
                marked.lock().expect("not poisoned").insert([body[4], body[5], body[6], body[7]]);
            }
            fault == Fault::LoseAnswer
        });
    });
    thread::spawn(move || {
        forward(broker_in, client_out, |body| {
            !lost.lock().expect("not poisoned").contains(&[body[0], body[1], body[2], body[3]])
        });
    });
}

/// Copies frames until one side closes or `passes` says no; then both sides are cut.
fn forward(mut from: TcpStream, mut to: TcpStream, mut passes: impl FnMut(&[u8]) -> bool) {
    let mut body = Vec::new();
    let mut length = [0_u8; 4];
    while from.read_exact(&mut length).is_ok() {
        body.resize(u32::from_be_bytes(length) as usize, 0);
        if from.read_exact(&mut body).is_err() || !passes(&body) {
            break;
        }
        if to.write_all(&length).and_then(|()| to.write_all(&body)).is_err() {
            break;
        }
    }
    // A side that is already closed answers with an error that says only that.
    drop(from.shutdown(Shutdown::Both));
    drop(to.shutdown(Shutdown::Both));
}
