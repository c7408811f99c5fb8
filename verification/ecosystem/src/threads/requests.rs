//! `reqwest`'s blocking client, whose runtime is on a thread of its own; the server is that of
//! `examples/http`.

use super::{FEW, each, many_alive, pause};
use crate::connection::Connection;
use crate::request::Request;
use crate::response::Response;
use crate::serve::Shutdown;
use reqwest::blocking::Client;
use selvedge::net::{TcpListener, TcpStream};
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

fn route(request: &Request<'_>) -> Response {
    Response::of("text/plain", request.target.as_bytes().to_vec())
}

/// A server, in a runtime of its own, that stays until the process ends.
fn server() -> SocketAddr {
    static ADDRESS: OnceLock<SocketAddr> = OnceLock::new();
    *ADDRESS.get_or_init(|| {
        let runtime = Box::leak(Box::new(super::runtime(20_000)));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let address = listener.local_addr().expect("an address");
        drop(runtime.go(move || {
            while let Ok((stream, _)) = listener.accept() {
                drop(selvedge::go(move || serve(&stream)));
            }
        }));
        address
    })
}

fn serve(stream: &TcpStream) {
    let shutdown = Shutdown::default();
    if let Ok(connection) = Connection::new(stream, &shutdown, Duration::from_secs(60)) {
        let _ = connection.serve(route);
    }
}

fn ask(client: &Client, number: usize) {
    let url = format!("http://{}/of/{number}", server());
    let text = client.get(url).send().and_then(|response| response.text());
    assert_eq!(text.expect("an answer"), format!("/of/{number}"));
}

#[test]
fn goroutines_ask_by_one_client_and_by_their_own() {
    server();
    let shared = Client::new();
    each(FEW, move |number| {
        ask(&shared, number);
        pause(number);
        ask(&Client::new(), number + 1);
        pause(number + 1);
        ask(&shared, number + 2);
    });
}

#[test]
fn very_many_have_asked() {
    server();
    let shared = Client::builder().pool_max_idle_per_host(8).build().expect("a client");
    // Connections at a time: each takes descriptors at both ends.
    let turns = selvedge::sync::Semaphore::new(64);
    many_alive(move |number| {
        let _turn = turns.acquire(1);
        ask(&shared, number);
    });
}
