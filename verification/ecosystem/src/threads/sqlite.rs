//! SQLite by `rusqlite`: its C code, its locks, and transactions that wait for each other.

use super::{FEW, each, many_alive};
use rusqlite::{Connection, TransactionBehavior};
use selvedge::time;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let name = format!("selvedge-ecosystem-{}-{name}", std::process::id());
        let folder = Folder(std::env::temp_dir().join(name));
        std::fs::create_dir_all(&folder.0).expect("a folder");
        folder
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn open(folder: &Folder) -> Connection {
    let connection = Connection::open(folder.0.join("data")).expect("a database");
    // Longer than all transactions together, shorter than the watchdog.
    connection.busy_timeout(Duration::from_secs(20)).expect("a time");
    connection
}

/// Each holds the database's lock across a sleep. Those that wait for it do so in the kernel, and the one
/// that sleeps needs somebody to go on on.
#[test]
fn short_transactions_wait_for_each_other() {
    let folder = Arc::new(Folder::new("transactions"));
    open(&folder).execute("create table numbers (number integer)", ()).expect("a table");
    let own = Arc::clone(&folder);
    each(6, move |number| {
        let mut connection = open(&own);
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).expect("its turn");
        transaction.execute("insert into numbers values (?1)", [number as i64]).expect("a row");
        time::sleep(Duration::from_millis(10));
        transaction.commit().expect("an end");
    });
    let count = "select count(*), sum(number) from numbers";
    let found =
        open(&folder).query_row(count, (), |row| Ok::<(i64, i64), _>((row.get(0)?, row.get(1)?)));
    assert_eq!(found.expect("both"), (6, 15));
}

#[test]
fn databases_in_memory_are_ones_own() {
    each(FEW, |number| {
        let connection = Connection::open_in_memory().expect("a database");
        connection.execute("create table own (number integer)", ()).expect("a table");
        for turn in 0..10 {
            connection
                .execute("insert into own values (?1)", [(number + turn) as i64])
                .expect("a row");
            selvedge::yield_now();
        }
        let sum: i64 = connection
            .query_row("select sum(number) from own", (), |row| row.get(0))
            .expect("a sum");
        assert_eq!(sum, 10 * number as i64 + 45);
    });
}

#[test]
fn very_many_have_asked() {
    many_alive(|number| {
        let connection = Connection::open_in_memory().expect("a database");
        let number = number as i64;
        let twice: i64 =
            connection.query_row("select 2 * ?1", [number], |row| row.get(0)).expect("a number");
        assert_eq!(twice, 2 * number);
    });
}
