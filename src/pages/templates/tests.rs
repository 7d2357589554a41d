//! A newsroom's own templates: what takes their place, and what is refused with its file, its line and its reason.

use tempfile::TempDir;

use super::*;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("folder");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("written");
    }
    folder
}

fn open(files: &[(&str, &str)]) -> Result<Templates, TemplateError> {
    Templates::open(Some(folder(files).path()))
}

/// What is said of these files.
fn refusal(files: &[(&str, &str)]) -> String {
    open(files).expect_err("refused").to_string()
}

fn refused(files: &[(&str, &str)], said: &[&str]) {
    let message = refusal(files);
    for part in said {
        assert!(
            message.contains(part),
            "{files:?} lacks {part:?}: {message}"
        );
    }
}

#[test]
fn the_built_in_templates_stand_the_trial() {
    let engine = built_in().expect("they compile");
    samples::try_out(&engine).expect("they render");
}

#[test]
fn an_own_template_takes_the_place_of_the_built_in_one() {
    let own = open(&[
        (
            "not_found.html",
            "<h1>Nothing & nobody</h1>{% include 'foot.html' %}",
        ),
        ("foot.html", "<footer>The Harbour Times</footer>"),
        ("notes.txt", "{% this is no template"),
        (".page.html", "{% nor is this"),
    ])
    .expect("taken");
    let html = own.not_found().expect("renders");
    assert_eq!(
        html,
        "<h1>Nothing & nobody</h1><footer>The Harbour Times</footer>"
    );
    assert!(own.index(&[]).expect("renders").contains("Live blogs"));
}

#[test]
fn an_own_template_can_include_the_built_in_one() {
    let own = open(&[(
        "article.html",
        "<div class='ad'></div>{% include 'tenbells/article.html' %}",
    )])
    .expect("taken");
    assert!(own.has_folder());
}

#[test]
fn a_mistake_is_named_with_its_file_and_line() {
    let unclosed = "<p>\n{% if live %}\n</p>\n";
    refused(
        &[("index.html", unclosed)],
        &["index.html, line ", "is broken", "syntax error"],
    );
    let unknown = "<h1>Live</h1>\n<p>{{ nothing_like_it }}</p>";
    refused(
        &[("index.html", unknown)],
        &["index.html, line 2,", "undefined"],
    );
    let filter = "\n\n{% for topic in live %}{{ topic.title|shout }}{% endfor %}";
    refused(
        &[("index.html", filter)],
        &["index.html, line 3,", "unknown filter", "shout"],
    );
    // In one that is included, and only where a field is there.
    let included = "{% if item.correction %}\n{{ item.correction.note }}{% endif %}";
    refused(&[("article.html", included)], &["article.html, line 2,"]);
    refused(
        &[("link.html", "{% macro link(item) %}{% endmacro %}")],
        &["(a built-in one)", "time"],
    );
}

#[test]
fn text_must_come_out_escaped() {
    for (file, text, field) in [
        (
            "index.html",
            "{% for topic in ended %}{{ topic.title|safe }}{% endfor %}",
            "title",
        ),
        (
            "article.html",
            "{% autoescape false %}{% if item.headline %}{{ item.headline }}{% endif %}{% endautoescape %}",
            "headline",
        ),
        (
            "feed_entry.html",
            "{% if correction %}{{ correction|safe }}{% endif %}",
            "correction",
        ),
    ] {
        refused(
            &[(file, text)],
            &[&format!("`{field}`"), "without escaping"],
        );
    }
    // Of what is HTML already it is no concern.
    open(&[("feed_entry.html", "{{ body_html|safe }}")]).expect("taken");
}

#[test]
fn a_slip_of_the_name_does_not_go_unseen() {
    refused(
        &[("pages.html", "<p>Never seen</p>")],
        &["pages.html", "built-in", "page.html, article.html"],
    );
    refused(&[("page.htm", "")], &["no *.html"]);
    let message = Templates::open(Some(Path::new("/nonexistent/templates")));
    let message = message.expect_err("refused").to_string();
    assert!(message.contains("/nonexistent/templates"), "{message}");
}

#[test]
fn files_are_bounded() {
    let long = "x".repeat(256 * 1024 + 1);
    refused(&[("index.html", &long)], &["index.html", "262144 bytes"]);
    let names: Vec<_> = (0..101).map(|number| format!("{number}.html")).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), "")).collect();
    refused(&many, &["101 templates", "100"]);
}

#[test]
fn a_broken_one_leaves_those_before_in_use() {
    let folder = folder(&[("not_found.html", "first")]);
    let own = Templates::open(Some(folder.path())).expect("taken");
    let write = |text| std::fs::write(folder.path().join("not_found.html"), text).expect("written");
    write("{{ broken");
    own.reload().expect_err("refused");
    assert_eq!(own.not_found().expect("renders"), "first");
    write("second");
    own.reload().expect("taken");
    assert_eq!(own.not_found().expect("renders"), "second");
}
