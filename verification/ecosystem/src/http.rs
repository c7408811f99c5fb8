//! The client `ureq`, by a transport over our sockets, with its pool of connections; and the server of
//! `examples/http`.

use crate::connection::Connection;
use crate::request::Request;
use crate::response::Response;
use crate::serve::Shutdown;
use crate::tls::{self, ClientStream};
use crate::{on_two_processors, with_server};
use selvedge::net::TcpStream;
use selvedge::scope;
use std::fmt::Debug;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::time::Duration;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};
use ureq::{Agent, Error};

/// Connects by our sockets; what lies over them is `wrap`'s.
#[derive(Debug)]
struct Connects<S>(fn(TcpStream) -> S);

/// What ureq calls a transport: a stream, and ureq's buffers.
#[derive(Debug)]
struct Wire<S> {
    stream: S,
    buffers: LazyBuffers,
}

/// A stream with a socket beneath.
trait Stream: Read + Write + Debug + Send + Sync + 'static {
    fn socket(&self) -> &TcpStream;
}

impl Stream for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Stream for ClientStream {
    fn socket(&self) -> &TcpStream {
        &self.sock
    }
}

impl<S: Stream> Connector for Connects<S> {
    type Out = Wire<S>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        _: Option<()>,
    ) -> Result<Option<Wire<S>>, Error> {
        let stream = TcpStream::connect(&details.addrs[..])?;
        stream.set_nodelay(true)?;
        let config = details.config;
        let sizes = (config.input_buffer_size(), config.output_buffer_size());
        let buffers = LazyBuffers::new(sizes.0, sizes.1);
        Ok(Some(Wire { stream: (self.0)(stream), buffers }))
    }
}

fn told<T>(result: io::Result<T>, timeout: &NextTimeout) -> Result<T, Error> {
    result.map_err(|error| match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Error::Timeout(timeout.reason),
        _ => Error::Io(error),
    })
}

impl<S: Stream> Transport for Wire<S> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.socket().set_write_timeout(timeout.not_zero().map(|limit| *limit))?;
        let output = &self.buffers.output()[..amount];
        told(self.stream.write_all(output).and_then(|()| self.stream.flush()), &timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.socket().set_read_timeout(timeout.not_zero().map(|limit| *limit))?;
        let amount = told(self.stream.read(self.buffers.input_append_buf()), &timeout)?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        let socket = self.stream.socket();
        let silent = socket.set_nonblocking(true).is_ok()
            && matches!(socket.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock);
        socket.set_nonblocking(false).is_ok() && silent
    }
}

fn agent<S: Stream>(wrap: fn(TcpStream) -> S, timeout: Duration) -> Agent {
    let config = Agent::config_builder().timeout_global(Some(timeout)).build();
    Agent::with_parts(config, Connects(wrap), DefaultResolver::default())
}

fn route(request: &Request<'_>) -> Response {
    match request.target {
        "/length" => Response::json(request.body.len().to_string()),
        path => Response::of("text/plain", format!("{} {path}", request.method).into_bytes()),
    }
}

#[test]
fn many_requests_of_a_blocking_client_at_once() {
    on_two_processors(|| {
        let shutdown = Shutdown::default();
        let limit = Duration::from_secs(60);
        let serve = |stream: TcpStream| {
            let connection = Connection::new(&stream, &shutdown, limit).unwrap();
            connection.serve(route).expect("a client that ends in order");
        };
        with_server(serve, |address| {
            // One for all: its pool is shared.
            let agent = agent(|stream| stream, limit);
            scope(|s| {
                for number in 0..100 {
                    let agent = agent.clone();
                    s.go(move || {
                        for turn in 0..5 {
                            let url = format!("http://{address}/{number}/{turn}");
                            let mut response = agent.get(&url).call().expect("an answer");
                            let text = response.body_mut().read_to_string().unwrap();
                            assert_eq!(text, format!("GET /{number}/{turn}"));
                        }
                        let url = format!("http://{address}/length");
                        let body = vec![b'x'; 1000 * number];
                        let mut response = agent.post(&url).send(&body[..]).expect("an answer");
                        let text = response.body_mut().read_to_string().unwrap();
                        assert_eq!(text, body.len().to_string());
                    });
                }
            });
            // The clients' pool goes; the connections that are idle end.
            drop(agent);
            shutdown.stop.cancel();
        });
    });
}

#[test]
fn a_client_s_time_out_is_kept() {
    on_two_processors(|| {
        // Hears the client out, and answers nothing.
        let serve = |mut stream: TcpStream| drop(stream.read_to_end(&mut Vec::new()));
        with_server(serve, |address| {
            let agent = agent(|stream| stream, Duration::from_millis(50));
            let error = agent.get(format!("http://{address}/")).call().unwrap_err();
            assert!(matches!(error, Error::Timeout(_)), "{error}");
        });
    });
}

#[test]
fn a_blocking_client_by_tls() {
    on_two_processors(|| {
        let serve = |stream: TcpStream| {
            let mut stream = BufReader::new(tls::server(stream));
            let mut line = String::new();
            while stream.read_line(&mut line).unwrap() > 2 {
                line.clear();
            }
            let stream = stream.get_mut();
            let answer = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\nsecret";
            stream.write_all(answer.as_bytes()).unwrap();
            stream.conn.send_close_notify();
            stream.flush().unwrap();
        };
        with_server(serve, |address| {
            let agent = agent(tls::client, Duration::from_secs(60));
            scope(|s| {
                for _ in 0..20 {
                    let agent = agent.clone();
                    s.go(move || {
                        // ureq looks after no TLS here: the transport does.
                        let call = agent.get(format!("http://{address}/")).call();
                        let text = call.expect("an answer").body_mut().read_to_string().unwrap();
                        assert_eq!(text, "secret");
                    });
                }
            });
        });
    });
}
