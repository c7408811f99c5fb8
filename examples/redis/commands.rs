//! Commands: what each does, and answers. Where the real one and this differ, its word is followed.

use crate::resp::{array, bulk, error, integer, nil, number, simple};
use crate::store::{Store, after};
use std::time::Instant;

pub enum Next {
    Go,
    Quit,
}

/// An answer that is an error: its first word, and the rest.
struct Refused(&'static str, String);

type Answer = Result<(), Refused>;

/// Executes a command, and writes its answer. Without a word it is none, and has none.
pub fn execute(store: &Store, words: &[&[u8]], output: &mut Vec<u8>) -> Next {
    let Some((name, arguments)) = words.split_first() else { return Next::Go };
    let name = String::from_utf8_lossy(name).to_ascii_uppercase();
    if name == "QUIT" {
        simple(output, "OK");
        return Next::Quit;
    }
    if let Err(Refused(kind, why)) = answer(store, &name, arguments, output) {
        error(output, kind, &why);
    }
    Next::Go
}

fn answer(store: &Store, name: &str, arguments: &[&[u8]], output: &mut Vec<u8>) -> Answer {
    match (name, arguments) {
        ("GET", [key]) => match store.shard(key).get(key) {
            Some(entry) => bulk(output, &entry.value),
            None => nil(output),
        },
        ("SET", [key, value, options @ ..]) => return set(store, key, value, options, output),
        ("INCR", [key]) => return add(store, key, 1, output),
        ("DECR", [key]) => return add(store, key, -1, output),
        ("INCRBY", [key, by]) => return add(store, key, whole(by)?, output),
        ("DECRBY", [key, by]) => {
            let by = whole(by)?.checked_neg();
            return add(store, key, by.ok_or_else(overflow)?, output);
        }
        ("DEL" | "UNLINK", [_, ..]) => {
            let removed = arguments.iter().filter(|key| store.shard(key).remove(key)).count();
            integer(output, removed as i64);
        }
        ("EXISTS", [_, ..]) => {
            let there = arguments.iter().filter(|key| store.shard(key).get(key).is_some()).count();
            integer(output, there as i64);
        }
        ("EXPIRE", [key, seconds]) => {
            return expire(store, key, whole(seconds)?.checked_mul(1000), output);
        }
        ("PEXPIRE", [key, millis]) => return expire(store, key, Some(whole(millis)?), output),
        ("TTL", [key]) => integer(output, left(store, key, 1000)),
        ("PTTL", [key]) => integer(output, left(store, key, 1)),
        ("PERSIST", [key]) => {
            let mut shard = store.shard(key);
            let until = shard.get_mut(key).and_then(|entry| entry.until.take());
            integer(output, i64::from(until.is_some()));
        }
        ("APPEND", [key, more]) => {
            let mut shard = store.shard(key);
            let length = match shard.get_mut(key) {
                Some(entry) => {
                    entry.value.extend_from_slice(more);
                    entry.value.len()
                }
                None => {
                    shard.set(key, more, None);
                    more.len()
                }
            };
            integer(output, length as i64);
        }
        ("STRLEN", [key]) => {
            let length = store.shard(key).get(key).map_or(0, |entry| entry.value.len());
            integer(output, length as i64);
        }
        ("MGET", [_, ..]) => {
            array(output, arguments.len());
            for key in arguments {
                match store.shard(key).get(key) {
                    Some(entry) => bulk(output, &entry.value),
                    None => nil(output),
                }
            }
        }
        // One after another: others may see some of them.
        ("MSET", [_, ..]) if arguments.len().is_multiple_of(2) => {
            arguments.chunks(2).for_each(|pair| store.shard(pair[0]).set(pair[0], pair[1], None));
            simple(output, "OK");
        }
        ("DBSIZE", []) => integer(output, store.len() as i64),
        ("FLUSHALL" | "FLUSHDB", _) => {
            store.clear();
            simple(output, "OK");
        }
        _ => return of_the_connection(name, arguments, output),
    }
    Ok(())
}

/// What touches no key.
fn of_the_connection(name: &str, arguments: &[&[u8]], output: &mut Vec<u8>) -> Answer {
    match (name, arguments) {
        ("PING", []) => simple(output, "PONG"),
        ("PING" | "ECHO", [word]) => bulk(output, word),
        ("SELECT", [index]) if *index == b"0" => simple(output, "OK"),
        ("SELECT", [_]) => return Err(Refused("ERR ", "DB index is out of range".into())),
        ("COMMAND", [sub, ..]) if sub.eq_ignore_ascii_case(b"COUNT") => integer(output, 0),
        ("COMMAND", _) => array(output, 0),
        // Its tools ask for `save` and `appendonly`: nothing here is ever saved.
        ("CONFIG", [sub, patterns @ ..]) if sub.eq_ignore_ascii_case(b"GET") => {
            let known = |pattern: &&&[u8]| [&b"save"[..], b"appendonly"].contains(&**pattern);
            let known: Vec<_> = patterns.iter().filter(known).collect();
            array(output, known.len() * 2);
            for pattern in known {
                bulk(output, pattern);
                bulk(output, if **pattern == b"save"[..] { b"" } else { b"no" });
            }
        }
        ("CLIENT", [sub, ..]) if sub.to_ascii_uppercase().starts_with(b"SET") => {
            simple(output, "OK");
        }
        ("INFO", _) => bulk(output, b"# Server\r\nredis_version:0.0.0\r\n"),
        ("HELLO", [] | [b"2", ..]) => {
            array(output, 4);
            [&b"server"[..], b"selvedge", b"proto"].iter().for_each(|word| bulk(output, word));
            integer(output, 2);
        }
        ("HELLO", _) => return Err(Refused("NOPROTO ", "unsupported protocol version".into())),
        _ if KNOWN.contains(&name) => {
            let why = format!("wrong number of arguments for '{}' command", name.to_lowercase());
            return Err(Refused("ERR ", why));
        }
        _ => {
            let name: String = name.chars().take(128).collect();
            return Err(Refused("ERR ", format!("unknown command '{name}'")));
        }
    }
    Ok(())
}

const KNOWN: [&str; 26] = [
    "GET", "SET", "INCR", "DECR", "INCRBY", "DECRBY", "DEL", "UNLINK", "EXISTS", "EXPIRE",
    "PEXPIRE", "TTL", "PTTL", "PERSIST", "APPEND", "STRLEN", "MGET", "MSET", "DBSIZE", "PING",
    "ECHO", "SELECT", "CONFIG", "CLIENT", "INFO", "HELLO",
];

fn whole(word: &[u8]) -> Result<i64, Refused> {
    let why = || Refused("ERR ", "value is not an integer or out of range".into());
    number(word).ok_or_else(why)
}

fn overflow() -> Refused {
    Refused("ERR ", "increment or decrement would overflow".into())
}

fn set(
    store: &Store,
    key: &[u8],
    value: &[u8],
    mut options: &[&[u8]],
    output: &mut Vec<u8>,
) -> Answer {
    let syntax = || Refused("ERR ", "syntax error".into());
    let (mut only, mut until, mut keep, mut old) = (None, None, false, false);
    while let [option, rest @ ..] = options {
        options = rest;
        match (&*option.to_ascii_uppercase(), rest) {
            (b"NX", _) if only.is_none() => only = Some(false),
            (b"XX", _) if only.is_none() => only = Some(true),
            (b"KEEPTTL", _) if until.is_none() => keep = true,
            (b"GET", _) => old = true,
            (unit @ (b"EX" | b"PX"), [time, rest @ ..]) if until.is_none() && !keep => {
                options = rest;
                let factor = if unit == b"EX" { 1000 } else { 1 };
                let millis = whole(time)?.checked_mul(factor).filter(|millis| *millis > 0);
                let wrong = || Refused("ERR ", "invalid expire time in 'set' command".into());
                until = Some(millis.and_then(after).ok_or_else(wrong)?);
            }
            _ => return Err(syntax()),
        }
    }
    let mut shard = store.shard(key);
    let there = shard.get(key);
    let allowed = only.is_none_or(|only_there| only_there == there.is_some());
    if keep {
        until = there.and_then(|entry| entry.until);
    }
    match (old, there) {
        (true, Some(entry)) => bulk(output, &entry.value),
        (true, None) => nil(output),
        (false, _) if allowed => simple(output, "OK"),
        (false, _) => nil(output),
    }
    if allowed {
        shard.set(key, value, until);
    }
    Ok(())
}

fn add(store: &Store, key: &[u8], by: i64, output: &mut Vec<u8>) -> Answer {
    let mut shard = store.shard(key);
    let entry = shard.get(key);
    let (now, until) = match entry {
        Some(entry) => (whole(&entry.value)?, entry.until),
        None => (0, None),
    };
    let sum = now.checked_add(by).ok_or_else(overflow)?;
    shard.set(key, sum.to_string().as_bytes(), until);
    integer(output, sum);
    Ok(())
}

fn expire(store: &Store, key: &[u8], millis: Option<i64>, output: &mut Vec<u8>) -> Answer {
    let wrong = || Refused("ERR ", "invalid expire time".into());
    let millis = millis.ok_or_else(wrong)?;
    let mut shard = store.shard(key);
    let there = match shard.get_mut(key) {
        None => false,
        // It is over already.
        Some(_) if millis <= 0 => shard.remove(key),
        Some(entry) => {
            entry.until = Some(after(millis).ok_or_else(wrong)?);
            true
        }
    };
    integer(output, i64::from(there));
    Ok(())
}

/// How long a key has left, in so many milliseconds each, rounded; -1: for ever; -2: there is none.
fn left(store: &Store, key: &[u8], unit: i64) -> i64 {
    let shard = store.shard(key);
    let Some(entry) = shard.get(key) else { return -2 };
    let Some(until) = entry.until else { return -1 };
    let millis = until.saturating_duration_since(Instant::now()).as_millis() as i64;
    (millis + unit / 2) / unit
}
