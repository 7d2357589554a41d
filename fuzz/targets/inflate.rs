//! Compressed messages (RFC 7692): inflated within the limit, to what another implementation of DEFLATE makes of them.
//!
//! Input: the limit (2 bytes), then a payload. It is inflated as it is, and compressed and inflated again.
#![cfg_attr(fuzzing, no_main)]

use libfuzzer_sys::fuzz_target;
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};
use tenbells::protocol::{InflateError, deflate_frame, inflate};

fuzz_target!(|data: &[u8]| {
    let Some((limit, payload)) = data.split_first_chunk() else {
        return;
    };
    let limit = usize::from(u16::from_be_bytes(*limit));
    let outcome = inflate(payload, limit);
    // What one message leaves behind says nothing to the next.
    assert_eq!(inflate(payload, limit), outcome);
    match &outcome {
        Ok(message) => {
            assert!(message.len() <= limit);
            match oracle(payload, limit + 1) {
                Some(same) => assert_eq!(&same, message),
                None => assert!(is_noticed_later(payload), "not DEFLATE, and never noticed"),
            }
        }
        Err(InflateError::TooLarge) => {
            if let Some(message) = oracle(payload, limit + 1) {
                assert!(message.len() > limit);
            }
        }
        Err(InflateError::Invalid) => {}
    }
    if let Some(frame) = deflate_frame(payload) {
        let compressed = match frame[1] {
            126 => &frame[4..],
            127 => &frame[10..],
            _ => &frame[2..],
        };
        assert!(compressed.len() < payload.len());
        assert_eq!(inflate(compressed, payload.len()).as_deref(), Ok(payload));
        let shorter = payload.len() - 1;
        assert_eq!(inflate(compressed, shorter), Err(InflateError::TooLarge));
    }
});

/// A message may end within the header of a block that can't be one. The oracle says so at once, zlib and those like it
/// at the block's first symbol: it has to be noticed there.
fn is_noticed_later(payload: &[u8]) -> bool {
    let mut longer = payload.to_vec();
    longer.extend([0, 0, 0xff, 0xff]);
    longer.extend([0; 512]);
    inflate(&longer, 1 << 20) == Err(InflateError::Invalid)
}

/// At most so many bytes of the message; none where this one takes the payload for no DEFLATE.
fn oracle(payload: &[u8], bytes_max: usize) -> Option<Vec<u8>> {
    let mut input = payload.to_vec();
    input.extend([0, 0, 0xff, 0xff]);
    let mut message = vec![0; bytes_max];
    let flags = TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF | TINFL_FLAG_HAS_MORE_INPUT;
    let mut state = DecompressorOxide::new();
    let (status, _, count) = decompress(&mut state, &input, &mut message, 0, flags);
    message.truncate(count);
    let is_read = matches!(
        status,
        TINFLStatus::Done | TINFLStatus::NeedsMoreInput | TINFLStatus::HasMoreOutput
    );
    is_read.then_some(message)
}
