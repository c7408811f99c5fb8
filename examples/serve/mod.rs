//! What the servers among the examples share: arguments, the accept loop, and an end in good order.

use selvedge::net::{TcpListener, TcpStream};
use selvedge::signal::{self, SIGTERM, Signals};
use selvedge::time::{sleep, sleep_cancel};
use selvedge::{CancelToken, Runtime, scope, select};
use std::io;
use std::process::ExitCode;
use std::time::Duration;

/// What every server is told.
pub struct Options {
    /// As many as the server has names for.
    pub words: Vec<String>,
    /// For how long a client may keep us waiting for what it has begun.
    pub timeout: Duration,
    /// For how long what is in flight may go on after Ctrl-C.
    pub grace: Duration,
    processors: Option<usize>,
}

const FLAGS: &str = "
  --timeout SECONDS    how long a client may leave us waiting in the middle of something (10)
  --grace SECONDS      how long what is in flight may take after Ctrl-C (10)
  --processors NUMBER  how many run goroutines (one for each of the machine's)";

impl Options {
    /// `None`: help was asked for.
    fn parse(names: &[&str]) -> Result<Option<Options>, String> {
        let seconds = Duration::from_secs(10);
        let mut options =
            Options { words: Vec::new(), timeout: seconds, grace: seconds, processors: None };
        let mut args = std::env::args_os().skip(1);
        while let Some(arg) = args.next() {
            let arg = arg.into_string().map_err(|arg| format!("{} is no text", arg.display()))?;
            let mut value = || {
                let value = args.next().and_then(|value| value.into_string().ok());
                value.ok_or_else(|| format!("{arg} needs a number"))
            };
            match arg.as_str() {
                "--help" | "-h" => return Ok(None),
                "--timeout" => options.timeout = duration(&arg, &value()?)?,
                "--grace" => options.grace = duration(&arg, &value()?)?,
                "--processors" => {
                    let value = value()?;
                    let number = value.parse().ok().filter(|number| (1..=1024).contains(number));
                    let number = number.ok_or(format!("{arg} {value}: say a number up to 1024"))?;
                    options.processors = Some(number);
                }
                flag if flag.starts_with('-') => return Err(format!("{flag} is no option")),
                _ => options.words.push(arg),
            }
        }
        match (options.words.get(names.len()), names.get(options.words.len())) {
            (Some(extra), _) => Err(format!("{extra:?} is one argument too many")),
            (None, Some(missing)) => Err(format!("{missing} is missing")),
            (None, None) => Ok(Some(options)),
        }
    }
}

fn duration(flag: &str, value: &str) -> Result<Duration, String> {
    let seconds = value.parse().ok().filter(|seconds| *seconds > 0.0);
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.ok_or_else(|| format!("{flag} {value}: say a number of seconds, more than 0"))
}

/// A server's `main`: parses the arguments, which have these names, and runs `body` in a goroutine.
pub fn main(
    name: &str,
    names: &[&str],
    body: impl FnOnce(Options) -> io::Result<()> + Send,
) -> ExitCode {
    let usage = || format!("usage: {name} {} [FLAGS]{FLAGS}", names.join(" "));
    let options = match Options::parse(names) {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{}", usage());
            return ExitCode::SUCCESS;
        }
        Err(message) => {
            eprintln!("{name}: {message}\n{}", usage());
            return ExitCode::from(2);
        }
    };
    let mut builder = Runtime::builder();
    if let Some(processors) = options.processors {
        builder = builder.processors(processors);
    }
    let ended = match builder.build() {
        Ok(runtime) => runtime.run(|| body(options)),
        Err(error) => Err(io::Error::other(error)),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// How a server ends: first `stop`, whoever is idle leaves; then, once patience has run out, `end`.
#[derive(Clone, Default)]
pub struct Shutdown {
    /// Nothing new is begun.
    pub stop: CancelToken,
    /// What was begun is given up.
    pub end: CancelToken,
}

/// Accepts connections until Ctrl-C (or SIGTERM), each with a goroutine of its own that runs `handle`;
/// then waits for those.
pub fn serve(
    name: &str,
    options: &Options,
    shutdown: &Shutdown,
    handle: impl Fn(TcpStream) + Sync,
) -> io::Result<()> {
    let address = options.words[0].as_str();
    let interrupted = signal::ctrl_c()?;
    let terminated = Signals::new([SIGTERM])?;
    let listener = TcpListener::bind(address).map_err(|error| {
        io::Error::new(error.kind(), format!("can't listen at {address}: {error}"))
    })?;
    println!("{name}: listening on {}", listener.local_addr()?);

    let done = CancelToken::new();
    scope(|s| {
        s.go(|| {
            select! {
                recv(interrupted) -> _ => {},
                recv(terminated) -> _ => {},
            }
            eprintln!("{name}: finishing; Ctrl-C ends it at once");
            shutdown.stop.cancel();
            let _ = sleep_cancel(options.grace, &done);
            shutdown.end.cancel();
        });
        // Its own scope: it ends with the last connection.
        scope(|connections| {
            while !shutdown.stop.is_cancelled() {
                match listener.accept_cancel(&shutdown.stop) {
                    Ok((stream, _)) => {
                        let handle = &handle;
                        let connection = connections.try_go(move || handle(stream));
                        if let Err(error) = connection {
                            eprintln!("{name}: a connection is refused: {error}");
                        }
                    }
                    Err(_) if shutdown.stop.is_cancelled() => {}
                    // Too many open files, say. Those who wait are in the kernel's queue meanwhile.
                    Err(error) => {
                        eprintln!("{name}: accept: {error}");
                        sleep(Duration::from_millis(20));
                    }
                }
            }
            drop(listener);
        });
        done.cancel();
    });
    eprintln!("{name}: all connections have ended");
    Ok(())
}
