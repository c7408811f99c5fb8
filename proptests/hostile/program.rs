//! Program: what a seed stands for. A few actors, on runtimes and plain threads, take steps on shared
//! objects; and each piece of foreign code that the runtime calls in turn has acts of its own.

/// How many there are of each shared object.
pub const CHANNELS: usize = 4;
pub const TOKENS: usize = 3;
pub const KEYS: usize = 3;
pub const HELD: usize = 6;
/// The capacities of the channels; `None` is unbounded.
pub const CAPACITIES: [Option<usize>; CHANNELS] = [Some(0), Some(1), Some(3), None];

/// What foreign code does while it is called. Each waits for a limited time only, unless it ends the
/// process.
#[derive(Clone, Debug)]
pub enum Act {
    /// Panics, unless the thread is unwinding already: std would abort.
    Panic,
    /// As `Panic`, with a payload whose destructor panics with such a payload in turn, so many times.
    PanicBadly(u8),
    Yield,
    /// Microseconds in `time::sleep`.
    Sleep(u32),
    /// Microseconds in the kernel, unannounced.
    Block(u32),
    /// The thread is held up after so many more instructions.
    Slow(u32),
    Send(usize, Value),
    Receive(usize),
    Close(usize),
    Cancel(usize),
    /// A goroutine-local value is used.
    Touch(usize),
    /// A value with a destructor is put into a `thread_local!`.
    TouchThread,
    /// Joins some goroutine.
    Join,
    /// Detaches some goroutine.
    Detach,
    /// Gives some goroutine a permit.
    Unpark,
    Spawn(Value, Acts),
    PollHeld(usize, WakerSpec),
    DropHeld(usize),
    /// Drops the second runtime, wherever that is.
    EndRuntime,
    /// Shuts the second runtime down.
    ShutRuntime,
    Lock,
    Acquire,
    Notify,
    Blocking(Acts),
    NoSuspend(Acts),
    Scope(Acts),
    /// Performs acts, each of whose panics is caught.
    Calmly(Acts),
    /// Formats the objects by `Debug`.
    Print,
    /// Sends the process a signal that it handles.
    Raise,
    /// Ends the process with the code `run::EXITED`.
    Exit,
}

pub type Acts = Vec<Act>;

/// What a value does when it is dropped, and when it is formatted.
#[derive(Clone, Debug, Default)]
pub struct Value {
    pub drop: Acts,
    pub debug: Acts,
}

#[derive(Clone, Debug, Default)]
pub struct WakerSpec {
    pub clone: Acts,
    pub wake: Acts,
    pub drop: Acts,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// The runtime that lives as long as the program.
    Main,
    /// One that acts may end.
    Second,
    Thread,
}

/// What becomes of a join handle.
#[derive(Clone, Debug)]
pub enum Keep {
    /// It is put where anybody may join it.
    Shared,
    Detach,
    Join,
    JoinTimeout(u32),
    JoinCancel(usize),
    Await(WakerSpec),
    /// It is polled once and put among the held futures.
    Hold(usize, WakerSpec),
    /// As `Hold`, and the future is dropped at once.
    PollAndDrop(WakerSpec),
}

/// A goroutine, or on a plain thread an actor.
#[derive(Clone, Debug)]
pub struct Spawn {
    pub on: On,
    pub steps: Steps,
    /// The closure owns it.
    pub capture: Value,
    pub result: Value,
    /// Its thread is held up so many instructions after the closure's end, if that is not 0.
    pub late: u32,
    pub keep: Keep,
}

#[derive(Clone, Debug)]
pub struct Child {
    /// On the main runtime, whatever the parent's is.
    pub elsewhere: bool,
    pub acts: Acts,
    pub capture: Value,
    pub result: Value,
    /// Its thread is held up so many instructions after the result was dropped, if that is not 0.
    pub late: u32,
    pub keep: Keep,
}

#[derive(Clone, Debug)]
pub struct ScopeSpec {
    pub children: Vec<Child>,
    /// Polls the token of the scope before the body.
    pub token: Option<WakerSpec>,
    pub body: Acts,
}

#[derive(Clone, Copy, Debug)]
pub enum How {
    Plain,
    Try,
    Timeout(u32),
    Cancel(usize),
    /// By `block_on`.
    Awaited,
}

/// How a runtime is built.
#[derive(Clone, Debug)]
pub struct Build {
    pub processors: usize,
    /// Whether there is one kernel thread only.
    pub narrow: bool,
    pub limit: usize,
    /// Whether each panic of a goroutine aborts.
    pub aborts: bool,
    pub watchdog: Option<Hook>,
}

/// The watchdog's hook, and what it owns.
#[derive(Clone, Debug)]
pub struct Hook {
    pub acts: Acts,
    pub owns: Value,
}

#[derive(Clone, Debug)]
pub enum Limited {
    Mutex,
    Read,
    Write,
    Permits(usize),
    Condvar,
    Barrier,
    WaitGroup,
}

#[derive(Clone, Debug)]
pub enum Step {
    Do(Acts),
    Spawn(Box<Spawn>),
    Scope(ScopeSpec),
    Send(usize, Value, How),
    Receive(usize, How),
    /// A select: sends, evaluating the value by acts; or receives; for a limited time or until one is
    /// ready.
    Select {
        send: usize,
        value: Value,
        acts: Acts,
        receive: usize,
        limit: Option<u32>,
    },
    /// The same through `Select`, which may be let go without finishing.
    Selected {
        send: usize,
        value: Value,
        acts: Acts,
        finish: bool,
    },
    /// Futures that are polled once, and then held.
    HoldReceive(usize, usize, WakerSpec),
    HoldSend(usize, usize, Value, WakerSpec),
    HoldSleep(usize, u32, WakerSpec),
    HoldToken(usize, usize, WakerSpec),
    HoldTimer(usize, u32, WakerSpec),
    /// A future of the program's own, under `block_on`.
    BlockOn {
        polls: Vec<Acts>,
        drop: Value,
    },
    Limit(Limited, Acts),
    Once(Acts, Value),
    Blocking(Acts),
    Pinned(Acts),
    /// Within a closure that uses a goroutine-local value.
    WithLocal(usize, Acts),
    /// Keeps its kernel thread for so many microseconds: computing, or in the kernel.
    Hog(u32, bool),
    /// A second runtime, in place of what there was.
    BuildSecond(Build),
    /// A runtime of its own, on which it takes steps, and which it ends at once.
    Private(Build, Steps, bool),
    Timer(u32, Acts),
    HoldSignal(usize, WakerSpec),
    Odd(Odd, Acts, Value),
}

/// Other places where foreign code is called: `steps::others`.
#[derive(Clone, Copy, Debug)]
pub enum Odd {
    Deref,
    Instant,
    Name,
    Address,
    Argument,
    Iterator,
    IntoFuture,
    LastReceiver,
    Value,
    Replaced,
}

/// A step, and whether a panic of it ends the goroutine.
pub type Steps = Vec<(Step, bool)>;

/// What a program may do to its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It ends, and all is in order.
    Ends,
    /// So it is, or the process aborts after one of the documented words.
    MayAbort(&'static [&'static str]),
    /// So it is, or the process has exited, with the code `run::EXITED`.
    MayExit,
}

#[derive(Clone, Debug)]
pub struct Program {
    pub seed: u64,
    pub fate: Fate,
    pub second: Build,
    pub main_watchdog: Option<Hook>,
    pub panic_hook: Acts,
    pub makes: Vec<Acts>,
    pub clones: Acts,
    pub locals: Vec<Value>,
    pub thread_local: Value,
    pub actors: Vec<Spawn>,
}

/// The words before an abort.
pub const RESULT: &[&str] = &["the result of a goroutine panicked while dropped"];
pub const LOCAL: &[&str] = &["a goroutine-local value panicked while dropped"];
pub const POLICY: &[&str] = &["(panic policy)"];
/// std's.
pub const THREAD: &[&str] = &["thread local panicked on drop"];

impl Program {
    /// Whether a destructor of a thread-local may panic.
    pub fn lets_threads_abort(&self) -> bool {
        self.fate == Fate::MayAbort(THREAD)
    }

    /// Whether a goroutine may end by a panic whose payload's destructor panics.
    pub fn lets_payloads_pass(&self) -> bool {
        self.fate == Fate::MayAbort(RESULT)
    }
}
