//! Lexer: takes the comments of a Rust file apart from its code, line by line.
//! Knows strings, raw strings, characters, lifetimes, and comments that nest.

/// One line, twice: what is code (what stands in strings left out), and what is comment.
#[derive(Clone, Debug, Default)]
pub struct Line {
    pub code: String,
    /// As `code`, with the strings' contents.
    pub text: String,
    pub comment: String,
}

enum State {
    Code,
    LineComment,
    /// Its depth.
    BlockComment(u32),
    /// The number of `#` that end it; `None`: an ordinary string.
    Text(Option<usize>),
}

pub fn lex(text: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut state = State::Code;
    for raw in text.lines() {
        let mut line = Line::default();
        if matches!(state, State::LineComment) {
            state = State::Code;
        }
        let chars: Vec<char> = raw.chars().collect();
        let mut at = 0;
        while at < chars.len() {
            at += step(&chars[at..], &mut state, &mut line);
        }
        lines.push(line);
    }
    lines
}

/// Consumes what begins here; how many characters that was.
fn step(rest: &[char], state: &mut State, line: &mut Line) -> usize {
    match state {
        State::LineComment => {
            line.comment.push(rest[0]);
            1
        }
        State::BlockComment(depth) => {
            if starts(rest, "*/") {
                *depth -= 1;
                if *depth == 0 {
                    *state = State::Code;
                }
                return 2;
            }
            if starts(rest, "/*") {
                *depth += 1;
                return 2;
            }
            line.comment.push(rest[0]);
            1
        }
        State::Text(hashes) => {
            let taken = match hashes {
                None if rest[0] == '\\' => return 2.min(rest.len()),
                None => usize::from(rest[0] == '"'),
                Some(n) => ends_raw(rest, *n),
            };
            if taken == 0 {
                line.text.push(rest[0]);
                return 1;
            }
            line.code.push('"');
            line.text.push('"');
            *state = State::Code;
            taken
        }
        State::Code => in_code(rest, state, line),
    }
}

fn in_code(rest: &[char], state: &mut State, line: &mut Line) -> usize {
    if starts(rest, "//") {
        *state = State::LineComment;
        return 2;
    }
    if starts(rest, "/*") {
        *state = State::BlockComment(1);
        return 2;
    }
    if let Some(hashes) = begins_raw(rest, line) {
        push(line, '"');
        *state = State::Text(Some(hashes));
        return hashes + 2;
    }
    match rest[0] {
        '"' => {
            push(line, '"');
            *state = State::Text(None);
            1
        }
        '\'' => character(rest, line),
        other => {
            push(line, other);
            1
        }
    }
}

/// `r"`, `r#"`: an `r` that is no end of a word, hashes, a quote.
fn begins_raw(rest: &[char], line: &Line) -> Option<usize> {
    let in_word = line.code.chars().next_back().is_some_and(|c| c.is_alphanumeric() && c != 'b');
    if rest[0] != 'r' || in_word {
        return None;
    }
    let hashes = rest[1..].iter().take_while(|&&c| c == '#').count();
    (rest.get(1 + hashes) == Some(&'"')).then_some(hashes)
}

fn ends_raw(rest: &[char], hashes: usize) -> usize {
    let closed = rest[0] == '"' && rest[1..].iter().take_while(|&&c| c == '#').count() >= hashes;
    if closed { 1 + hashes } else { 0 }
}

/// A character literal is left out; of a lifetime only the tick is taken here.
fn character(rest: &[char], line: &mut Line) -> usize {
    push(line, '\'');
    match rest {
        [_, '\\', ..] => {
            let end = rest[3..].iter().position(|&c| c == '\'');
            end.map_or(rest.len(), |end| end + 4)
        }
        [_, _, '\'', ..] => 3,
        _ => 1,
    }
}

fn push(line: &mut Line, c: char) {
    line.code.push(c);
    line.text.push(c);
}

fn starts(rest: &[char], pair: &str) -> bool {
    pair.chars().zip(rest).filter(|(one, other)| one == *other).count() == pair.len()
}
