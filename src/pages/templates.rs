//! The HTML templates and their environment: the built-in ones, and a newsroom's own in their places.
//!
//! Every template is named `*.html`, so minijinja escapes all that it is given; the exceptions (bodies, summaries,
//! JSON-LD) say `|safe` where they stand, and are safe by the rules in [`super`]. A newsroom's own are rendered with
//! samples before they are taken into use, so that a broken one is refused at the start and not met by a reader.

mod folder;
mod samples;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, UndefinedBehavior, context};
use serde::Serialize;

use super::context::{Article, Fragment, Index, Page};
use super::{Item, PageError, View, assets, jsonld};
use crate::model::{Entry, Position, Topic};

pub use folder::TemplateError;

/// The built-in templates, by name; an own one of the same name goes before.
const BUILT_IN: [(&str, &str); 8] = [
    ("page.html", include_str!("templates/page.html")),
    ("article.html", include_str!("templates/article.html")),
    ("index.html", include_str!("templates/index.html")),
    ("not_found.html", include_str!("templates/not_found.html")),
    ("fragment.html", include_str!("templates/fragment.html")),
    ("oembed.html", include_str!("templates/oembed.html")),
    ("feed_entry.html", include_str!("templates/feed_entry.html")),
    ("link.html", include_str!("templates/link.html")),
];
/// What stands in front of a built-in template's name where an own one extends or includes it.
const BUILT_IN_PREFIX: &str = "tenbells/";

type Engine = Environment<'static>;

/// The templates in use.
pub struct Templates {
    folder: Option<PathBuf>,
    engine: RwLock<Arc<Engine>>,
}

impl Templates {
    /// The built-in ones, and in their places those of a folder, which are tried out first; blocks on the disk.
    ///
    /// # Errors
    /// [`TemplateError`] with the file, the line and the reason.
    pub fn open(folder: Option<&Path>) -> Result<Self, TemplateError> {
        Ok(Self {
            folder: folder.map(Path::to_owned),
            engine: RwLock::new(Arc::new(load(folder)?)),
        })
    }

    /// Templates that are never asked: what a sample has, which is rendered by others.
    fn unused() -> Self {
        Self {
            folder: None,
            engine: RwLock::new(Arc::new(Environment::new())),
        }
    }

    /// Whether there is a folder to read anew.
    pub fn has_folder(&self) -> bool {
        self.folder.is_some()
    }

    /// Reads the folder anew, and takes its templates into use if they are good; blocks on the disk.
    ///
    /// # Errors
    /// As [`Templates::open`]; those before stay in use.
    pub fn reload(&self) -> Result<(), TemplateError> {
        let engine = Arc::new(load(self.folder.as_deref())?);
        *self.engine.write().unwrap_or_else(PoisonError::into_inner) = engine;
        Ok(())
    }

    /// The list of public topics, for `/`: those that are live first, each group in the order given.
    ///
    /// # Errors
    /// As [`page`].
    pub fn index(&self, topics: &[(Topic, Position)]) -> Result<String, PageError> {
        Ok(render(&self.engine(), "index.html", &Index::new(topics))?)
    }

    /// The page for a topic that isn't there, or isn't there for this reader.
    ///
    /// # Errors
    /// As [`page`].
    pub fn not_found(&self) -> Result<String, PageError> {
        Ok(render(&self.engine(), "not_found.html", &context! {})?)
    }

    /// What a page elsewhere takes in to embed something, in an answer of oEmbed.
    pub(super) fn oembed(&self, value: &impl Serialize) -> Result<String, PageError> {
        let html = render(&self.engine(), "oembed.html", value)?;
        Ok(html.trim().to_owned())
    }

    /// An entry as feed readers show it: verification, correction, body, sources and links.
    pub(super) fn feed_entry(&self, entry: &Entry) -> Result<String, PageError> {
        let html = render(&self.engine(), "feed_entry.html", &Article::of_entry(entry))?;
        Ok(html.trim().to_owned())
    }

    fn engine(&self) -> Arc<Engine> {
        Arc::clone(&self.engine.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Templates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Templates")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

/// The page of a topic: complete without script, live with it.
///
/// # Errors
/// [`PageError`] when a template or the metadata fails, which no built-in one does for a value of the model.
pub fn page(view: &View<'_>) -> Result<String, PageError> {
    page_by(&view.templates.engine(), view)
}

/// What a page elsewhere includes, on its own server: the blog's newest entries as an element that goes live.
///
/// # Errors
/// As [`page`].
pub fn fragment(view: &View<'_>) -> Result<String, PageError> {
    let engine = view.templates.engine();
    Ok(render(&engine, "fragment.html", &Fragment::new(view))?)
}

/// The same of one entry, or of what is left of it.
///
/// # Errors
/// As [`page`].
pub fn entry_fragment(view: &View<'_>, item: &Item) -> Result<String, PageError> {
    let engine = view.templates.engine();
    Ok(render(
        &engine,
        "fragment.html",
        &Fragment::of_entry(view, item),
    )?)
}

fn page_by(engine: &Engine, view: &View<'_>) -> Result<String, PageError> {
    let metadata = jsonld(view)?;
    let embedded = jsonld::for_script_element(&metadata);
    Ok(render(engine, "page.html", &Page::new(view, embedded))?)
}

fn render(
    engine: &Engine,
    template: &str,
    value: &impl Serialize,
) -> Result<String, minijinja::Error> {
    engine.get_template(template)?.render(context! {
        css_version => assets::css_version(),
        js_version => assets::js_version(),
        embed_css_version => assets::embed_css_version(),
        ..Value::from(Serde(value))
    })
}

/// The built-in templates, and those of the folder in their places.
fn load(folder: Option<&Path>) -> Result<Engine, TemplateError> {
    let mut engine = built_in().map_err(TemplateError::built_in)?;
    if let Some(folder) = folder {
        folder::add(&mut engine, folder)?;
        samples::try_out(&engine).map_err(|fault| fault.in_folder(folder))?;
    }
    Ok(engine)
}

fn built_in() -> Result<Engine, minijinja::Error> {
    let mut engine = Environment::new();
    engine.set_auto_escape_callback(|_| AutoEscape::Html);
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build()?;
    engine.set_syntax(syntax);
    for (name, source) in BUILT_IN {
        engine.add_template(name, source)?;
        engine.add_template_owned(format!("{BUILT_IN_PREFIX}{name}"), source)?;
    }
    Ok(engine)
}
