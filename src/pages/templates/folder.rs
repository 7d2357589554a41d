//! A newsroom's own templates: which files of a folder count, and what is said of one that is broken.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::{BUILT_IN, Engine};

/// Longest template, in bytes.
const TEMPLATE_BYTES_MAX: u64 = 256 * 1024;
/// Most templates of a folder.
const TEMPLATES_MAX: usize = 100;

/// Why templates are not taken into use.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The folder or a file can't be read.
    #[error("the templates {path} can't be read: {source}", path = .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The folder is not one of templates.
    #[error("the templates {path} are refused: {reason}", path = .path.display())]
    Refused {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A template has a fault.
    #[error("the template {place} is broken: {reason}")]
    Broken {
        /// The file, and the line where that is known.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// A template that failed, and why; the innermost of those that were on their way.
#[derive(Debug)]
pub(super) struct Fault {
    name: String,
    line: Option<usize>,
    reason: String,
}

impl TemplateError {
    /// Of a built-in one, which the tests of this room rule out.
    pub(super) fn built_in(error: minijinja::Error) -> Self {
        Fault::of(&error).in_folder(Path::new(""))
    }
}

impl Fault {
    pub(super) fn new(name: &str, reason: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            line: None,
            reason: reason.into(),
        }
    }

    pub(super) fn of(error: &minijinja::Error) -> Self {
        let mut inner = error;
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            if let Some(cause) = cause.downcast_ref::<minijinja::Error>() {
                inner = cause;
            }
            source = cause.source();
        }
        let kind = inner.kind();
        Self {
            name: inner.name().unwrap_or_default().to_owned(),
            line: inner.line(),
            reason: match inner.detail() {
                Some(detail) => format!("{kind}: {detail}"),
                None => kind.to_string(),
            },
        }
    }

    /// The same as an error about a file of this folder, or about a built-in template where the folder has none of the
    /// name.
    pub(super) fn in_folder(self, folder: &Path) -> TemplateError {
        let file = folder.join(&self.name);
        let mut place = if file.is_file() {
            file.display().to_string()
        } else {
            format!("{} (a built-in one)", self.name)
        };
        if let Some(line) = self.line {
            place = format!("{place}, line {line},");
        }
        TemplateError::Broken {
            place,
            reason: self.reason,
        }
    }
}

/// Puts the templates of a folder over those of the engine.
pub(super) fn add(engine: &mut Engine, folder: &Path) -> Result<(), TemplateError> {
    let own = read(folder)?;
    for (name, source) in &own {
        engine
            .add_template_owned(name.clone(), source.clone())
            .map_err(|error| Fault::of(&error).in_folder(folder))?;
    }
    // A name that nobody uses is a slip of the pen, and would go unseen.
    let is_used = |name: &str| {
        BUILT_IN.iter().any(|(built_in, _)| *built_in == name)
            || own.iter().any(|(other, source)| {
                other != name
                    && [format!("\"{name}\""), format!("'{name}'")]
                        .iter()
                        .any(|named| source.contains(named))
            })
    };
    if let Some((name, _)) = own.iter().find(|(name, _)| !is_used(name)) {
        let names: Vec<_> = BUILT_IN.iter().map(|(name, _)| *name).collect();
        return Err(TemplateError::Refused {
            path: folder.join(name),
            reason: format!(
                "it takes the place of no built-in template, and no other one includes it; those that can be \
                 replaced are {}",
                names.join(", ")
            ),
        });
    }
    Ok(())
}

/// Every `*.html` of the folder itself, in the order of their names.
fn read(folder: &Path) -> Result<Vec<(String, String)>, TemplateError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| TemplateError::Unreadable { path, source }
    };
    let mut paths = Vec::new();
    for item in std::fs::read_dir(folder).map_err(unreadable(folder))? {
        let path = item.map_err(unreadable(folder))?.path();
        let is_hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.extension().is_some_and(|ending| ending == "html") && !is_hidden {
            paths.push(path);
        }
    }
    let refused = |reason: String| TemplateError::Refused {
        path: folder.to_owned(),
        reason,
    };
    if paths.is_empty() {
        return Err(refused("the folder has no *.html in it".to_owned()));
    }
    if paths.len() > TEMPLATES_MAX {
        let count = paths.len();
        return Err(refused(format!(
            "the folder has {count} templates, the limit is {TEMPLATES_MAX}"
        )));
    }
    paths.sort();
    let mut own = Vec::new();
    for path in paths {
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| refused(format!("{} is not UTF-8", path.display())))?;
        own.push((
            name.to_owned(),
            read_file(&path).map_err(unreadable(&path))?,
        ));
    }
    Ok(own)
}

fn read_file(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?
        .take(TEMPLATE_BYTES_MAX + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > TEMPLATE_BYTES_MAX {
        let message = format!("it is longer than {TEMPLATE_BYTES_MAX} bytes, the limit");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    Ok(text)
}
