//! `tungstenite`: text, bytes, pings and the closing of both sides.

use crate::at_once;
use selvedge::net::TcpStream;
use tungstenite::{Error, Message, accept, client};

const MESSAGES: usize = 10;

fn echo(stream: TcpStream) {
    let mut socket = accept(stream).expect("a handshake");
    loop {
        match socket.read() {
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => {
                socket.send(message).expect("the client hears");
            }
            Ok(_) => {}
            Err(Error::ConnectionClosed) => return,
            Err(error) => panic!("server: {error}"),
        }
    }
}

fn talk(number: usize, stream: TcpStream) {
    let (mut socket, response) = client("ws://localhost/", stream).expect("a handshake");
    assert_eq!(response.status(), 101);
    for turn in 0..MESSAGES {
        let text = format!("client {number} turn {turn}");
        socket.send(Message::text(&text)).unwrap();
        assert_eq!(socket.read().unwrap(), Message::text(text));
    }
    // More than a socket's buffers take at once.
    let bytes = vec![number as u8; 300_000];
    socket.send(Message::binary(bytes.clone())).unwrap();
    assert_eq!(socket.read().unwrap(), Message::binary(bytes));
    socket.send(Message::Ping(Default::default())).unwrap();
    assert_eq!(socket.read().unwrap(), Message::Pong(Default::default()));
    socket.close(None).unwrap();
    loop {
        match socket.read() {
            Ok(_) => {}
            Err(Error::ConnectionClosed) => return,
            Err(error) => panic!("client {number}: {error}"),
        }
    }
}

#[test]
fn many_websockets_at_once() {
    at_once(200, echo, talk);
}
