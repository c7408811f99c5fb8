//! Text: a Rust file as bytes, and its mask: the same bytes with comments and the insides of strings
//! and characters blanked, so that an offset means the same in both.

use std::ops::Range;

pub struct Text {
    pub raw: String,
    pub mask: String,
}

/// A function with a body, `at` its `fn` up to the closing brace.
struct Function {
    name: String,
    at: Range<usize>,
}

impl Text {
    pub fn new(raw: &str) -> Text {
        Text { raw: raw.to_owned(), mask: mask(raw) }
    }

    /// The name of the innermost function around `offset`.
    pub fn item(&self, offset: usize) -> String {
        let around = self.functions().into_iter().filter(|f| f.at.contains(&offset));
        around.min_by_key(|f| f.at.len()).map_or_else(|| "file".to_owned(), |f| f.name)
    }

    /// Where the inline `#[cfg(test)]` module begins, if there is one: from there on nothing ships.
    pub fn shipped(&self) -> usize {
        let inline = |&(at, mark): &(usize, &str)| {
            let rest = self.mask[at + mark.len()..].trim_start();
            rest.starts_with("mod ") && rest.split(['{', ';']).next() != rest.split(';').next()
        };
        let found = self.mask.match_indices("#[cfg(test)]").find(inline);
        found.map_or(self.mask.len(), |(at, _)| at)
    }

    /// The statement, block, match arm or last expression that begins at the first code from `from`.
    pub fn statement(&self, from: usize) -> Range<usize> {
        let start = from + skip_space(&self.mask[from..]);
        let word: String = self.mask[start..].chars().take_while(|c| is_word(*c)).collect();
        let block = matches!(&*word, "if" | "while" | "loop" | "for" | "match" | "unsafe")
            || self.mask[start..].starts_with('{');
        let mut depth = 0;
        for (at, c) in self.mask[start..].char_indices() {
            let at = start + at;
            match c {
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' if depth == 0 => return start..self.trimmed(start, at),
                ')' | ']' | '}' => depth -= 1,
                ';' if depth == 0 => return start..at + 1,
                ',' if depth == 0 => return start..at,
                _ => {}
            }
            let rest = self.mask[at + c.len_utf8()..].trim_start();
            let goes_on = rest.starts_with("else") || rest.starts_with(['.', '?']);
            if block && c == '}' && depth == 0 && !goes_on {
                return start..at + 1;
            }
        }
        start..self.mask.len()
    }

    fn trimmed(&self, start: usize, end: usize) -> usize {
        start + self.mask[start..end].trim_end().len()
    }

    fn functions(&self) -> Vec<Function> {
        let mut found = Vec::new();
        for (at, _) in self.mask.match_indices("fn ") {
            let before = self.mask[..at].chars().next_back();
            let name: String = self.mask[at + 3..].chars().take_while(|c| is_word(*c)).collect();
            if !before.is_some_and(is_word)
                && !name.is_empty()
                && let Some(end) = self.end_of_body(at)
            {
                found.push(Function { name, at: at..end });
            }
        }
        found
    }

    /// `None` for a declaration without a body.
    fn end_of_body(&self, from: usize) -> Option<usize> {
        let (mut braces, mut brackets) = (0usize, 0usize);
        for (at, c) in self.mask[from..].char_indices() {
            match c {
                '(' | '[' => brackets += 1,
                ')' | ']' => brackets = brackets.saturating_sub(1),
                ';' if braces == 0 && brackets == 0 => return None,
                '{' => braces += 1,
                '}' if braces == 1 => return Some(from + at + 1),
                '}' => braces = braces.checked_sub(1)?,
                _ => {}
            }
        }
        None
    }
}

pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn skip_space(text: &str) -> usize {
    text.len() - text.trim_start().len()
}

fn mask(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(c) = rest.chars().next() {
        let in_word = out.chars().next_back().is_some_and(|c| is_word(c) && c != 'b');
        let (kept, blank) = match c {
            '/' if rest.starts_with("//") => (0, rest.find('\n').unwrap_or(rest.len())),
            '/' if rest.starts_with("/*") => (0, end_of_comment(rest)),
            'r' if !in_word && raw_string(rest).is_some() => {
                (0, raw_string(rest).unwrap_or_default())
            }
            '"' => (0, end_of_quoted(rest, '"')),
            '\'' => match character(rest) {
                Some(length) => (0, length),
                None => (1, 0),
            },
            _ => (c.len_utf8(), 0),
        };
        out.push_str(&rest[..kept]);
        let blanked = rest[kept..kept + blank].bytes();
        out.extend(blanked.map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
        rest = &rest[kept + blank..];
    }
    out
}

fn end_of_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        let tail = &rest.as_bytes()[at..];
        if tail.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if tail.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// The length of a raw string that begins here.
fn raw_string(rest: &str) -> Option<usize> {
    let hashes = rest[1..].bytes().take_while(|byte| *byte == b'#').count();
    let body = rest[1 + hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let end = body.find(&close)?;
    Some(2 + hashes + end + close.len())
}

fn end_of_quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The length of a character literal; `None` for a lifetime.
fn character(rest: &str) -> Option<usize> {
    let mut chars = rest.char_indices().skip(1);
    let (_, first) = chars.next()?;
    if first == '\\' {
        return Some(end_of_quoted(rest, '\''));
    }
    let (at, second) = chars.next()?;
    (second == '\'').then_some(at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_code_is_blanked_in_place() {
        let raw = "a // b\n\"c\\\"d\" r#\"e\"f\"# 'g' '\\'' &'h i /* j /* k */ l */ m";
        let text = Text::new(raw);
        assert_eq!(text.mask.len(), raw.len());
        assert_eq!(text.mask.split_whitespace().collect::<Vec<_>>(), ["a", "&'h", "i", "m"]);
    }

    #[test]
    fn statements_end_where_they_do() {
        let cases = [
            ("a(|| { b; });c", "a(|| { b; });"),
            ("if a.any(|b| { b }) { c; } d", "if a.any(|b| { b }) { c; }"),
            ("if a { b } else { c } d;", "if a { b } else { c }"),
            ("a.b() }", "a.b()"),
            ("unsafe { a }.b(c); d", "unsafe { a }.b(c);"),
            ("A => b(c, d), E", "A => b(c, d)"),
        ];
        for (raw, statement) in cases {
            assert_eq!(&raw[Text::new(raw).statement(0)], statement);
        }
    }

    #[test]
    fn the_innermost_function_is_the_item() {
        let text = Text::new("fn a() { fn b() { 1 } 2 } trait C { fn d(); }");
        let item = |what| text.item(text.raw.find(what).expect("it is there"));
        assert_eq!((item("1"), item("2"), item("trait")), ("b".into(), "a".into(), "file".into()));
    }
}
