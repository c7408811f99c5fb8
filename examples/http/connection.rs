//! Connection: reads requests and writes answers, in order, and minds the time.
//!
//! | it waits for | for at most | and Ctrl-C |
//! |---|---|---|
//! | the first byte of a request | six time-outs | ends the connection |
//! | the rest of its head, or its body | one time-out in all, however slowly bytes come | lets it go on |
//! | the client to take an answer | one time-out a write | lets it go on |

use crate::request::{Parsed, Refusal, Request};
use crate::response::{Response, push_head};
use crate::serve::Shutdown;
use selvedge::CancelToken;
use selvedge::net::{Shutdown::Write, TcpStream};
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::time::{Duration, Instant};

/// How much is read at a time, and how much is gathered before it is written.
const ROOM: usize = 16 * 1024;
/// How much a client that says nothing costs, beside its stack.
const IDLE_ROOM: usize = 2 * 1024;
/// An idle client may stay so much longer than one in the middle of a request.
const IDLE: u32 = 6;

pub struct Connection<'a> {
    stream: &'a TcpStream,
    shutdown: &'a Shutdown,
    timeout: Duration,
    /// What was read, from `taken` on not yet a part of a request that was answered.
    input: Vec<u8>,
    taken: usize,
    /// Answers that were not written yet: those to pipelined requests go together.
    output: Vec<u8>,
}

impl<'a> Connection<'a> {
    pub fn new(
        stream: &'a TcpStream,
        shutdown: &'a Shutdown,
        timeout: Duration,
    ) -> io::Result<Connection<'a>> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(timeout))?;
        let (input, output) = (Vec::new(), Vec::new());
        Ok(Connection { stream, shutdown, timeout, input, taken: 0, output })
    }

    /// Answers requests until one side wants no more.
    pub fn serve(mut self, route: impl Fn(&Request<'_>) -> Response) -> io::Result<()> {
        // Since when a request is under way; whether its body was asked for.
        let (mut began, mut asked) = (None, false);
        loop {
            let (keep, used, response, is_head) = match Request::parse(&self.input[self.taken..]) {
                Parsed::Whole(request, used) => {
                    let keep = request.keep_alive && !self.shutdown.stop.is_cancelled();
                    (keep, used, route(&request), request.method == "HEAD")
                }
                Parsed::Refused(refusal) => return self.refuse(refusal),
                Parsed::Partial { wants_continue } => {
                    self.flush()?;
                    if wants_continue && !std::mem::replace(&mut asked, true) {
                        self.write(b"HTTP/1.1 100 Continue\r\n\r\n")?;
                    }
                    match self.read_more(&mut began) {
                        Ok(true) => continue,
                        Ok(false) => return Ok(()),
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                            // It was asked for something, and half of it has come.
                            let begun = self.taken < self.input.len();
                            return if begun { self.refuse(Refusal::TIMEOUT) } else { Ok(()) };
                        }
                        Err(error) => return Err(error),
                    }
                }
            };
            self.taken += used;
            began = (self.taken < self.input.len()).then(Instant::now);
            asked = false;
            self.answer(response, keep, is_head)?;
            if !keep {
                self.flush()?;
                return self.part();
            }
        }
    }

    /// False: the client has ended, between two requests.
    fn read_more(&mut self, began: &mut Option<Instant>) -> io::Result<bool> {
        self.input.drain(..self.taken);
        self.taken = 0;
        let idle = self.input.is_empty();
        let left = if idle {
            self.input.shrink_to(IDLE_ROOM);
            self.output.shrink_to(IDLE_ROOM);
            self.timeout * IDLE
        } else {
            let since = began.get_or_insert_with(Instant::now);
            self.timeout.saturating_sub(since.elapsed())
        };
        if left.is_zero() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        let token = if idle { &self.shutdown.stop } else { &self.shutdown.end };
        match self.read(token) {
            Ok(0) if idle => Ok(false),
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => Ok(true),
            // Between two requests nothing is in flight.
            Err(_) if idle && token.is_cancelled() => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn read(&mut self, token: &CancelToken) -> io::Result<usize> {
        let length = self.input.len();
        self.input.resize(length + if length == 0 { IDLE_ROOM } else { ROOM }, 0);
        let read = self.stream.read_cancel(&mut self.input[length..], token);
        self.input.truncate(length + *read.as_ref().unwrap_or(&0));
        read
    }

    fn answer(&mut self, response: Response, keep: bool, is_head: bool) -> io::Result<()> {
        push_head(&mut self.output, &response, keep);
        if !is_head {
            self.output.extend_from_slice(&response.body);
            if let Some((file, rest)) = response.rest {
                self.copy(file, rest)?;
            }
        }
        if self.output.len() >= ROOM { self.flush() } else { Ok(()) }
    }

    /// The part of a file that was not read yet.
    fn copy(&mut self, mut file: File, mut rest: u64) -> io::Result<()> {
        let mut buffer = vec![0; 4 * ROOM];
        while rest > 0 {
            self.flush()?;
            let most = usize::try_from(rest).unwrap_or(usize::MAX).min(buffer.len());
            let piece = &mut buffer[..most];
            let length = selvedge::blocking(|| file.read(piece))?;
            if length == 0 {
                // It has shrunk; the client can tell by the length that it was promised.
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.output.extend_from_slice(&buffer[..length]);
            rest -= length as u64;
        }
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        let output = std::mem::take(&mut self.output);
        let written = self.write(&output);
        self.output = output;
        self.output.clear();
        written
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        self.stream.until(&self.shutdown.end).write_all(bytes)
    }

    /// Says why, and ends the connection: what follows can't be told from the rest of this request.
    fn refuse(mut self, refusal: Refusal) -> io::Result<()> {
        self.answer(Response::error(refusal.status, refusal.why), false, false)?;
        self.flush()?;
        self.part()
    }

    /// Ends the connection so that the last answer arrives: closing it with bytes unread would make the
    /// kernel send a reset, which may overtake the answer.
    fn part(self) -> io::Result<()> {
        self.stream.shutdown(Write)?;
        let token = self.shutdown.end.child_with_timeout(Duration::from_secs(1).min(self.timeout));
        let mut unread = 0;
        let mut buffer = vec![0; ROOM];
        while unread < 64 * ROOM {
            match self.stream.read_cancel(&mut buffer, &token)? {
                0 => break,
                length => unread += length,
            }
        }
        Ok(())
    }
}
