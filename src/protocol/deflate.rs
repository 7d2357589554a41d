//! permessage-deflate (RFC 7692): what is agreed in the handshake, compressed messages out, inflated ones in.
//!
//! Neither side keeps a context over messages. So a change is compressed once for everybody, a reader costs no window of
//! memory, and a message tells nothing of another one (what CRIME and BREACH live on). DEFLATE itself is flate2's.

use std::cell::RefCell;

use bytes::Bytes;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::ws::deflated_text_frame;

/// What the server answers to an offer that it takes.
///
/// The second half asks the reader to keep no context either, so that nothing is kept for its messages; a server may say
/// it without having been asked (RFC 7692, section 7.1.1.2).
pub const DEFLATE_RESPONSE: &str =
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// Frames with a shorter payload, in bytes, are sent as they are: there is little to win.
pub const DEFLATE_BYTES_MIN: usize = 256;

/// What a flushed block ends with, and a message leaves out (section 7.2.1).
const FLUSH_TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// Bytes that may stand behind a final block: an empty block's first byte and the tail (section 7.2.3.4).
const BEHIND_FINAL_MAX: usize = 5;

/// A compressed message of a reader that could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InflateError {
    /// It is longer than the limit.
    #[error("the inflated message is beyond the limit")]
    TooLarge,
    /// It isn't DEFLATE.
    #[error("the message is not DEFLATE (RFC 1951)")]
    Invalid,
}

thread_local! {
    // Some 300 KiB: one a thread, not one a change. `false` is raw DEFLATE, without zlib's header.
    static COMPRESSOR: RefCell<Compress> = RefCell::new(Compress::new(Compression::default(), false));
    static DECOMPRESSOR: RefCell<Decompress> = RefCell::new(Decompress::new(false));
}

/// Whether a `Sec-WebSocket-Extensions` value has an offer that can be taken with [`DEFLATE_RESPONSE`].
///
/// An offer with an unknown, doubled or malformed parameter is declined, as RFC 7692, section 7.1, has it; so is one that
/// asks for a window below 32 KiB, because all readers get the same bytes. A reader may make several offers.
pub fn takes_deflate(extensions: &str) -> bool {
    extensions.split(',').any(is_acceptable)
}

fn is_acceptable(offer: &str) -> bool {
    let mut parts = offer.split(';').map(str::trim);
    if !parts
        .next()
        .is_some_and(|name| name.eq_ignore_ascii_case("permessage-deflate"))
    {
        return false;
    }
    let mut seen = Vec::new();
    parts.all(|parameter| {
        let (name, value) = match parameter.split_once('=') {
            Some((name, value)) => (name.trim(), Some(value.trim().trim_matches('"'))),
            None => (parameter, None),
        };
        let name = name.to_ascii_lowercase();
        let is_valid = match (name.as_str(), value) {
            ("server_no_context_takeover" | "client_no_context_takeover", None)
            | ("client_max_window_bits", None) => true,
            ("client_max_window_bits", Some(bits)) => is_window(bits),
            // Taken only if the largest one is asked for, which the answer would have to repeat: so it is declined.
            _ => false,
        };
        let is_new = !seen.contains(&name);
        seen.push(name);
        is_valid && is_new
    })
}

/// A number from 8 to 15 without zeros in front (section 7.1.2).
fn is_window(bits: &str) -> bool {
    matches!(bits, "8" | "9" | "10" | "11" | "12" | "13" | "14" | "15")
}

/// The compressed form of a text frame's payload, as a whole frame; `None` where it is short or would not get shorter.
pub fn deflate_frame(payload: &[u8]) -> Option<Bytes> {
    if payload.len() < DEFLATE_BYTES_MIN {
        return None;
    }
    // No room for more than the plain form: then it is not worth it.
    let mut compressed = Vec::with_capacity(payload.len());
    let status = COMPRESSOR.with_borrow_mut(|compressor| {
        compressor.reset();
        compressor.compress_vec(payload, &mut compressed, FlushCompress::Sync)
    });
    let is_whole = matches!(status, Ok(Status::Ok)) && compressed.len() < compressed.capacity();
    compressed
        .strip_suffix(&FLUSH_TAIL)
        .filter(|_| is_whole)
        .map(deflated_text_frame)
}

/// The message in a compressed payload.
///
/// # Errors
/// When it is longer than `bytes_max`, which is found before more than that is allocated, or no DEFLATE.
pub fn inflate(payload: &[u8], bytes_max: usize) -> Result<Vec<u8>, InflateError> {
    let mut input = Vec::with_capacity(payload.len() + FLUSH_TAIL.len());
    input.extend_from_slice(payload);
    input.extend_from_slice(&FLUSH_TAIL);
    let mut message = Vec::with_capacity(bytes_max.saturating_add(1));
    DECOMPRESSOR.with_borrow_mut(|decompressor| {
        decompressor.reset(false);
        let status = decompressor
            .decompress_vec(&input, &mut message, FlushDecompress::Sync)
            .map_err(|_| InflateError::Invalid)?;
        if message.len() > bytes_max {
            return Err(InflateError::TooLarge);
        }
        let used = usize::try_from(decompressor.total_in()).unwrap_or(usize::MAX);
        let left = input.len().saturating_sub(used);
        match status {
            Status::StreamEnd if left <= BEHIND_FINAL_MAX => Ok(()),
            Status::Ok if left == 0 => Ok(()),
            _ => Err(InflateError::Invalid),
        }
    })?;
    message.shrink_to_fit();
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The payload of a frame of ours.
    fn payload(frame: &[u8]) -> &[u8] {
        assert_eq!(frame[0], 0xc1, "final, compressed, text");
        match frame[1] {
            126 => &frame[4..],
            127 => &frame[10..],
            _ => &frame[2..],
        }
    }

    #[test]
    fn takes_the_offers_of_browsers_and_declines_what_it_cannot_keep() {
        for offer in [
            "permessage-deflate",
            "permessage-deflate; client_max_window_bits",
            "Permessage-Deflate;client_max_window_bits=15;server_no_context_takeover",
            "permessage-deflate; client_max_window_bits=\"10\"",
            "x-webkit-deflate-frame, permessage-deflate; client_no_context_takeover",
            "permessage-deflate; server_max_window_bits=10, permessage-deflate",
        ] {
            assert!(takes_deflate(offer), "{offer}");
        }
        for offer in [
            "",
            "deflate",
            "permessage-deflate; server_max_window_bits=10",
            "permessage-deflate; server_max_window_bits=15",
            "permessage-deflate; client_max_window_bits=16",
            "permessage-deflate; client_max_window_bits=08",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            "permessage-deflate; unknown",
            "permessage-deflate;",
        ] {
            assert!(!takes_deflate(offer), "{offer}");
        }
    }

    #[test]
    fn what_is_short_or_random_stays_plain() {
        assert!(deflate_frame(&[b'a'; DEFLATE_BYTES_MIN - 1]).is_none());
        assert!(deflate_frame(&[b'a'; DEFLATE_BYTES_MIN]).is_some());
        let mut state = 1_u32;
        let noise: Vec<u8> = (0..4_000)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state.to_be_bytes()[0]
            })
            .collect();
        assert!(deflate_frame(&noise).is_none());
    }

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        // RFC 7692, sections 7.2.3.1, 7.2.3.3 (no compression), 7.2.3.4 (a final block) and 7.2.3.5 (two blocks).
        for compressed in [
            &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00][..],
            &[
                0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00,
            ],
            &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
            &[
                0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00,
            ],
        ] {
            assert_eq!(inflate(compressed, 5), Ok(b"Hello".to_vec()));
            assert_eq!(inflate(compressed, 4), Err(InflateError::TooLarge));
        }
        assert_eq!(inflate(&[0x00], 5), Ok(Vec::new()));
    }

    #[test]
    fn a_bomb_and_rubbish_are_refused() {
        let bomb = deflate_frame(&vec![b' '; 1 << 20]).expect("compresses");
        assert!(payload(&bomb).len() < 4_096);
        assert_eq!(inflate(payload(&bomb), 4_096), Err(InflateError::TooLarge));
        assert_eq!(inflate(&[0xff; 8], 4_096), Err(InflateError::Invalid));
        let mut behind = vec![0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        behind.extend([7; 9]);
        assert_eq!(inflate(&behind, 4_096), Err(InflateError::Invalid));
    }

    #[test]
    fn a_block_that_cannot_be_one_is_noticed_at_its_first_symbol() {
        // Five letters, an empty end, and the first bits of a dynamic block without a code for its lengths.
        let cut = [0xf2, 0x48, 0x00, 0x02, 0x00, 0xf7, 0x00];
        assert_eq!(inflate(&cut, 4_096), Ok(b"H````".to_vec()));
        let mut longer = cut.to_vec();
        longer.extend(FLUSH_TAIL);
        longer.extend([0; 64]);
        assert_eq!(inflate(&longer, 4_096), Err(InflateError::Invalid));
    }

    proptest! {
        #[test]
        fn what_is_compressed_inflates_to_itself(words in proptest::collection::vec("[a-zä ]{1,12}", 60..600)) {
            let text = words.concat();
            if let Some(frame) = deflate_frame(text.as_bytes()) {
                prop_assert!(frame.len() < text.len());
                prop_assert_eq!(inflate(payload(&frame), text.len()), Ok(text.into_bytes()));
            }
        }

        #[test]
        fn no_bytes_make_it_panic_or_pass_the_limit(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            if let Ok(message) = inflate(&bytes, 300) {
                prop_assert!(message.len() <= 300);
            }
        }
    }
}
