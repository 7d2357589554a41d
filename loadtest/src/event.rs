//! Event streams (WHATWG HTML, section 9.2) from the reader's side: block by block, without a copy, and strict about
//! what the protocol promises beyond the standard: an event's data is one line.

use memchr::memmem;

/// Longest block, in bytes.
pub const BLOCK_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A block of a stream: what stands before an empty line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Block<'a> {
    /// The value of `id`.
    pub id: Option<&'a str>,
    /// The value of `event`.
    pub event: Option<&'a str>,
    /// The value of `data`.
    pub data: Option<&'a [u8]>,
}

/// Takes one block off the start of `bytes`: the block and how many bytes it had, or none where more must be read.
///
/// # Errors
/// What is wrong with it, in a few words.
#[inline]
pub fn take(bytes: &[u8]) -> Result<Option<(Block<'_>, usize)>, &'static str> {
    let Some(end) = memmem::find(bytes, b"\n\n") else {
        return if bytes.len() > BLOCK_BYTES_MAX {
            Err("an event beyond the limit")
        } else {
            Ok(None)
        };
    };
    let mut block = Block::default();
    let mut rest = &bytes[..end];
    while !rest.is_empty() {
        let (line, behind) = match memchr::memchr(b'\n', rest) {
            Some(at) => (&rest[..at], &rest[at + 1..]),
            None => (rest, &rest[rest.len()..]),
        };
        rest = behind;
        field(&mut block, line)?;
    }
    Ok(Some((block, end + 2)))
}

#[inline]
fn field<'a>(block: &mut Block<'a>, line: &'a [u8]) -> Result<(), &'static str> {
    let Some(colon) = memchr::memchr(b':', line) else {
        return Err("a line without a field");
    };
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    let value = value.strip_prefix(b" ").unwrap_or(value);
    let text = || std::str::from_utf8(value).map_err(|_| "a field that is not UTF-8");
    match name {
        b"data" if block.data.is_some() => return Err("data of more than one line"),
        b"data" => block.data = Some(value),
        b"id" => block.id = Some(text()?),
        b"event" => block.event = Some(text()?),
        // Comments, and the reconnection time.
        b"" | b"retry" => {}
        _ => return Err("a field that is not in the standard"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] =
        b"retry: 2000\n: head 44\nid: k3-42\n\n: \n\nid: k3-43\nevent: entry.retracted\n\
        data: {\"a\":\"b: c\"}\n\nevent: presence\ndata: {}\n\n";

    #[test]
    fn the_documented_stream_is_read_in_pieces_of_any_size() {
        let expected = [
            (Some("k3-42"), None, None),
            (None, None, None),
            (
                Some("k3-43"),
                Some("entry.retracted"),
                Some(&b"{\"a\":\"b: c\"}"[..]),
            ),
            (None, Some("presence"), Some(&b"{}"[..])),
        ];
        let mut rest = STREAM;
        for (id, event, data) in expected {
            let (block, used) = take(rest).expect("sound").expect("whole");
            assert_eq!(block, Block { id, event, data });
            for cut in 0..used {
                assert_eq!(take(&rest[..cut]), Ok(None), "{cut}");
            }
            rest = &rest[used..];
        }
        assert!(rest.is_empty());
    }

    #[test]
    fn what_the_protocol_does_not_have_is_found() {
        for bad in [
            &b"data: a\ndata: b\n\n"[..],
            b"nothing\n\n",
            b"id: \xff\n\n",
            b"other: x\n\n",
        ] {
            assert!(take(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
        assert!(take(&vec![b'x'; BLOCK_BYTES_MAX + 1]).is_err());
    }
}
