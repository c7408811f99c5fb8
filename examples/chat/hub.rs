//! Hub: knows who is in which room, and tells them what is said there.

use selvedge::chan::{Receiver, Sender};
use selvedge::{CancelToken, select};
use std::collections::{BTreeMap, HashMap};
use tungstenite::Utf8Bytes;

/// What clients tell the hub.
pub enum Event {
    Join { room: String, id: u64, member: Member },
    Say { room: String, id: u64, text: Utf8Bytes },
    Leave { room: String, id: u64 },
}

/// What a client's writer is told.
pub enum Outgoing {
    Text(Utf8Bytes),
    /// Frames as they are: what the client's reader answers by itself.
    Raw(Vec<u8>),
    /// The server goes.
    Away,
}

pub struct Member {
    pub name: String,
    pub out: Sender<Outgoing>,
    /// Ends the client's two goroutines.
    pub gone: CancelToken,
}

#[derive(Default)]
struct Room(BTreeMap<u64, Member>);

/// Until all clients have gone, and nobody can come any more.
pub fn run(events: &Receiver<Event>, stop: &CancelToken) {
    let mut rooms: HashMap<String, Room> = HashMap::new();
    let mut open = true;
    loop {
        let event = if open {
            select! {
                recv(events) -> event => event,
                cancel(stop) => {
                    open = false;
                    rooms.values().for_each(Room::close);
                    continue;
                }
            }
        } else {
            events.recv()
        };
        match event {
            Ok(Event::Join { room, id, member }) => {
                let room = rooms.entry(room).or_default();
                room.join(id, member);
                if !open {
                    room.close();
                }
            }
            Ok(Event::Say { room, id, text }) => {
                if let Some(room) = rooms.get(&room)
                    && let Some(member) = room.0.get(&id)
                {
                    room.tell(format!("{}: {text}", member.name).into());
                }
            }
            Ok(Event::Leave { room: name, id }) => {
                let Some(room) = rooms.get_mut(&name) else { continue };
                if let Some(member) = room.0.remove(&id) {
                    room.tell(format!("* {} has left", member.name).into());
                }
                if room.0.is_empty() {
                    rooms.remove(&name);
                }
            }
            Err(_) => return,
        }
    }
}

impl Room {
    fn join(&mut self, id: u64, member: Member) {
        let names = self.0.values().map(|member| &*member.name).collect::<Vec<_>>().join(", ");
        let here = if names.is_empty() { "nobody".to_owned() } else { names };
        send(&member, Outgoing::Text(format!("* you are {}; here: {here}", member.name).into()));
        self.tell(format!("* {} has come", member.name).into());
        self.0.insert(id, member);
    }

    fn tell(&self, text: Utf8Bytes) {
        self.0.values().for_each(|member| send(member, Outgoing::Text(text.clone())));
    }

    fn close(&self) {
        self.0.values().for_each(|member| send(member, Outgoing::Away));
    }
}

/// Never waits: who takes so long that there is no room any more is sent away, and leaves by itself.
fn send(member: &Member, out: Outgoing) {
    if member.out.try_send(out).is_err() {
        member.gone.cancel();
    }
}
