//! What is in the bytes of a data folder, whatever the files in it mean.

use std::path::Path;
use std::time::{Duration, Instant};

/// How long the compaction may take to come and to be done.
const COMPACTED_WITHIN: Duration = Duration::from_secs(60);

/// Waits until no file of the folder has these words.
pub async fn until_gone(folder: &Path, words: &str) {
    let began = Instant::now();
    while holds(folder, words) {
        assert!(began.elapsed() < COMPACTED_WITHIN, "it is still on disk");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Whether these words are in any file of the folder.
pub fn holds(folder: &Path, words: &str) -> bool {
    let files = std::fs::read_dir(folder).expect("the folder");
    files.map(|file| file.expect("a file").path()).any(|path| {
        if path.is_dir() {
            return holds(&path, words);
        }
        // SQLite can take a file away between the listing and the reading.
        let bytes = std::fs::read(path).unwrap_or_default();
        bytes
            .windows(words.len())
            .any(|window| window == words.as_bytes())
    })
}
