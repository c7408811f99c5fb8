//! A server for any protocol of lines: one line in, one line out.

use selvedge::net::{TcpListener, TcpStream};
use selvedge::{CancelToken, scope, time};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::time::Duration;

/// A line may not be longer.
const LONGEST: u64 = 1024;
/// A client may be silent for so long.
const SILENCE: Duration = Duration::from_secs(60);
/// An answer may take so long to be found, and so long to be written.
const PATIENCE: Duration = Duration::from_secs(5);

/// Serves connections until `stop` is cancelled, and returns after the last one has ended.
pub fn serve(
    listener: &TcpListener,
    stop: &CancelToken,
    answer: &(impl Fn(&str, &CancelToken) -> Option<String> + Sync),
) {
    scope(|connections| {
        loop {
            match listener.accept_cancel(stop) {
                Ok((stream, _)) => {
                    // An error concerns this client alone.
                    connections.go(move || drop(talk(&stream, stop, answer)));
                }
                Err(_) if stop.is_cancelled() => return,
                Err(error) => {
                    eprintln!("accept: {error}");
                    time::sleep(Duration::from_millis(20));
                }
            }
        }
    });
}

fn talk(
    mut stream: &TcpStream,
    stop: &CancelToken,
    answer: &impl Fn(&str, &CancelToken) -> Option<String>,
) -> io::Result<()> {
    stream.set_read_timeout(Some(SILENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // Reads end when `stop` is cancelled. Writes don't, so an answer is written whole.
    let mut reader = BufReader::new(stream.until(stop));
    let mut line = String::new();
    loop {
        line.clear();
        reader.by_ref().take(LONGEST).read_line(&mut line)?;
        // Without its end it is too long, or the client has closed the connection.
        let Some(command) = line.strip_suffix('\n') else { return Ok(()) };
        let deadline = stop.child_with_timeout(PATIENCE);
        let Some(reply) = answer(command, &deadline) else { return Ok(()) };
        stream.write_all(format!("{reply}\n").as_bytes())?;
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_answered_until_the_server_stops() {
        selvedge::Runtime::new().unwrap().run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let stop = CancelToken::new();
            let answer = |line: &str, _: &CancelToken| Some(line.to_uppercase());
            scope(|s| {
                let server = s.go(|| serve(&listener, &stop, &answer));
                let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
                client.write_all(b"warp and weft\n").unwrap();
                let mut replies = BufReader::new(&client).lines();
                assert_eq!(replies.next().unwrap().unwrap(), "WARP AND WEFT");
                stop.cancel();
                assert!(replies.next().is_none(), "the connection has ended");
                server.join().unwrap();
            });
        });
    }
}
