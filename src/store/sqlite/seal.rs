//! The seal of a database that is at rest: its length and checksum, written when a process stops in order.
//!
//! SQLite keeps no checksums of its pages. Changes have one each, but a bit that flips in a topic's document, an embargo
//! or an index would go unnoticed. So a database that was closed in order is compared as a whole before it is opened
//! again. While a process runs, and after one that was killed, there is no seal.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::schema::OpenError;

const SEAL_FILE: &str = "tenbells.seal";
/// First word of the file, with its version.
const MARK: &str = "tenbells-seal-1";
const BUFFER: usize = 256 << 10;

/// Seals the database of this folder, unless its write-ahead log still has something.
pub(super) fn put(folder: &Path, database: &Path) -> io::Result<()> {
    if log_has_something(database) {
        return Ok(());
    }
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(line(database)?.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(folder.join(SEAL_FILE))?;
    sync_folder(folder)
}

/// Compares the database with its seal, where there is one, and takes the seal off: it is about to be written.
pub(super) fn take_off(folder: &Path, database: &Path) -> Result<(), OpenError> {
    let path = folder.join(SEAL_FILE);
    let sealed = match std::fs::read(&path) {
        Ok(sealed) => sealed,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(OpenError::Folder(error)),
    };
    let found = match line(database) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(OpenError::Folder(error)),
    };
    if sealed != found.as_bytes() || log_has_something(database) {
        return Err(OpenError::Altered {
            database: database.display().to_string(),
            seal: path.display().to_string(),
        });
    }
    std::fs::remove_file(&path)
        .and_then(|()| sync_folder(folder))
        .map_err(OpenError::Folder)
}

/// Takes a seal off that belongs to a database which is there no more.
pub(super) fn forget(folder: &Path) -> io::Result<()> {
    match std::fs::remove_file(folder.join(SEAL_FILE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What the seal of this database says.
fn line(database: &Path) -> io::Result<String> {
    let mut file = File::open(database)?;
    let mut buffer = vec![0; BUFFER];
    let mut hash = crc32fast::Hasher::new();
    let mut length = 0_u64;
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok(format!("{MARK} {length} {:08x}\n", hash.finalize()));
        }
        hash.update(&buffer[..count]);
        length += count as u64;
    }
}

fn log_has_something(database: &Path) -> bool {
    let mut log = PathBuf::from(database).into_os_string();
    log.push("-wal");
    std::fs::metadata(log).is_ok_and(|log| log.len() > 0)
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
