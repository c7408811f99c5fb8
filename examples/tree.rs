//! Counts the files, bytes, lines and words under directories, with a goroutine for each directory
//! and each file, by plain `std::fs` calls.
//!
//! `cargo run --release --example tree -- [--threads N] [--serial] [--time] DIR…`
//!
//! The totals are those of `find DIR… -type f` and `LC_ALL=C wc`: symbolic links are not followed,
//! and a word is a run of printable ASCII bytes between white space, bytes that are neither being
//! passed over (as GNU `wc` did up to 9.4; later ones count such a byte as part of a word).
//!
//! What cannot be read is reported and counted; the exit status is then 1.
#![forbid(unsafe_code)]

use selvedge::{Runtime, Scope};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

const USAGE: &str = "usage: tree [--threads N] [--serial] [--time] DIR…
  --threads N  use N processors (default: those this process may use)
  --serial     walk in one plain thread, with the same code and no runtime
  --time       print the wall time";

/// Goroutines that wait for their turn; beyond, the finder does the work itself.
const MOST_WAITING: usize = 16 * 1024;

/// Kernel threads. No goroutine suspends with a file open, so this bounds the open files, too: two
/// a thread. More threads than processors are used only while some wait for the disk.
const MOST_THREADS: usize = 64;

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args_os().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(message) => {
            eprintln!("tree: {message}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let start = Instant::now();
    let walk = Walk::new();
    if let Err(message) = walk.with_progress(|| walk.all(&options)) {
        eprintln!("tree: {message}");
        return ExitCode::FAILURE;
    }
    let mut report = walk.totals.to_string();
    if options.time {
        report += &format!("seconds {:.3}\n", start.elapsed().as_secs_f64());
    }
    if let Err(error) = io::stdout().write_all(report.as_bytes()) {
        eprintln!("tree: stdout: {error}");
        return ExitCode::FAILURE;
    }
    match walk.totals.errors.load(Relaxed) {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

#[derive(Default)]
struct Options {
    threads: Option<usize>,
    serial: bool,
    time: bool,
    roots: Vec<PathBuf>,
}

impl Options {
    /// `None` if help is asked for.
    fn parse(mut args: impl Iterator<Item = OsString>) -> Result<Option<Options>, String> {
        let mut options = Options::default();
        while let Some(arg) = args.next() {
            match arg.to_str() {
                Some("--help" | "-h") => return Ok(None),
                Some("--serial") => options.serial = true,
                Some("--time") => options.time = true,
                Some("--threads") => {
                    let number = args.next().ok_or("--threads needs a number")?;
                    options.threads = Some(parse_threads(&number)?);
                }
                Some("--") => options.roots.extend(args.by_ref().map(PathBuf::from)),
                Some(flag) if flag.starts_with('-') => {
                    return Err(format!("{flag} is no option: put -- before such a directory"));
                }
                _ => options.roots.push(PathBuf::from(arg)),
            }
        }
        if options.roots.is_empty() {
            return Err("name at least one directory".into());
        }
        if options.serial && options.threads.is_some() {
            return Err("--serial uses one thread: leave --threads out".into());
        }
        Ok(Some(options))
    }
}

fn parse_threads(number: &OsString) -> Result<usize, String> {
    let parsed = number.to_str().and_then(|digits| digits.parse().ok());
    parsed.filter(|n| (1..=MOST_THREADS).contains(n)).ok_or_else(|| {
        format!("--threads {} can't be had: ask for 1 to {MOST_THREADS}", number.display())
    })
}

struct Walk {
    totals: Totals,
    /// Goroutines spawned that have not ended.
    waiting: AtomicUsize,
    /// Buffers that no file is read into at the moment.
    buffers: Mutex<Vec<Vec<u8>>>,
    terminal: bool,
}

impl Walk {
    fn new() -> Self {
        let terminal = io::stderr().is_terminal();
        Walk {
            totals: Totals::default(),
            waiting: AtomicUsize::new(0),
            buffers: Mutex::default(),
            terminal,
        }
    }

    fn all(&self, options: &Options) -> Result<(), String> {
        if options.serial {
            options.roots.iter().for_each(|root| self.root(None, root));
            return Ok(());
        }
        let mut builder = Runtime::builder().max_threads(MOST_THREADS);
        if let Some(threads) = options.threads {
            builder = builder.processors(threads);
        }
        let runtime = builder.build().map_err(|error| error.to_string())?;
        runtime.run(|| {
            selvedge::scope(|scope| {
                options.roots.iter().for_each(|root| self.root(Some(scope), root));
            });
        });
        Ok(())
    }

    /// Something named on the command line, where a symbolic link isn't followed either.
    fn root<'scope>(&'scope self, scope: Option<&'scope Scope<'scope, '_>>, path: &Path) {
        match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_dir() => self.directory(scope, path.to_owned()),
            Ok(metadata) if metadata.is_file() => self.file(path),
            Ok(_) => {}
            Err(error) => self.complain(path, &error),
        }
    }

    /// Reads one directory, and those of its descendants for which there are goroutines enough.
    /// `go` never suspends, so neither does this.
    fn directory<'scope>(
        &'scope self,
        scope: Option<&'scope Scope<'scope, '_>>,
        directory: PathBuf,
    ) {
        let mut todo = vec![directory];
        while let Some(directory) = todo.pop() {
            let entries = match fs::read_dir(&directory) {
                Ok(entries) => entries,
                Err(error) => {
                    self.complain(&directory, &error);
                    continue;
                }
            };
            for entry in entries {
                let entry = match entry {
                    Ok(entry) => entry,
                    Err(error) => {
                        self.complain(&directory, &error);
                        continue;
                    }
                };
                let path = entry.path();
                match (entry.file_type(), self.room(scope)) {
                    (Ok(kind), Some(scope)) if kind.is_dir() => {
                        self.spawn(scope, move || self.directory(Some(scope), path));
                    }
                    (Ok(kind), None) if kind.is_dir() => todo.push(path),
                    (Ok(kind), Some(scope)) if kind.is_file() => {
                        self.spawn(scope, move || self.file(&path));
                    }
                    (Ok(kind), None) if kind.is_file() => self.file(&path),
                    (Ok(_), _) => {}
                    (Err(error), _) => self.complain(&path, &error),
                }
            }
        }
    }

    /// The scope, while it may take more. A hint: some goroutines more do no harm.
    fn room<S>(&self, scope: Option<S>) -> Option<S> {
        scope.filter(|_| self.waiting.load(Relaxed) < MOST_WAITING)
    }

    fn spawn<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        job: impl FnOnce() + Send + 'scope,
    ) {
        self.waiting.fetch_add(1, Relaxed);
        scope.go(move || {
            job();
            self.waiting.fetch_sub(1, Relaxed);
        });
    }

    fn file(&self, path: &Path) {
        // Not in a thread-local: each goroutine would make one of its own.
        let spare = self.buffers.lock().unwrap().pop();
        let mut buffer = spare.unwrap_or_else(|| vec![0; 128 * 1024]);
        let mut counts = Counts::default();
        let result = counts.read(path, &mut buffer);
        self.buffers.lock().unwrap().push(buffer);
        self.totals.add(&counts);
        if let Err(error) = result {
            self.complain(path, &error);
        }
    }

    fn complain(&self, path: &Path, error: &io::Error) {
        self.totals.errors.fetch_add(1, Relaxed);
        let clear = if self.terminal { "\r\x1b[K" } else { "" };
        // Nobody is left to hear that stderr is closed.
        let _ = writeln!(io::stderr(), "{clear}tree: {}: {error}", path.display());
    }

    /// Calls `f`; on a terminal, shows meanwhile how far it is.
    fn with_progress<R>(&self, f: impl FnOnce() -> R) -> R {
        if !self.terminal {
            return f();
        }
        let done = AtomicBool::new(false);
        thread::scope(|s| {
            let reporter = s.spawn(|| {
                thread::park_timeout(Duration::from_millis(100));
                while !done.load(Relaxed) {
                    let (files, bytes) = self.totals.so_far();
                    eprint!("\r\x1b[K{files} files, {} MB", bytes / 1_000_000);
                    thread::park_timeout(Duration::from_millis(100));
                }
                eprint!("\r\x1b[K");
            });
            let result = f();
            done.store(true, Relaxed);
            reporter.thread().unpark();
            result
        })
    }
}

/// One file's.
#[derive(Default)]
struct Counts {
    bytes: u64,
    lines: u64,
    words: u64,
    in_word: bool,
}

impl Counts {
    /// What was read before an error counts.
    fn read(&mut self, path: &Path, buffer: &mut [u8]) -> io::Result<()> {
        let mut file = File::open(path)?;
        loop {
            match file.read(buffer) {
                Ok(0) => return Ok(()),
                Ok(length) => self.count(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn count(&mut self, bytes: &[u8]) {
        let mut lines = 0;
        let mut words = 0;
        let mut in_word = u8::from(self.in_word);
        for &byte in bytes {
            let kind = KINDS[usize::from(byte)];
            lines += u64::from(byte == b'\n');
            words += u64::from(kind & WORD & !in_word);
            in_word = (in_word | (kind & WORD)) & !(kind >> 1);
        }
        self.bytes += bytes.len() as u64;
        self.lines += lines;
        self.words += words;
        self.in_word = in_word != 0;
    }
}

const WORD: u8 = 1;
const SPACE: u8 = 2;
const KINDS: [u8; 256] = kinds();

/// What a byte is to `wc -w` in the C locale; 0: neither begins nor ends a word.
const fn kinds() -> [u8; 256] {
    let mut kinds = [0; 256];
    let mut byte = 0;
    while byte < kinds.len() {
        kinds[byte] = match byte as u8 {
            b'\t'..=b'\r' | b' ' => SPACE,
            b'!'..=b'~' => WORD,
            _ => 0,
        };
        byte += 1;
    }
    kinds
}

/// Everybody's. Relaxed throughout: counts, read once the scope has ended.
#[derive(Default)]
struct Totals {
    files: AtomicU64,
    bytes: AtomicU64,
    lines: AtomicU64,
    words: AtomicU64,
    errors: AtomicU64,
}

impl Totals {
    fn add(&self, file: &Counts) {
        self.files.fetch_add(1, Relaxed);
        self.bytes.fetch_add(file.bytes, Relaxed);
        self.lines.fetch_add(file.lines, Relaxed);
        self.words.fetch_add(file.words, Relaxed);
    }

    fn so_far(&self) -> (u64, u64) {
        (self.files.load(Relaxed), self.bytes.load(Relaxed))
    }
}

impl std::fmt::Display for Totals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Totals { files, bytes, lines, words, errors } = self;
        let rows = [("files", files), ("bytes", bytes), ("lines", lines), ("words", words)];
        for (name, count) in rows.into_iter().chain([("errors", errors)]) {
            writeln!(f, "{name} {}", count.load(Relaxed))?;
        }
        Ok(())
    }
}
