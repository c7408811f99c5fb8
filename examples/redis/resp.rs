//! RESP: how commands arrive, and how answers are written.
//!
//! A command is `*2\r\n$3\r\nGET\r\n$1\r\nk\r\n`, or a line of words.

use std::io::Write;
use std::ops::Range;

const MOST_ARGUMENTS: usize = 64 * 1024;
const MOST_BYTES: usize = 64 * 1024 * 1024;
const MOST_LINE: usize = 64 * 1024;

/// Where the arguments of a command lie in the bytes that were parsed.
#[derive(Default)]
pub struct Command(Vec<Range<usize>>);

/// What can't be a command; the connection ends with that.
pub struct Wrong(pub &'static str);

impl Command {
    /// How many bytes the first command takes; `None` if it is not all there.
    pub fn parse(&mut self, bytes: &[u8]) -> Result<Option<usize>, Wrong> {
        self.0.clear();
        let Some((line, mut at)) = line(bytes, "too big inline request")? else { return Ok(None) };
        if line.first() != Some(&b'*') {
            self.words(line);
            return Ok(Some(at));
        }
        let count = number(&line[1..]).filter(|count| *count <= MOST_ARGUMENTS as i64);
        let count = count.ok_or(Wrong("invalid multibulk length"))?;
        for _ in 0..count {
            let Some((line, after)) = self::line(&bytes[at..], "too big bulk count string")? else {
                return Ok(None);
            };
            if line.first() != Some(&b'$') {
                return Err(Wrong("expected '$'"));
            }
            let length = number(&line[1..]).and_then(|length| usize::try_from(length).ok());
            let length = length.filter(|length| *length <= MOST_BYTES);
            let length = length.ok_or(Wrong("invalid bulk length"))?;
            at += after;
            let end = at + length;
            match bytes.get(end..end + 2) {
                None => return Ok(None),
                Some(b"\r\n") => self.0.push(at..end),
                Some(_) => return Err(Wrong("a bulk that is longer than its length")),
            }
            at = end + 2;
        }
        Ok(Some(at))
    }

    /// The line begins where the bytes do.
    fn words(&mut self, line: &[u8]) {
        let mut at = 0;
        for word in line.split(|byte| byte.is_ascii_whitespace()) {
            if !word.is_empty() {
                self.0.push(at..at + word.len());
            }
            at += word.len() + 1;
        }
    }

    /// Those of the command that was parsed last, from these bytes.
    pub fn arguments<'a>(&self, bytes: &'a [u8]) -> Vec<&'a [u8]> {
        self.0.iter().map(|range| &bytes[range.clone()]).collect()
    }
}

/// The first line, without its end, and where the next one begins.
fn line<'a>(bytes: &'a [u8], why: &'static str) -> Result<Option<(&'a [u8], usize)>, Wrong> {
    match bytes.iter().take(MOST_LINE).position(|byte| *byte == b'\n') {
        Some(at) => Ok(Some((bytes[..at].strip_suffix(b"\r").unwrap_or(&bytes[..at]), at + 1))),
        None if bytes.len() >= MOST_LINE => Err(Wrong(why)),
        None => Ok(None),
    }
}

/// A whole number, in digits alone.
pub fn number(digits: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(digits).ok()?;
    if text.starts_with('+') { None } else { text.parse().ok() }
}

pub fn simple(output: &mut Vec<u8>, word: &str) {
    write!(output, "+{word}\r\n").expect("a vector takes all");
}

/// `why` may come from the client, and an error is one line.
pub fn error(output: &mut Vec<u8>, kind: &str, why: &str) {
    let why = why.replace(['\r', '\n'], " ");
    write!(output, "-{kind}{why}\r\n").expect("a vector takes all");
}

pub fn integer(output: &mut Vec<u8>, number: i64) {
    write!(output, ":{number}\r\n").expect("a vector takes all");
}

pub fn array(output: &mut Vec<u8>, length: usize) {
    write!(output, "*{length}\r\n").expect("a vector takes all");
}

/// Nothing, where there might be a bulk.
pub fn nil(output: &mut Vec<u8>) {
    output.extend_from_slice(b"$-1\r\n");
}

pub fn bulk(output: &mut Vec<u8>, bytes: &[u8]) {
    write!(output, "${}\r\n", bytes.len()).expect("a vector takes all");
    output.extend_from_slice(bytes);
    output.extend_from_slice(b"\r\n");
}
