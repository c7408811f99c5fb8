//! What a program should not do, or does at the edge of what it may: each is answered by a clear error, or
//! a panic that says what to do. Zero ticks: `ticks`; double close: `channels`; no arm: `select`; below
//! zero and poison: proptests/sync.

use crate::common::{everywhere, finish, panic_of};
use selvedge::chan::{MOST_ARMS, RecvError, Select, SendError, bounded, unbounded};
use selvedge::model::simulate_seeds;
use selvedge::sync::{Mutex, Semaphore, WaitError};
use selvedge::{CancelToken, Cancelled, go, park_cancel, scope, select, time, yield_now};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn the_macro_takes_64_arms() {
    simulate_seeds(0..20, || {
        let (tx, rx): (Vec<_>, Vec<_>) = (0..MOST_ARMS).map(|_| unbounded::<usize>()).unzip();
        let choose = || {
            select! {
                recv(rx[0]) -> got => (0, got), recv(rx[1]) -> got => (1, got),
                recv(rx[2]) -> got => (2, got), recv(rx[3]) -> got => (3, got),
                recv(rx[4]) -> got => (4, got), recv(rx[5]) -> got => (5, got),
                recv(rx[6]) -> got => (6, got), recv(rx[7]) -> got => (7, got),
                recv(rx[8]) -> got => (8, got), recv(rx[9]) -> got => (9, got),
                recv(rx[10]) -> got => (10, got), recv(rx[11]) -> got => (11, got),
                recv(rx[12]) -> got => (12, got), recv(rx[13]) -> got => (13, got),
                recv(rx[14]) -> got => (14, got), recv(rx[15]) -> got => (15, got),
                recv(rx[16]) -> got => (16, got), recv(rx[17]) -> got => (17, got),
                recv(rx[18]) -> got => (18, got), recv(rx[19]) -> got => (19, got),
                recv(rx[20]) -> got => (20, got), recv(rx[21]) -> got => (21, got),
                recv(rx[22]) -> got => (22, got), recv(rx[23]) -> got => (23, got),
                recv(rx[24]) -> got => (24, got), recv(rx[25]) -> got => (25, got),
                recv(rx[26]) -> got => (26, got), recv(rx[27]) -> got => (27, got),
                recv(rx[28]) -> got => (28, got), recv(rx[29]) -> got => (29, got),
                recv(rx[30]) -> got => (30, got), recv(rx[31]) -> got => (31, got),
                recv(rx[32]) -> got => (32, got), recv(rx[33]) -> got => (33, got),
                recv(rx[34]) -> got => (34, got), recv(rx[35]) -> got => (35, got),
                recv(rx[36]) -> got => (36, got), recv(rx[37]) -> got => (37, got),
                recv(rx[38]) -> got => (38, got), recv(rx[39]) -> got => (39, got),
                recv(rx[40]) -> got => (40, got), recv(rx[41]) -> got => (41, got),
                recv(rx[42]) -> got => (42, got), recv(rx[43]) -> got => (43, got),
                recv(rx[44]) -> got => (44, got), recv(rx[45]) -> got => (45, got),
                recv(rx[46]) -> got => (46, got), recv(rx[47]) -> got => (47, got),
                recv(rx[48]) -> got => (48, got), recv(rx[49]) -> got => (49, got),
                recv(rx[50]) -> got => (50, got), recv(rx[51]) -> got => (51, got),
                recv(rx[52]) -> got => (52, got), recv(rx[53]) -> got => (53, got),
                recv(rx[54]) -> got => (54, got), recv(rx[55]) -> got => (55, got),
                recv(rx[56]) -> got => (56, got), recv(rx[57]) -> got => (57, got),
                recv(rx[58]) -> got => (58, got), recv(rx[59]) -> got => (59, got),
                recv(rx[60]) -> got => (60, got), recv(rx[61]) -> got => (61, got),
                recv(rx[62]) -> got => (62, got), recv(rx[63]) -> got => (63, got),
            }
        };
        for arm in [0, 1, 31, 62, 63] {
            tx[arm].send(arm * 2).unwrap();
            assert_eq!(choose(), (arm, Ok(arm * 2)));
        }
        // In a simulation it comes before the value, and waits, or after it.
        scope(|s| {
            let chosen = s.go(choose);
            yield_now();
            tx[63].send(7).unwrap();
            assert_eq!(chosen.join().unwrap(), (63, Ok(7)));
        });
        let mut select = Select::new();
        rx.iter().for_each(|rx| _ = select.recv(rx));
        let said = panic_of(|| select.send(&tx[0]));
        assert!(said.contains("a select has at most 64 arms: split it"), "{said}");
    });
}

#[test]
fn who_waits_learns_that_the_other_end_is_gone() {
    simulate_seeds(0..50, || {
        let (tx, rx) = bounded::<u8>(0);
        let receivers = [rx.clone(), rx].map(|rx| go(move || rx.recv()));
        yield_now();
        drop(tx);
        for receiver in receivers {
            assert_eq!(receiver.join().unwrap(), Err(RecvError));
        }

        let (tx, rx) = bounded(0);
        let senders = [(1, tx.clone()), (2, tx)].map(|(n, tx)| go(move || tx.send(n)));
        yield_now();
        drop(rx);
        let answers = senders.map(|sender| sender.join().unwrap());
        assert_eq!(answers, [Err(SendError(1)), Err(SendError(2))]);
    });
}

#[test]
fn a_cancelled_token_may_be_used_again_and_ends_whatever_begins() {
    everywhere(|_, runtime| {
        runtime.run(|| {
            let token = CancelToken::new();
            token.cancel();
            token.cancel();
            let (tx, rx) = bounded(2);
            tx.send(1).unwrap();
            assert!(rx.recv_cancel(&token).unwrap_err().is_cancelled(), "though a value is there");
            assert!(tx.send_cancel(2, &token).unwrap_err().is_cancelled(), "though there is room");
            assert_eq!(time::sleep_cancel(HOUR, &token), Err(Cancelled));
            assert_eq!(
                time::sleep_cancel(Duration::ZERO, &token),
                Err(Cancelled),
                "though it ends"
            );
            assert_eq!(park_cancel(&token), Err(Cancelled));
            assert!(Mutex::new(0).lock_cancel(&token).is_err(), "though it is free");
            let semaphore = Semaphore::new(1);
            assert_eq!(semaphore.acquire_cancel(1, &token).err(), Some(WaitError::Cancelled));
            assert_eq!(token.done().recv(), Ok(()), "as often as it is asked for");
            assert_eq!(token.done().recv(), Ok(()));
            token.wait();
            assert_eq!(token.child_with_timeout(HOUR).check(), Err(Cancelled));
        });
        finish(runtime);
    });
}
