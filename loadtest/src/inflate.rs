//! Compressed frames made readable (RFC 7692): each only once for all readers of a thread, because all get the same bytes.
//!
//! A reader that inflated for itself would measure the harness. What is compared is what came over the wire: equal bytes
//! inflate to equal text.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use flate2::{Decompress, FlushDecompress, Status};

use crate::frame::FRAME_BYTES_MAX;

/// Messages that are remembered; beyond it all are forgotten, and come back as they are needed.
const REMEMBERED_MAX: usize = 512;
/// What a message leaves out at its end (RFC 7692, section 7.2.1).
const FLUSH_TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// A first guess at how much longer a message is when inflated.
const GROWTH: usize = 4;

/// Inflates messages, and remembers the last ones.
#[derive(Debug, Default)]
pub struct Inflater {
    remembered: HashMap<u64, Remembered>,
}

#[derive(Debug)]
struct Remembered {
    compressed: Vec<u8>,
    text: Vec<u8>,
}

impl Inflater {
    /// The text of a message.
    ///
    /// # Errors
    /// When it isn't DEFLATE, or longer than a frame may be.
    pub fn text(&mut self, compressed: &[u8]) -> Result<&[u8], &'static str> {
        let key = fingerprint(compressed);
        if self
            .remembered
            .get(&key)
            .is_none_or(|one| one.compressed != compressed)
        {
            if self.remembered.len() >= REMEMBERED_MAX {
                self.remembered.clear();
            }
            let text = inflate(compressed)?;
            let compressed = compressed.to_vec();
            self.remembered.insert(key, Remembered { compressed, text });
        }
        self.remembered
            .get(&key)
            .map(|one| one.text.as_slice())
            .ok_or("a message that was forgotten at once")
    }
}

fn fingerprint(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

fn inflate(compressed: &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut input = compressed.to_vec();
    input.extend(FLUSH_TAIL);
    let mut text = Vec::with_capacity(input.len() * GROWTH);
    let mut inflater = Decompress::new(false);
    loop {
        let used = usize::try_from(inflater.total_in()).unwrap_or(usize::MAX);
        let status = inflater
            .decompress_vec(
                input.get(used..).unwrap_or_default(),
                &mut text,
                FlushDecompress::Sync,
            )
            .map_err(|_| "a message that is no DEFLATE")?;
        if text.len() > FRAME_BYTES_MAX {
            return Err("a compressed message beyond the limit");
        }
        let is_read = inflater.total_in() == input.len() as u64;
        if status == Status::StreamEnd || (is_read && text.len() < text.capacity()) {
            return Ok(text);
        }
        if text.len() < text.capacity() {
            return Err("a compressed message without its end");
        }
        text.reserve(text.len().max(64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compressed(text: &str) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(text.len() + 100);
        flate2::Compress::new(flate2::Compression::default(), false)
            .compress_vec(text.as_bytes(), &mut bytes, flate2::FlushCompress::Sync)
            .expect("compresses");
        bytes.truncate(bytes.len() - FLUSH_TAIL.len());
        bytes
    }

    #[test]
    fn texts_of_all_lengths_come_back() {
        let mut inflater = Inflater::default();
        for length in [0, 1, 10, 255, 256, 4_000, 100_000] {
            let text = "ten bells ".repeat(length);
            assert_eq!(inflater.text(&compressed(&text)), Ok(text.as_bytes()));
        }
    }

    #[test]
    fn what_is_remembered_is_bounded_and_still_right() {
        let mut inflater = Inflater::default();
        for number in 0..REMEMBERED_MAX * 2 {
            let text = format!("change {number}, and some more words behind it");
            assert_eq!(inflater.text(&compressed(&text)), Ok(text.as_bytes()));
            assert!(inflater.remembered.len() <= REMEMBERED_MAX);
        }
    }

    #[test]
    fn rubbish_and_bombs_are_refused() {
        let mut inflater = Inflater::default();
        assert!(inflater.text(&[0xff; 9]).is_err());
        let bomb = compressed(&" ".repeat(FRAME_BYTES_MAX * 4));
        assert_eq!(
            inflater.text(&bomb),
            Err("a compressed message beyond the limit")
        );
    }
}
