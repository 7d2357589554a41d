//! The HTML templates and their one environment.
//!
//! Every template is named `*.html`, so minijinja escapes all that it is given; the three exceptions (bodies,
//! summaries, JSON-LD) say `|safe` where they stand, and are safe by the rules in [`super`].

use std::sync::LazyLock;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, UndefinedBehavior, context};
use serde::Serialize;

use super::context::{Article, Index, Page};
use super::{PageError, View, assets, jsonld};
use crate::model::{Entry, Position, Topic};

static TEMPLATES: [(&str, &str); 5] = [
    ("page.html", include_str!("templates/page.html")),
    ("article.html", include_str!("templates/article.html")),
    ("index.html", include_str!("templates/index.html")),
    ("feed_entry.html", include_str!("templates/feed_entry.html")),
    ("link.html", include_str!("templates/link.html")),
];

/// The page of a topic: complete without script, live with it.
///
/// # Errors
/// [`PageError`] when a template or the metadata fails, which none does for a value of the model.
pub fn page(view: &View<'_>) -> Result<String, PageError> {
    let metadata = jsonld(view)?;
    let embedded = jsonld::for_script_element(&metadata);
    render("page.html", &Page::new(view, embedded))
}

/// The list of public topics, for `/`: those that are live first, each group in the order given.
///
/// # Errors
/// As [`page`].
pub fn index(topics: &[(Topic, Position)]) -> Result<String, PageError> {
    render("index.html", &Index::new(topics))
}

/// The page for a topic that isn't there, or isn't there for this reader.
pub fn not_found() -> &'static str {
    include_str!("templates/not_found.html")
}

/// An entry as feed readers show it: verification, correction, body, sources and links.
pub(super) fn feed_entry(entry: &Entry) -> Result<String, PageError> {
    render("feed_entry.html", &Article::of_entry(entry)).map(|html| html.trim().to_owned())
}

fn render(template: &str, value: &impl Serialize) -> Result<String, PageError> {
    static ENVIRONMENT: LazyLock<Result<Environment<'static>, minijinja::Error>> =
        LazyLock::new(environment);
    let environment = ENVIRONMENT.as_ref().map_err(copy_of)?;
    let html = environment.get_template(template)?.render(context! {
        css_version => assets::css_version(),
        js_version => assets::js_version(),
        ..Value::from(Serde(value))
    })?;
    Ok(html)
}

fn environment() -> Result<Environment<'static>, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build()?;
    environment.set_syntax(syntax);
    for (name, source) in TEMPLATES {
        environment.add_template(name, source)?;
    }
    Ok(environment)
}

/// minijinja's error can not be cloned; its kind and words can.
fn copy_of(error: &minijinja::Error) -> minijinja::Error {
    minijinja::Error::new(error.kind(), error.to_string())
}
