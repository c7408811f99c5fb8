//! A run in words: goroutines and what they did to channels, locks and each other.

use crate::observe::run_log::{Event, Holder, Object, Place, Run, State, What};
use std::time::Duration;

/// The goroutines that have not ended, and what each of them does.
pub(super) fn alive(run: &Run) -> Vec<String> {
    let mut lines = Vec::new();
    for (id, record) in (1..).zip(&run.goroutines) {
        if record.state == State::Ended {
            continue;
        }
        let spawned = record.spawned.map(|place| format!(", spawned at {}", short(place)));
        let doing = match record.doing.as_ref().map(|event| doing(run, event)) {
            None => "has done nothing yet".to_owned(),
            Some(doing) if record.state == State::Waiting => {
                format!("waits: {doing}{}", held_by(run, id))
            }
            Some(doing) => format!("runs; last: {doing}"),
        };
        lines.push(format!("{}{}: {doing}", who(run, id), spawned.unwrap_or_default()));
    }
    lines
}

/// Every step. What a step leads to at once stands in its line.
pub(super) fn history(run: &Run) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    // The goroutine of the last line.
    let mut last = 0;
    let mut doing = vec![None; run.goroutines.len() + 1];
    for event in &run.events {
        if let What::Op(..) | What::Select(..) = event.what {
            doing[event.who as usize] = Some(&event.what);
        }
        let continues = last == event.who && event.who != 0;
        let more = match &event.what {
            What::Waits => Some("waits".to_owned()),
            What::Says(outcome) => Some((*outcome).to_owned()),
            What::Chooses(object, part) => Some(format!("{part}{}", of_object(run, *object))),
            What::Panics(message) => Some(format!("panics: {}", message.replace('\n', ";"))),
            _ => None,
        };
        match (more, lines.last_mut()) {
            (Some(more), Some(line)) if continues => {
                line.push_str(": ");
                line.push_str(&more);
            }
            (more, _) => {
                let text = more.unwrap_or_else(|| step(run, event));
                // It comes to wait long after it has begun what it does.
                let text = match doing[event.who as usize] {
                    Some(what) if event.what == What::Waits => {
                        format!("waits, to {}", deed(run, what))
                    }
                    _ => text,
                };
                let begin = if event.who == 0 { "time".to_owned() } else { who(run, event.who) };
                lines.push(format!("{begin}: {text}"));
            }
        }
        last = event.who;
    }
    lines
}

/// The holder of the lock for which goroutine `id` waits.
fn held_by(run: &Run, id: u32) -> String {
    let holder = |holder: &Holder| {
        let since = short(holder.place);
        match holder.who {
            own if own == id => format!(", which it has itself since {since}"),
            other => format!(", which {} has since {since}", who(run, other)),
        }
    };
    run.holders_before(id).map(holder).collect()
}

fn of_object(run: &Run, object: Option<Object>) -> String {
    object.map(|object| format!(" {}", named(run, object))).unwrap_or_default()
}

fn step(run: &Run, event: &Event) -> String {
    match &event.what {
        What::Op(..) | What::Select(..) => doing(run, event),
        What::GoesOn => "is woken".to_owned(),
        What::Ends => "ends".to_owned(),
        What::Time(nanos) => format!("{:?} have passed", Duration::from_nanos(*nanos)),
        What::Waits | What::Says(_) | What::Chooses(..) | What::Panics(_) => String::new(),
    }
}

fn doing(run: &Run, event: &Event) -> String {
    // What an iterator of std's calls has no place in the program.
    let place = event.place.filter(|place| !place.file().starts_with("/rustc/"));
    let place = place.map(|place| format!(" at {}", short(place))).unwrap_or_default();
    format!("{}{place}", deed(run, &event.what))
}

/// What is done, and to what.
fn deed(run: &Run, what: &What) -> String {
    match what {
        What::Op(verb, object) => format!("{verb}{}", of_object(run, *object)),
        What::Select(verb, arms) => {
            let arm = |(object, part): &_| format!("{} ({part})", named(run, *object));
            format!("{verb} {}", arms.iter().map(arm).collect::<Vec<_>>().join(", "))
        }
        _ => String::new(),
    }
}

fn named(run: &Run, (kind, number): Object) -> String {
    if kind == "goroutine" { who(run, number) } else { format!("{kind} {number}") }
}

fn who(run: &Run, id: u32) -> String {
    let record = run.goroutines.get((id as usize).wrapping_sub(1));
    match record.and_then(|record| record.name.as_deref()) {
        Some(name) => format!("goroutine {id} {name:?}"),
        None => format!("goroutine {id}"),
    }
}

fn short(place: Place) -> String {
    format!("{}:{}", place.file(), place.line())
}
