//! Files: those below one directory, and no others.

use crate::response::Response;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Component, Path, PathBuf};

/// So much of a file goes with the head of its answer.
const FIRST: u64 = 64 * 1024;

pub struct Files {
    root: PathBuf,
}

impl Files {
    pub fn below(directory: &str) -> io::Result<Files> {
        let told = |why| {
            move |error: io::Error| {
                io::Error::new(error.kind(), format!("DIRECTORY {directory}: {why}{error}"))
            }
        };
        let root = selvedge::fs::canonicalize(directory).map_err(told(""))?;
        if !selvedge::fs::metadata(&root).map_err(told(""))?.is_dir() {
            return Err(told("name a directory: ")(ErrorKind::NotADirectory.into()));
        }
        Ok(Files { root })
    }

    pub fn answer(&self, target: &str) -> Response {
        let Some(relative) = relative(target) else {
            return Response::error(400, "this is no path of a file");
        };
        // All at once where it may take long: neighbours go on meanwhile.
        match selvedge::blocking(|| self.open(&relative)) {
            Ok(response) => response,
            Err(error) => match error.kind() {
                ErrorKind::PermissionDenied => Response::error(403, "this is not for you"),
                ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidInput => {
                    Response::error(404, "there is no such file")
                }
                _ => {
                    eprintln!("http: {}: {error}", relative.display());
                    Response::error(500, "the file can't be read")
                }
            },
        }
    }

    fn open(&self, relative: &Path) -> io::Result<Response> {
        // Where all symbolic links lead to, and that must be below the root as well.
        let mut path = self.root.join(relative).canonicalize()?;
        if path.is_dir() {
            path = path.join("index.html").canonicalize()?;
        }
        if !path.starts_with(&self.root) {
            return Err(ErrorKind::NotFound.into());
        }
        // A FIFO would wait for its other end.
        if !path.metadata()?.is_file() {
            return Err(ErrorKind::NotFound.into());
        }
        let file = File::open(&path)?;
        let length = file.metadata()?.len();
        let mut body = Vec::with_capacity(length.min(FIRST) as usize);
        (&file).take(length.min(FIRST)).read_to_end(&mut body)?;
        let rest = length.saturating_sub(body.len() as u64);
        let rest = (rest > 0).then_some((file, rest));
        Ok(Response { rest, ..Response::of(kind(&path), body) })
    }
}

/// The path below the root; `None` if it is none, or might lead out of it.
fn relative(target: &str) -> Option<PathBuf> {
    let decoded = decode(target.strip_prefix('/')?)?;
    let path = PathBuf::from(decoded);
    let inside = path.components().all(|part| matches!(part, Component::Normal(_)));
    inside.then_some(path)
}

/// Replaces each `%XX` by its byte.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, after) = after.split_at_checked(2)?;
        let [high, low] = [digits[0], digits[1]].map(|digit| char::from(digit).to_digit(16));
        bytes.push((high? * 16 + low?) as u8);
        rest = after;
    }
    let text = String::from_utf8(bytes).ok()?;
    (!text.contains('\0')).then_some(text)
}

fn kind(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("html" | "htm") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("json") => "application/json",
        Some("txt" | "md" | "rs" | "toml") => "text/plain; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        _ => "application/octet-stream",
    }
}
