//! Report: a message that is built without allocation.

/// A line for stderr that a signal handler writes. The buffer has a fixed size, and text that does not fit is
/// cut.
#[derive(Debug)]
pub struct Report {
    bytes: [u8; Report::CAPACITY],
    len: usize,
}

/// The bytes that are kept free for the end of the message.
const END: usize = 112;

impl Report {
    const CAPACITY: usize = 384;

    pub(in crate::fiber) const fn new() -> Report {
        Report { bytes: [0; Report::CAPACITY], len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Appends text. Each control character becomes `?`, so that the message stays one line.
    pub fn text(&mut self, text: &str) {
        self.push(text.as_bytes(), Report::CAPACITY - END);
    }

    /// Appends a number.
    pub fn number(&mut self, number: u64) {
        let (digits, from) = decimal(number);
        self.push(&digits[from..], Report::CAPACITY - END);
    }

    /// Appends the end of the message, which says what happened to the goroutine that `text` and `number`
    /// described.
    pub(in crate::fiber) fn finish(&mut self, stack_size: usize) {
        let (digits, from) = decimal(stack_size as u64);
        let line = Report::CAPACITY - 1;
        self.push(b" overflowed its stack of ", line);
        self.push(&digits[from..], line);
        self.push(b" bytes; raise it with Builder::stack_size(..) or Spawn::stack_size(..)", line);
        self.bytes[self.len] = b'\n';
        self.len += 1;
    }

    fn push(&mut self, bytes: &[u8], limit: usize) {
        for &byte in bytes.iter().take(limit.saturating_sub(self.len)) {
            self.bytes[self.len] = if byte.is_ascii_control() { b'?' } else { byte };
            self.len += 1;
        }
    }

    pub(super) fn write_to_stderr(&self) {
        let mut rest = &self.bytes[..self.len];
        while !rest.is_empty() {
            // SAFETY: `rest` is readable, and `write` is async-signal-safe.
            let written = unsafe { libc::write(2, rest.as_ptr().cast(), rest.len()) };
            match usize::try_from(written) {
                Ok(written) if written > 0 => rest = &rest[written.min(rest.len())..],
                _ => return,
            }
        }
    }

    #[cfg(test)]
    pub(in crate::fiber) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Returns the digits of `number`, and the index at which they begin.
fn decimal(mut number: u64) -> ([u8; 20], usize) {
    let mut digits = [b'0'; 20];
    let mut from = digits.len();
    loop {
        from -= 1;
        digits[from] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return (digits, from);
        }
    }
}
