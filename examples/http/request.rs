//! Request: what the client asks, or why it can't be told.

use httparse::{EMPTY_HEADER, Error, Status};

const MOST_TARGET: usize = 8 * 1024;
const MOST_HEAD: usize = 32 * 1024;
const MOST_HEADERS: usize = 64;
const MOST_BODY: usize = 1024 * 1024;

pub struct Request<'a> {
    pub method: &'a str,
    pub target: &'a str,
    pub keep_alive: bool,
    pub body: &'a [u8],
}

/// What some bytes are the beginning of.
pub enum Parsed<'a> {
    /// A request, and how many bytes it takes.
    Whole(Request<'a>, usize),
    Partial {
        /// The client holds its body back until it is told that it is wanted.
        wants_continue: bool,
    },
    Refused(Refusal),
}

pub struct Refusal {
    pub status: u16,
    pub why: &'static str,
}

impl Refusal {
    pub const TIMEOUT: Refusal = refusal(408, "the request took too long to arrive");
}

const fn refusal(status: u16, why: &'static str) -> Refusal {
    Refusal { status, why }
}

impl Request<'_> {
    pub fn parse(bytes: &[u8]) -> Parsed<'_> {
        match parse(bytes) {
            Ok(parsed) => parsed,
            Err(refusal) => Parsed::Refused(refusal),
        }
    }
}

fn parse(bytes: &[u8]) -> Result<Parsed<'_>, Refusal> {
    let mut headers = [EMPTY_HEADER; MOST_HEADERS];
    let mut head = httparse::Request::new(&mut headers);
    let status = head.parse(bytes).map_err(|error| match error {
        Error::TooManyHeaders => refusal(431, "too many headers"),
        Error::Version => refusal(505, "HTTP/1.0 and HTTP/1.1 are spoken here"),
        _ if target_is_too_long(bytes) => TOO_LONG,
        _ => refusal(400, "this is no HTTP request"),
    })?;
    if target_is_too_long(bytes) {
        return Err(TOO_LONG);
    }
    let length = match status {
        Status::Complete(length) if length <= MOST_HEAD => length,
        Status::Partial if bytes.len() < MOST_HEAD => {
            return Ok(Parsed::Partial { wants_continue: false });
        }
        _ => return Err(refusal(431, "the head is too long")),
    };
    let fields = Fields::read(head.headers)?;
    let is_1_1 = head.version == Some(1);
    if is_1_1 && fields.hosts != 1 {
        return Err(refusal(400, "an HTTP/1.1 request has one Host"));
    }
    let total = length + fields.length;
    let Some(body) = bytes.get(length..total) else {
        let wants_continue = fields.wants_continue && is_1_1 && bytes.len() == length;
        return Ok(Parsed::Partial { wants_continue });
    };
    let (method, target) = (head.method.unwrap_or_default(), head.path.unwrap_or_default());
    let keep_alive = !fields.close && (is_1_1 || fields.keep_alive);
    Ok(Parsed::Whole(Request { method, target, keep_alive, body }, total))
}

const TOO_LONG: Refusal = refusal(414, "the target is too long");

/// Whether the first line is longer than any that is served, whatever it may become.
fn target_is_too_long(bytes: &[u8]) -> bool {
    let most = MOST_TARGET + 32;
    bytes.len() > most && !bytes[..most].contains(&b'\n')
}

/// The header fields that matter here.
#[derive(Default)]
struct Fields {
    hosts: u32,
    length: usize,
    close: bool,
    keep_alive: bool,
    wants_continue: bool,
}

impl Fields {
    fn read(headers: &[httparse::Header<'_>]) -> Result<Fields, Refusal> {
        let mut fields = Fields::default();
        let (mut length, mut encoded) = (None, false);
        for header in headers {
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            let has = |word: &str| {
                let words = header.value.split(|byte| *byte == b',');
                words.into_iter().any(|own| own.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
            };
            if is("content-length") {
                let own = number(header.value).ok_or(refusal(400, "a bad Content-Length"))?;
                if length.is_some_and(|other| other != own) {
                    return Err(refusal(400, "two lengths"));
                }
                length = Some(own);
            } else if is("transfer-encoding") {
                encoded = true;
            } else if is("connection") {
                fields.close |= has("close");
                fields.keep_alive |= has("keep-alive");
            } else if is("host") {
                fields.hosts += 1;
            } else if is("expect") {
                if !has("100-continue") {
                    return Err(refusal(417, "this can't be met"));
                }
                fields.wants_continue = true;
            }
        }
        match (encoded, length) {
            // Two readers might see two different requests.
            (true, Some(_)) => Err(refusal(400, "both a length and an encoding")),
            (true, None) => Err(refusal(411, "say the length: no encoding is read here")),
            (false, Some(length)) if length > MOST_BODY as u64 => {
                Err(refusal(413, "the body is too long"))
            }
            (false, length) => Ok(Fields { length: length.unwrap_or(0) as usize, ..fields }),
        }
    }
}

/// Digits alone: neither a sign nor a list.
fn number(value: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(value).ok()?;
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    // More than a number holds is more than is taken.
    plain.then(|| digits.parse().unwrap_or(u64::MAX))
}
