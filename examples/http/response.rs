//! Response: what is answered, and how its head is written.

use std::fs::File;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

pub struct Response {
    pub status: u16,
    pub kind: &'static str,
    /// One more field, with its end of line.
    pub field: String,
    pub body: Vec<u8>,
    /// What follows the body, from a file: so many bytes.
    pub rest: Option<(File, u64)>,
}

impl Response {
    pub fn json(body: String) -> Response {
        Response::of("application/json", body.into_bytes())
    }

    pub fn of(kind: &'static str, body: Vec<u8>) -> Response {
        Response { status: 200, kind, field: String::new(), body, rest: None }
    }

    pub fn error(status: u16, why: &str) -> Response {
        let body = format!("{status} {}: {why}\n", reason(status)).into_bytes();
        Response { status, ..Response::of("text/plain; charset=utf-8", body) }
    }

    pub fn not_allowed(allowed: &str) -> Response {
        let field = format!("allow: {allowed}\r\n");
        Response { field, ..Response::error(405, "this can't be done here") }
    }
}

pub fn push_head(output: &mut Vec<u8>, response: &Response, keep: bool) {
    let Response { status, kind, field, body, rest } = response;
    let length = body.len() as u64 + rest.as_ref().map_or(0, |(_, length)| *length);
    let connection = if keep { "" } else { "connection: close\r\n" };
    let (date, reason) = (Date::now(), reason(*status));
    let written = write!(
        output,
        "HTTP/1.1 {status} {reason}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\
         date: {date}\r\n{connection}{field}\r\n"
    );
    written.expect("a vector takes all");
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Content Too Large",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        431 => "Request Header Fields Too Large",
        505 => "HTTP Version Not Supported",
        _ => "Internal Server Error",
    }
}

/// Seconds since 1970, as HTTP writes them.
struct Date(u64);

impl Date {
    fn now() -> Date {
        Date(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
    }
}

impl std::fmt::Display for Date {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
        const MONTHS: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let (days, second) = (self.0 / 86_400, self.0 % 86_400);
        // Years that begin in March have their leap day last: then months repeat every five.
        let day = days + 719_468;
        let (era, of_era) = (day / 146_097, day % 146_097);
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let from_march = (5 * of_year + 2) / 153;
        let of_month = of_year - (153 * from_march + 2) / 5 + 1;
        let month = (from_march + 2) % 12;
        let year = era * 400 + year + u64::from(month < 2);
        write!(
            f,
            "{}, {of_month:02} {} {year:04} {:02}:{:02}:{:02} GMT",
            DAYS[days as usize % 7],
            MONTHS[month as usize],
            second / 3600,
            second / 60 % 60,
            second % 60
        )
    }
}
