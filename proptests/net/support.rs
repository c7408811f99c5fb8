//! What the tests of sockets share.

use crate::common::{Placement, everywhere, finish};
use selvedge::Runtime;
use selvedge::net::{TcpListener, TcpStream};
use std::io;
use std::net::SocketAddr;

/// In both placements, on one, two and four processors; then nobody is left.
#[track_caller]
pub fn in_goroutines(body: impl Fn(Placement) + Send + Sync + 'static) {
    everywhere(move |placement, runtime: Runtime| {
        runtime.run(|| body(placement));
        finish(runtime);
    });
}

pub fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = listener.local_addr().expect("its address");
    (listener, address)
}

/// Two ends of a connection: who connected, and who accepted.
pub fn pair() -> (TcpStream, TcpStream) {
    let (listener, address) = listener();
    let client = TcpStream::connect(address).expect("a connection");
    let (server, peer) = listener.accept().expect("its other end");
    assert_eq!(peer, client.local_addr().unwrap());
    (client, server)
}

#[track_caller]
pub fn kind<T>(result: io::Result<T>) -> io::ErrorKind {
    match result {
        Ok(_) => panic!("it should have failed"),
        Err(error) => error.kind(),
    }
}
