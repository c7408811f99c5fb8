//! Until: a stream with waits that end when a token is cancelled, for code that uses `Read` and `Write`.
//! Checked by: proptests/net/cancel.rs.
#![forbid(unsafe_code)]

use crate::cancel::CancelToken;
use std::io::{self, Read, Write};
use std::panic::Location;

/// A stream under a token; made by [`TcpStream::until`](crate::net::TcpStream::until) or a similar method.
///
/// Reads and writes work as on the stream, with its time-outs, until the token is cancelled or the token's
/// deadline has passed. From then on, reads and writes return an error at once. Earlier reads and writes keep
/// their effect.
///
/// ```
/// use selvedge::net::{TcpListener, TcpStream};
/// use selvedge::{CancelToken, Runtime};
/// use std::io::{ErrorKind, Read};
/// use std::time::Duration;
///
/// Runtime::new()?.run(|| {
///     let listener = TcpListener::bind("127.0.0.1:0")?;
///     let silent = TcpStream::connect(listener.local_addr()?)?;
///     let token = CancelToken::with_timeout(Duration::from_millis(1));
///     let error = silent.until(&token).read_to_end(&mut Vec::new()).unwrap_err();
///     assert_eq!(error.kind(), ErrorKind::TimedOut);
///     std::io::Result::Ok(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Until<S> {
    stream: S,
    token: CancelToken,
}

/// A stream of `net`, or a reference to such a stream.
pub trait Stream {
    #[doc(hidden)]
    fn read(
        &self,
        token: &CancelToken,
        place: &'static Location<'static>,
        buffer: &mut [u8],
    ) -> io::Result<usize>;

    #[doc(hidden)]
    fn write(
        &self,
        token: &CancelToken,
        place: &'static Location<'static>,
        bytes: &[u8],
    ) -> io::Result<usize>;
}

impl<S: Stream> Stream for &S {
    fn read(
        &self,
        token: &CancelToken,
        place: &'static Location<'static>,
        buffer: &mut [u8],
    ) -> io::Result<usize> {
        (**self).read(token, place, buffer)
    }

    fn write(
        &self,
        token: &CancelToken,
        place: &'static Location<'static>,
        bytes: &[u8],
    ) -> io::Result<usize> {
        (**self).write(token, place, bytes)
    }
}

impl<S> Until<S> {
    pub(super) fn new(stream: S, token: &CancelToken) -> Self {
        Until { stream, token: token.clone() }
    }

    /// Returns the stream.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// Returns the token.
    pub fn token(&self) -> &CancelToken {
        &self.token
    }

    /// Returns the stream, without the token.
    pub fn into_inner(self) -> S {
        self.stream
    }
}

impl<S: Stream> Read for &Until<S> {
    #[track_caller]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(&self.token, Location::caller(), buffer)
    }
}

impl<S: Stream> Write for &Until<S> {
    #[track_caller]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(&self.token, Location::caller(), bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<S: Stream> Read for Until<S> {
    #[track_caller]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }
}

impl<S: Stream> Write for Until<S> {
    #[track_caller]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
