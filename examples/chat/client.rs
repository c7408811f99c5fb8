//! Client: the handshake, then one goroutine that reads and one that writes.
//!
//! `tungstenite` wants one owner of a stream, who reads and writes. Here each goroutine has a websocket
//! of its own over the same connection: the writer's writes; the reader's reads, and what it answers by
//! itself (to a ping, to a close) goes through the writer's channel as the bytes that it is.

use crate::hub::{Event, Member, Outgoing};
use crate::serve::Shutdown;
use selvedge::chan::{Receiver, Sender, bounded};
use selvedge::net::TcpStream;
use selvedge::{CancelToken, scope, select};
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tungstenite::handshake::server::{Request, Response};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tungstenite::{Message, WebSocket, accept_hdr_with_config};

/// How many messages may wait for a client.
const ROOM: usize = 64;
const LONGEST: usize = 16 * 1024;
const LONGEST_NAME: usize = 32;
/// A client that says nothing for so long is asked whether it is still there.
const PING: Duration = Duration::from_secs(20);

pub fn serve(
    stream: &TcpStream,
    events: &Sender<Event>,
    shutdown: &Shutdown,
    timeout: Duration,
) -> io::Result<()> {
    static IDS: AtomicU64 = AtomicU64::new(1);
    let id = IDS.fetch_add(1, Relaxed);
    stream.set_nodelay(true)?;
    let (room, name) = handshake(stream, &shutdown.stop.child_with_timeout(timeout), id)?;
    // Long enough for a ping and its answer.
    stream.set_read_timeout(Some(PING * 3))?;
    stream.set_write_timeout(Some(timeout))?;

    let (out, inbox) = bounded(ROOM);
    let gone = shutdown.end.child();
    let member = Member { name, out: out.clone(), gone: gone.clone() };
    scope(|s| {
        s.go(|| {
            write(stream, &inbox, &gone);
            // Whoever reads needs not go on.
            gone.cancel();
        });
        let joined = events.send(Event::Join { room: room.clone(), id, member });
        if joined.is_ok() {
            read(ReadHalf { stream, out: &out, gone: &gone }, |text| {
                events.send(Event::Say { room: room.clone(), id, text }).is_ok()
            });
            let _ = events.send(Event::Leave { room, id });
        }
        // The writer ends with the last sender: this one, or the hub's.
        drop(out);
    });
    Ok(())
}

fn config() -> WebSocketConfig {
    WebSocketConfig::default().max_message_size(Some(LONGEST)).max_frame_size(Some(LONGEST))
}

/// The room and the name that the client asks for: `/ROOM?name=NAME`.
fn handshake(stream: &TcpStream, token: &CancelToken, id: u64) -> io::Result<(String, String)> {
    let mut asked = (String::new(), String::new());
    // The type of its error is tungstenite's.
    #[allow(clippy::result_large_err)]
    let callback = |request: &Request, response: Response| {
        let query = request.uri().query().unwrap_or_default();
        let name = query.split('&').find_map(|pair| pair.strip_prefix("name=")).unwrap_or_default();
        asked = (request.uri().path().to_owned(), name.chars().take(LONGEST_NAME).collect());
        Ok(response)
    };
    accept_hdr_with_config(stream.until(token), callback, Some(config()))
        .map_err(|error| io::Error::other(error.to_string()))?;
    if asked.1.is_empty() {
        asked.1 = format!("guest {id}");
    }
    Ok(asked)
}

/// Reads until the client closes, is lost, or `say` wants no more.
fn read(half: ReadHalf<'_>, say: impl Fn(tungstenite::Utf8Bytes) -> bool) {
    let mut socket = WebSocket::from_raw_socket(half, Role::Server, Some(config()));
    loop {
        match socket.read() {
            Ok(Message::Text(text)) if say(text.clone()) => {}
            Ok(Message::Text(_)) | Err(_) => return,
            Ok(Message::Binary(_)) => {
                let reason = "text is spoken here".into();
                let frame = CloseFrame { code: CloseCode::Unsupported, reason };
                if socket.close(Some(frame)).is_err() {
                    return;
                }
            }
            // Answered by the library, with the next read.
            Ok(_) => {}
        }
    }
}

/// Writes what comes, until nobody is left to say anything, or `gone` is cancelled.
fn write(stream: &TcpStream, inbox: &Receiver<Outgoing>, gone: &CancelToken) {
    let half = stream.until(gone);
    let mut socket = WebSocket::from_raw_socket(half, Role::Server, Some(config()));
    loop {
        let written = select! {
            recv(inbox) -> out => match out {
                Ok(Outgoing::Text(text)) => socket.send(Message::Text(text)),
                Ok(Outgoing::Raw(frames)) => stream.until(gone).write_all(&frames).map_err(Into::into),
                Ok(Outgoing::Away) => {
                    let reason = "the server goes".into();
                    socket.close(Some(CloseFrame { code: CloseCode::Away, reason }))
                }
                Err(_) => return,
            },
            cancel(gone) => return,
            default(PING) => socket.send(Message::Ping(Default::default())),
        };
        match written {
            // What is said after the good-bye is not sent; what the reader answers is.
            Ok(()) | Err(tungstenite::Error::Protocol(_)) => {}
            Err(tungstenite::Error::ConnectionClosed) => {}
            Err(_) => return,
        }
    }
}

/// The reader's stream.
struct ReadHalf<'a> {
    stream: &'a TcpStream,
    out: &'a Sender<Outgoing>,
    gone: &'a CancelToken,
}

impl Read for ReadHalf<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read_cancel(buffer, self.gone)
    }
}

impl Write for ReadHalf<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.out.send_cancel(Outgoing::Raw(bytes.to_vec()), self.gone);
        sent.map(|()| bytes.len()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
