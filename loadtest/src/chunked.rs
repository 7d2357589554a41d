//! Chunked bodies (RFC 9112, section 7.1) as they come in: a piece at a time, without a copy, however they are cut.
//!
//! It knows nothing of what is in them. Trailers are refused: the broker sends none.

/// Longest line with a chunk's size, in bytes.
const SIZE_BYTES_MAX: usize = 128;
/// Longest chunk, in bytes.
const CHUNK_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// How far a body was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Chunks {
    /// A chunk's size comes next.
    #[default]
    Size,
    /// So many bytes of a chunk are to come.
    Bytes(u64),
    /// The line break behind a chunk's bytes.
    Break,
    /// The line break behind the last chunk.
    LastBreak,
    /// The body is over.
    Over,
}

/// A piece of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Bytes of the body; not more than one chunk's.
    Bytes(&'a [u8]),
    /// A size or a line break between them.
    Framing,
    /// The end of the body.
    End,
}

impl Chunks {
    /// Takes one piece off the start of `bytes`: the piece and how many bytes it had, or none where more must be read.
    ///
    /// # Errors
    /// What is wrong with the framing, in a few words.
    #[inline]
    pub fn take<'a>(
        &mut self,
        bytes: &'a [u8],
    ) -> Result<Option<(Piece<'a>, usize)>, &'static str> {
        match *self {
            Self::Size => self.size(bytes),
            Self::Bytes(left) => {
                if bytes.is_empty() {
                    return Ok(None);
                }
                let len = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
                *self = match left - len as u64 {
                    0 => Self::Break,
                    left => Self::Bytes(left),
                };
                Ok(Some((Piece::Bytes(&bytes[..len]), len)))
            }
            Self::Break => self.line_break(bytes, Self::Size, Piece::Framing),
            Self::LastBreak => self.line_break(bytes, Self::Over, Piece::End),
            Self::Over => match bytes {
                [] => Ok(None),
                _ => Err("bytes behind the last chunk"),
            },
        }
    }

    fn size<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<(Piece<'a>, usize)>, &'static str> {
        match httparse::parse_chunk_size(bytes) {
            Err(_) => Err("a chunk without a size"),
            Ok(httparse::Status::Partial) if bytes.len() > SIZE_BYTES_MAX => {
                Err("an endless size of a chunk")
            }
            Ok(httparse::Status::Partial) => Ok(None),
            Ok(httparse::Status::Complete((_, size))) if size > CHUNK_BYTES_MAX => {
                Err("a chunk beyond the limit")
            }
            Ok(httparse::Status::Complete((used, size))) => {
                *self = match size {
                    0 => Self::LastBreak,
                    size => Self::Bytes(size),
                };
                Ok(Some((Piece::Framing, used)))
            }
        }
    }

    fn line_break<'a>(
        &mut self,
        bytes: &'a [u8],
        next: Self,
        piece: Piece<'a>,
    ) -> Result<Option<(Piece<'a>, usize)>, &'static str> {
        match bytes {
            [b'\r', b'\n', ..] => {
                *self = next;
                Ok(Some((piece, 2)))
            }
            [] | [b'\r'] => Ok(None),
            _ => Err("a chunk without its end"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `bytes` in pieces of `piece` bytes; what the body was, and whether it ended.
    fn read(bytes: &[u8], piece: usize) -> Result<(Vec<u8>, bool), &'static str> {
        let (mut chunks, mut waiting, mut body) = (Chunks::default(), Vec::new(), Vec::new());
        for part in bytes.chunks(piece) {
            waiting.extend_from_slice(part);
            while let Some((piece, used)) = chunks.take(&waiting)? {
                if let Piece::Bytes(bytes) = piece {
                    body.extend_from_slice(bytes);
                }
                waiting.drain(..used);
            }
        }
        Ok((body, chunks == Chunks::Over))
    }

    #[test]
    fn a_body_is_read_however_it_is_cut() {
        let bytes = b"5\r\nhello\r\n1;x=y\r\n \r\nA\r\n0123456789\r\n0\r\n\r\n";
        for piece in 1..=bytes.len() {
            let (body, ended) = read(bytes, piece).expect("sound");
            assert_eq!(body, b"hello 0123456789", "{piece}");
            assert!(ended, "{piece}");
        }
        assert_eq!(read(&bytes[..9], 3), Ok((b"hello".to_vec(), false)));
    }

    #[test]
    fn broken_framing_is_named() {
        for bad in [
            &b"x\r\n"[..],
            b"3\r\nabcd\r\n",
            b"0\r\nTrailer: x\r\n\r\n",
            b"0\r\n\r\nmore",
            b"FFFFFFFFFF\r\n",
        ] {
            assert!(
                read(bad, bad.len()).is_err(),
                "{}",
                String::from_utf8_lossy(bad)
            );
        }
    }
}
