//! Finds COMMIT in what a Postgres client sends; just enough of the protocol for that.
//!
//! Startup messages are `length, code, …`; all others `type, length, …`. COMMIT comes as a simple query, or is parsed
//! first and takes effect with the `Sync` behind it.

const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;
/// COMMIT is short; of longer messages no more than this is kept.
const KEEP: usize = 64;

/// Reads a client's bytes as they come, in pieces of any size.
#[derive(Debug, Default)]
pub(crate) struct CommitScanner {
    started: bool,
    /// The beginning of the present message, its header included.
    message: Vec<u8>,
    /// How many of its bytes have gone by.
    seen: usize,
    /// A COMMIT was parsed, and waits for its `Sync`.
    parsed: bool,
}

impl CommitScanner {
    /// The places in `bytes` behind each message that commits.
    pub(crate) fn scan(&mut self, bytes: &[u8]) -> Vec<usize> {
        let mut commits = Vec::new();
        for (index, byte) in bytes.iter().enumerate() {
            if self.message.len() < KEEP {
                self.message.push(*byte);
            }
            self.seen += 1;
            if self.is_complete() {
                if self.commits() {
                    commits.push(index + 1);
                }
                self.message.clear();
                self.seen = 0;
            }
        }
        commits
    }

    fn number(&self, from: usize) -> Option<u32> {
        let bytes = self.message.get(from..from + 4)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    }

    fn is_complete(&self) -> bool {
        let (header, length) = if self.started {
            (1, self.number(1))
        } else {
            (0, self.number(0))
        };
        length.is_some_and(|length| self.seen >= header + length as usize)
    }

    fn commits(&mut self) -> bool {
        if !self.started {
            let code = self.number(4);
            // The server answers these two with one byte, and the client starts once more.
            self.started = code != Some(SSL_REQUEST) && code != Some(GSS_REQUEST);
            return false;
        }
        let (kind, body) = (self.message[0], &self.message[5..]);
        match kind {
            b'Q' => is_commit(body),
            b'P' => {
                let name_ends = body.iter().position(|byte| *byte == 0).unwrap_or(0);
                self.parsed |= is_commit(&body[(name_ends + 1).min(body.len())..]);
                false
            }
            b'S' => std::mem::take(&mut self.parsed),
            _ => false,
        }
    }
}

fn is_commit(text: &[u8]) -> bool {
    text.len() >= 6 && text[..6].eq_ignore_ascii_case(b"commit")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).expect("short").to_be_bytes();
        [&[kind], &length[..], body].concat()
    }

    fn startup(code: u32) -> Vec<u8> {
        [&8_u32.to_be_bytes()[..], &code.to_be_bytes()].concat()
    }

    fn session() -> (Vec<u8>, Vec<usize>) {
        let mut bytes = [startup(SSL_REQUEST), startup(196_608), message(b'p', b"secret\0")].concat();
        let mut commits = Vec::new();
        bytes.extend(message(b'Q', b"BEGIN\0"));
        bytes.extend(message(b'P', b"s1\0insert into notes values ('COMMIT')\0\0\0"));
        bytes.extend(message(b'B', &[b'x'; 5_000]));
        bytes.extend(message(b'S', b""));
        bytes.extend(message(b'Q', b"COMMIT\0"));
        commits.push(bytes.len());
        bytes.extend(message(b'P', b"\0commit\0\0\0"));
        bytes.extend(message(b'E', b"\0\0\0\0\0"));
        bytes.extend(message(b'S', b""));
        commits.push(bytes.len());
        bytes.extend(message(b'S', b""));
        bytes.extend(message(b'X', b""));
        (bytes, commits)
    }

    #[test]
    fn a_commit_is_found_at_its_end_however_the_bytes_are_cut() {
        let (bytes, commits) = session();
        for size in [1, 2, 3, 7, 64, 1_000, bytes.len()] {
            let mut scanner = CommitScanner::default();
            let mut found = Vec::new();
            for (number, piece) in bytes.chunks(size).enumerate() {
                found.extend(scanner.scan(piece).into_iter().map(|place| number * size + place));
            }
            assert_eq!(found, commits, "in pieces of {size}");
        }
    }
}
