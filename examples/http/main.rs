//! An HTTP/1.1 server: the files below a directory, and a JSON route; keep-alive and pipelining.
//!
//! `cargo run --release --example http -- 127.0.0.1:8080 docs`, then
//! `curl http://127.0.0.1:8080/README.md` and `curl http://127.0.0.1:8080/json`
//!
//! Each connection is a goroutine, written as one would for a thread: read a request, answer it.

mod connection;
mod files;
mod request;
mod response;
#[path = "../serve/mod.rs"]
mod serve;

use connection::Connection;
use files::Files;
use request::Request;
use response::Response;
use serve::Shutdown;
use std::process::ExitCode;

fn main() -> ExitCode {
    serve::main("http", &["ADDRESS", "DIRECTORY"], |options| {
        let files = Files::below(&options.words[1])?;
        let shutdown = Shutdown::default();
        serve::serve("http", &options, &shutdown, |stream| {
            let connection = Connection::new(&stream, &shutdown, options.timeout);
            // An error is the client's business: it left, or took too long.
            let _ = connection.and_then(|connection| connection.serve(|it| route(&files, it)));
        })
    })
}

/// What a request is answered with.
fn route(files: &Files, request: &Request<'_>) -> Response {
    let path = request.target.split('?').next().unwrap_or_default();
    match (path, request.method) {
        ("/json", "GET" | "HEAD") => Response::json(r#"{"message":"hello, world"}"#.to_owned()),
        ("/json", "POST") => Response::json(format!(r#"{{"received":{}}}"#, request.body.len())),
        ("/json", _) => Response::not_allowed("GET, HEAD, POST"),
        (path, "GET" | "HEAD") => files.answer(path),
        _ => Response::not_allowed("GET, HEAD"),
    }
}
