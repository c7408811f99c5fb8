//! Template: the content of a new block.
//! Two donors are compared word by word. A word that is equal in both blocks is a constant. A word that
//! differs by the distance of the donors' thread pointers is a pointer into the block itself. The other words
//! are few: the vector of modules, the links of the C library's list of threads, the thread's number, the
//! thread's stack, and the argument of the thread's first function. If any other word differs, this C library
//! is not understood, and no template is made. [C8]
//! Checked by: src/fiber/thread_locals/tests.rs.

use super::compare::Compared;
use super::donor::{Donor, STACKS};
use super::error::ThreadLocalsError;
use super::late::{Loaded, loaded};
use super::learn;
use super::learn::{Learnt, Offset, Range};
use super::pointer;
use super::symbols::Symbols;
use std::ptr;

/// The word that points to the vector of modules, by the ABI.
pub(super) const VECTOR: Offset = 8;
/// The shortest run of zeros that is checked before it is written, and the step of the checks.
pub(super) const ZEROS: usize = 4096;

/// The content of a new block: see the head of this file.
pub(super) struct Template {
    pub(super) range: Range,
    /// The number of bytes below the thread pointer that frames must not use. These are the bytes of the variables
    /// now, and bytes for libraries that are loaded later.
    pub(super) room: usize,
    pub(super) align: usize,
    pub(super) image: Vec<u64>,
    /// Words that point into the block, and the distance from the thread pointer to the target.
    pub(super) selves: Vec<(Offset, isize)>,
    pub(super) stack_low: Vec<Offset>,
    pub(super) stack_high: Vec<Offset>,
    pub(super) stack_size: Vec<Offset>,
    /// The offset of two links. In a block that is in no list, both links point to the first link.
    pub(super) list: Offset,
    /// The thread's number, which has four bytes.
    pub(super) number: Offset,
    pub(super) vector: Vector,
    /// The parts below the thread pointer that are renewed for the next goroutine, and the words of `selves`
    /// that lie in them.
    pub(super) renewed: Vec<(Offset, Offset)>,
    pub(super) renewed_selves: Vec<(Offset, isize)>,
    /// Parts that are set to zero page by page instead, and only where they are not zero already. So a large
    /// variable that is never touched takes no memory.
    pub(super) zeros: Vec<(Offset, Offset)>,
    /// True if some modules have their variables elsewhere. These variables are made for each thread on demand.
    pub(super) has_dynamic: bool,
    /// All modules with thread-local variables.
    pub(super) known: Vec<Loaded>,
    pub(super) learnt: Learnt,
    pub(super) symbols: Symbols,
}

/// The vector that leads to each module's variables: a count, a generation, and then two words per module.
pub(super) struct Vector {
    pub(super) words: Vec<u64>,
    pub(super) selves: Vec<(usize, isize)>,
}

/// The static thread-local variables of a module.
struct Module {
    from: Offset,
    to: Offset,
    align: usize,
    is_c_library: bool,
}

impl Template {
    /// Makes the template. Tries again if another thread on a stack of its own has come between the donors in
    /// the C library's list.
    pub(super) fn make() -> Result<Template, ThreadLocalsError> {
        const TRIES: usize = 4;
        let mut stacks = STACKS.into_iter();
        let mut stack = STACKS[0];
        let mut tries = 1;
        loop {
            match Template::try_to_make(stack) {
                // The stack is too small for the variables, so a larger stack is tried.
                Err(ThreadLocalsError::Thread { errno: libc::EINVAL }) if stacks.len() > 0 => {
                    stack = stacks.next().expect("just counted");
                }
                Err(_) if tries < TRIES => tries += 1,
                made => return made,
            }
        }
    }

    fn try_to_make(stack: usize) -> Result<Template, ThreadLocalsError> {
        if !learn::is_self_pointing() {
            return Err(layout("the thread pointer does not point to itself", 0));
        }
        let symbols = Symbols::find()?;
        let (one, two) = (Donor::start(stack)?, Donor::start(stack)?);
        if one.above() != two.above() || one.above() > STACKS[0] / 4 {
            return Err(layout("control blocks of different sizes", one.above() as isize));
        }
        let room = one.below().max(two.below());
        let range = Range { below: room, above: one.above() & !7, rseq: learn::rseq() };
        let vector = Vector::compare(&one, &two, range)?;
        let loaded = loaded();
        let modules = modules(&loaded, &vector);
        // The words of restartable sequences lie among the variables (2.41 and later) or in the control
        // block.
        let lowest =
            modules.iter().map(|module| module.from).chain(range.rseq.map(|rseq| rseq.from));
        let used = lowest.map(|from| -from).max().unwrap_or(0).max(0) as usize;
        let range = Range { below: used.next_multiple_of(64), ..range };
        let align = modules.iter().map(|module| module.align).max().unwrap_or(0).max(64);
        let mut compared = Compared::new(&one, &two, range)?;
        compared.set_rseq();
        compared.check_guards()?;
        let mut learnt = learn::learn(&two, range, &symbols, &compared.image)?;
        learnt.allocator.append(&mut compared.kernel_threads);
        let renewed = renewed(&modules, range, &learnt);
        let [zeros, renewed] = split(&renewed, |from, to| {
            runs_of_zeros(&compared.image[range.word(from)..range.word(to)], from)
        });
        let is_renewed =
            |offset: &Offset| renewed.iter().any(|(from, to)| (from..to).contains(&offset));
        let Compared { image, selves, stack_low, stack_high, stack_size, list, number, .. } =
            compared;
        let renewed_selves = selves.iter().copied().filter(|(at, _)| is_renewed(at)).collect();
        let number = number.ok_or(layout("the thread's number is not found", 0))?;
        let list = list.ok_or(layout("the links of the list of threads are not found", 0))?;
        Ok(Template {
            range,
            room,
            align,
            image,
            stack_low,
            stack_high,
            stack_size,
            list,
            number,
            vector,
            renewed_selves,
            renewed,
            zeros,
            has_dynamic: modules.len() < loaded.len(),
            known: loaded,
            selves,
            learnt,
            symbols,
        })
    }
}

pub(super) fn layout(what: &'static str, offset: Offset) -> ThreadLocalsError {
    ThreadLocalsError::Layout { what, offset }
}

impl Vector {
    /// Returns the offset of the variables of the module with this number, if they lie in the block.
    fn place_of(&self, number: usize) -> Option<Offset> {
        let word = 2 * (number + 1);
        self.selves.iter().find(|(at, _)| *at == word).map(|(_, distance)| *distance)
    }

    fn compare(one: &Donor, two: &Donor, range: Range) -> Result<Vector, ThreadLocalsError> {
        let words = Vector::of(one, range);
        let others = Vector::of(two, range);
        if words.len() != others.len() || words.len() < 4 || words.len() > 1 << 16 {
            return Err(layout("vectors of modules of different sizes", VECTOR));
        }
        let mut selves = Vec::new();
        let inside = -(range.below as isize)..range.above as isize;
        let pairs = words.iter().copied().zip(others).enumerate();
        for (word, (a, b)) in pairs {
            let distance = a.wrapping_sub(one.thread_pointer() as u64) as isize;
            if a == b {
                continue;
            }
            if !inside.contains(&distance)
                || b.wrapping_sub(two.thread_pointer() as u64) as isize != distance
            {
                return Err(layout("a module's variables lie outside of the block", VECTOR));
            }
            selves.push((word, distance));
        }
        Ok(Vector { words, selves })
    }

    /// Returns the words of a donor's vector.
    pub(super) fn of(donor: &Donor, range: Range) -> Vec<u64> {
        let pointer = donor.image(range.below, range.above)[range.word(VECTOR)];
        let vector = ptr::with_exposed_provenance::<u64>(pointer as usize);
        // SAFETY: `vector` comes from the donor's control block, and the donor waits. By the C library's ABI, the
        // number of modules is two words before it, and a generation and two words per module follow.
        unsafe {
            let modules = vector.sub(2).read_volatile() as usize;
            let words = 2 * (modules.min(1 << 14) + 2);
            (0..words).map(|word| vector.sub(2).add(word).read_volatile()).collect()
        }
    }
}

/// Returns the modules that have their variables in the block, according to the vector of a new thread.
fn modules(all: &[Loaded], vector: &Vector) -> Vec<Module> {
    let module = |loaded: &Loaded| {
        // The variables of other modules are made on demand for each thread that uses them.
        let from = vector.place_of(loaded.number)?;
        let to = from + loaded.bytes as isize;
        Some(Module {
            from: from & !7,
            to: (to + 7) & !7,
            align: loaded.align,
            is_c_library: holds_errno(from..to),
        })
    };
    all.iter().filter_map(module).collect()
}

/// Returns true if the calling thread's `errno` is among these variables.
fn holds_errno(variables: std::ops::Range<Offset>) -> bool {
    // SAFETY: the call takes no argument.
    let errno = unsafe { libc::__errno_location() }.addr() as isize - pointer::read() as isize;
    variables.contains(&errno)
}

/// Returns the parts to renew: everything below the thread pointer except the C library's own variables. In a
/// statically linked program, the C library's variables lie among the others. Then everything is renewed
/// except the words that own memory and the words of the allocator. The keys of hash maps always stay.
fn renewed(modules: &[Module], range: Range, learnt: &Learnt) -> Vec<(Offset, Offset)> {
    let words = |offsets: &[Offset]| offsets.iter().map(|&o| (o, o + 8)).collect::<Vec<_>>();
    let mut kept = words(&learnt.hash_keys);
    kept.extend(range.rseq.map(|rseq| (rseq.from, rseq.to)));
    if cfg!(target_feature = "crt-static") {
        kept.extend(words(&learnt.owners));
        kept.extend(words(&learnt.allocator));
    } else {
        kept.extend(modules.iter().filter(|m| m.is_c_library).map(|m| (m.from, m.to)));
    }
    // The control block, from the thread pointer on, stays as it is.
    kept.retain(|&(from, _)| from < 0);
    kept.sort_unstable();
    let mut parts = Vec::new();
    let mut from = -(range.below as isize);
    for (begin, end) in kept.into_iter().chain([(0, 0)]) {
        if begin > from {
            parts.push((from, begin));
        }
        from = from.max(end);
    }
    parts
}

/// Splits each part into the ranges that `pick` returns for it, in order, and the rest.
fn split(
    parts: &[(Offset, Offset)],
    pick: impl Fn(Offset, Offset) -> Vec<(Offset, Offset)>,
) -> [Vec<(Offset, Offset)>; 2] {
    let (mut picked, mut rest) = (Vec::new(), Vec::new());
    for &(mut from, to) in parts {
        for (begin, end) in pick(from, to).into_iter().chain([(to, to)]) {
            if begin > from {
                rest.push((from, begin));
            }
            if end > begin {
                picked.push((begin, end));
            }
            from = end;
        }
    }
    [picked, rest]
}

/// Returns the runs of zeros that have at least the size of a page.
fn runs_of_zeros(words: &[u64], from: Offset) -> Vec<(Offset, Offset)> {
    let mut runs = Vec::new();
    let mut at = 0;
    for run in words.chunk_by(|&a, &b| (a == 0) == (b == 0)) {
        if run[0] == 0 && run.len() * 8 >= ZEROS {
            let begin = from + 8 * at as isize;
            runs.push((begin, begin + 8 * run.len() as isize));
        }
        at += run.len();
    }
    runs
}
