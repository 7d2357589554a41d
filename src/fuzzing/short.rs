//! The fuzz targets without a fuzzer, for `cargo test`: each input of the corpus, and inputs near those.
//!
//! What libFuzzer finds (`fuzz/run`) is kept in the corpus, so it can't come back unnoticed. How many inputs near
//! it are tried: `FUZZ_CASES`, 2,000 for each target by default; which: `PROPTEST_RNG_SEED`, by default others every time.
//! A failure prints the input; it is tried first the next time once it lies in `fuzz/corpus/TARGET`.

use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};

/// In the place of libFuzzer's.
pub(super) mod libfuzzer {
    /// The target as a function.
    macro_rules! fuzz_target {
        (|$data:ident: &[u8]| $body:block) => {
            pub(super) fn run($data: &[u8]) {
                $body
            }
        };
    }
    pub(crate) use fuzz_target;
}

/// The targets, and a test of each.
macro_rules! targets {
    ($($name:ident $path:literal)+) => {
        $(
            #[path = $path]
            mod $name;
        )+
        mod short {
            $(
                #[test]
                fn $name() {
                    super::try_near(stringify!($name), super::$name::run);
                }
            )+
        }
    };
}

targets! {
    frames "../../fuzz/targets/frames.rs"
    handshake "../../fuzz/targets/handshake.rs"
    inflate "../../fuzz/targets/inflate.rs"
    positions "../../fuzz/targets/positions.rs"
    publish "../../fuzz/targets/publish.rs"
    sanitiser "../../fuzz/targets/sanitiser.rs"
    store "../../fuzz/targets/store.rs"
    tokens "../../fuzz/targets/tokens.rs"
}

/// Longest input that is made of others, in bytes.
const BYTES_MAX: usize = 4_096;

/// How an input becomes another one.
#[derive(Debug, Clone)]
enum Edit {
    Flip(Index, u8),
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Cut(Index),
    /// A part of another input of the corpus.
    Take(Index, Index, usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<Index>;
    prop_oneof![
        (at(), 0..8_u8).prop_map(|(at, bit)| Edit::Flip(at, 1 << bit)),
        (at(), any::<u8>()).prop_map(|(at, byte)| Edit::Set(at, byte)),
        (at(), vec(any::<u8>(), 1..8)).prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        (at(), 1..32_usize).prop_map(|(at, count)| Edit::Remove(at, count)),
        at().prop_map(Edit::Cut),
        (at(), at(), 1..64_usize).prop_map(|(at, from, count)| Edit::Take(at, from, count)),
    ]
}

impl Edit {
    fn apply(&self, bytes: &mut Vec<u8>, other: &[u8]) {
        let place = |at: &Index| at.index(bytes.len() + 1);
        match self {
            Self::Flip(at, mask) => {
                let at = place(at);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= mask;
                }
            }
            Self::Set(at, value) => {
                let at = place(at);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = *value;
                }
            }
            Self::Insert(at, more) => {
                let at = place(at);
                bytes.splice(at..at, more.iter().copied());
            }
            Self::Remove(at, count) => {
                let at = place(at);
                let end = (at + count).min(bytes.len());
                bytes.drain(at..end);
            }
            Self::Cut(at) => {
                let at = place(at);
                bytes.truncate(at);
            }
            Self::Take(at, from, count) => {
                let at = place(at);
                let from = from.index(other.len() + 1);
                let end = (from + count).min(other.len());
                bytes.splice(at..at, other[from..end].iter().copied());
            }
        }
        bytes.truncate(BYTES_MAX);
    }
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut paths: Vec<_> = std::fs::read_dir(&folder)
        .expect("a corpus")
        .map(|file| file.expect("a file").path())
        .collect();
    paths.sort();
    let read = |path| std::fs::read(path).expect("an input");
    paths.into_iter().map(read).collect()
}

/// Gives a target its corpus, and then inputs near that.
fn try_near(target: &str, run: fn(&[u8])) {
    let corpus = corpus(target);
    assert!(!corpus.is_empty(), "{target} has no corpus");
    for input in &corpus {
        run(input);
    }
    let cases = std::env::var("FUZZ_CASES").ok();
    let cases = cases.map_or(2_000, |cases| cases.parse().expect("a number of cases"));
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let near = (select(corpus.clone()), select(corpus), vec(edit(), 1..6));
    let near = near.prop_map(|(mut bytes, other, edits)| {
        for edit in &edits {
            edit.apply(&mut bytes, &other);
        }
        bytes
    });
    let tried = TestRunner::new(config).run(&near, |input| {
        run(&input);
        Ok(())
    });
    if let Err(failure) = tried {
        panic!("{target}: {failure}");
    }
}
