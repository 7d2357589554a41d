//! Where servers are looked for: the folder that `loadtest/peers` fills, then `PATH`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The places, in their order.
#[derive(Debug, Clone)]
pub struct Shelves {
    /// What `loadtest/peers` filled.
    pub folder: PathBuf,
    /// Folders with programs.
    path: Vec<PathBuf>,
    /// The broker's program, where it was named.
    broker: Option<PathBuf>,
}

impl Shelves {
    /// `folder`, then `PATH`; the broker is `broker`, or the program beside the harness's own.
    pub fn new(folder: PathBuf, broker: Option<PathBuf>) -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let beside = std::env::current_exe()
            .ok()
            .map(|own| own.with_file_name("tenbells"));
        // nginx is where only root has its PATH.
        let more = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
        Self {
            // A server works in a folder of its own.
            folder: std::path::absolute(&folder).unwrap_or(folder),
            path: std::env::split_paths(&path).chain(more).collect(),
            broker: broker.or(beside),
        }
    }

    /// `folder` and nothing else.
    #[cfg(test)]
    pub fn only(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            path: Vec::new(),
            broker: None,
        }
    }

    /// The broker's program.
    pub fn broker(&self) -> Option<PathBuf> {
        self.broker.clone().filter(|path| path.is_file())
    }

    /// The program `name`: in the folder's `bin`, or on `PATH`.
    pub fn program(&self, name: &str) -> Option<PathBuf> {
        std::iter::once(self.folder.join("bin"))
            .chain(self.path.iter().cloned())
            .map(|folder| folder.join(name))
            .find(|path| path.is_file())
    }

    /// The first of `files` that is there: below the folder, then as it stands.
    pub fn file(&self, files: &[&str]) -> Option<PathBuf> {
        let below = files.iter().map(|file| self.folder.join(file));
        let beside = files
            .iter()
            .filter(|_| !self.path.is_empty())
            .map(PathBuf::from)
            .filter(|path| path.is_absolute());
        below.chain(beside).find(|path| path.is_file())
    }
}

/// What `program` says, on stdout or stderr: its first line that has `word` in it. None where it can't be run.
pub fn says(program: &Path, args: &[&str], word: &str) -> Option<String> {
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text)
        .lines()
        .find(|line| line.contains(word))
        .map(|line| line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_comes_before_path() {
        let folder = tempfile::tempdir().expect("a folder");
        let bin = folder.path().join("bin");
        std::fs::create_dir(&bin).expect("a folder");
        std::fs::write(bin.join("sh"), "").expect("a file");
        let shelves = Shelves::new(folder.path().to_owned(), None);
        assert_eq!(shelves.program("sh"), Some(bin.join("sh")));
        std::fs::remove_file(bin.join("sh")).expect("removed");
        assert!(shelves.program("sh").is_some_and(|at| at != bin.join("sh")));
        assert_eq!(Shelves::only(folder.path()).program("sh"), None);
        assert_eq!(shelves.program("no-such-program"), None);
    }

    #[test]
    fn a_program_says_its_version() {
        let sh = Path::new("/bin/sh");
        let line = says(sh, &["-c", "echo one; echo two 2 >&2"], "two");
        assert_eq!(line.as_deref(), Some("two 2"));
        assert_eq!(says(Path::new("/no/such/program"), &[], ""), None);
    }
}
