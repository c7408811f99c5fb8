//! A server of named totals on 127.0.0.1:7878.

mod server;
mod store;

use selvedge::net::TcpListener;
use selvedge::{CancelToken, Runtime, scope, signal};
use std::time::Duration;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = Runtime::new()?;
    runtime.run(|| {
        let interrupted = signal::ctrl_c()?;
        let listener = TcpListener::bind("127.0.0.1:7878")?;
        println!("listening on {}", listener.local_addr()?);
        let store = store::Store::default();
        let stop = CancelToken::new();
        scope(|s| {
            s.go(|| {
                let _ = interrupted.recv();
                stop.cancel();
            });
            let answer = |line: &str, token: &CancelToken| store.answer(line, token);
            server::serve(&listener, &stop, &answer);
        });
        std::io::Result::Ok(())
    })?;
    runtime.shutdown(Duration::from_secs(5))?;
    Ok(())
}
