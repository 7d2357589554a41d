//! The page's style sheet and script, built into the binary: the committed bundles of web/dist, which `node web/build.mjs`
//! makes from web/element.
//!
//! A page names them with a version made from their content, so that a page and its script always match,
//! also across an upgrade.

use std::sync::{LazyLock, OnceLock};

use sha2::{Digest, Sha256};

/// One file that pages load.
#[derive(Debug, PartialEq, Eq)]
pub struct Asset {
    /// For the `Content-Type` header.
    pub content_type: &'static str,
    /// The file.
    pub bytes: &'static [u8],
    version: OnceLock<String>,
}

static CSS: Asset = Asset::css(include_bytes!("../../web/dist/live-blog.css"));
static JS: Asset = Asset::js(include_bytes!("../../web/dist/live-blog.js"));
static EMBED_CSS: Asset = Asset::css(include_bytes!("../../web/dist/live-blog-embed.css"));
static EMBED_ELEMENT: Asset = Asset::js(include_bytes!("../../web/dist/live-blog-embed.js"));

impl Asset {
    /// A style sheet.
    pub(super) const fn css(bytes: &'static [u8]) -> Self {
        Self::new("text/css; charset=utf-8", bytes)
    }

    /// A script.
    pub(super) const fn js(bytes: &'static [u8]) -> Self {
        Self::new("text/javascript; charset=utf-8", bytes)
    }

    const fn new(content_type: &'static str, bytes: &'static [u8]) -> Self {
        Self {
            content_type,
            bytes,
            version: OnceLock::new(),
        }
    }

    /// A strong entity tag, quoted: the first 16 hex digits of the content's SHA-256.
    pub fn etag(&self) -> String {
        format!("\"{}\"", self.version())
    }

    /// What a page writes behind `?v=`: with it the address has these bytes for ever.
    pub fn version(&self) -> &str {
        self.version.get_or_init(|| {
            Sha256::digest(self.bytes)
                .iter()
                .take(8)
                .map(|byte| format!("{byte:02x}"))
                .collect()
        })
    }
}

/// The asset at `/assets/NAME`.
pub fn asset(name: &str) -> Option<&'static Asset> {
    match name {
        "live-blog.css" => Some(&CSS),
        "live-blog.js" => Some(&JS),
        "live-blog-embed.css" => Some(&EMBED_CSS),
        "live-blog-embed.js" => Some(&EMBED_ELEMENT),
        _ => None,
    }
}

/// `/embed.js`: what a page elsewhere names by one script tag, at an address that stays; the versions of what it loads are
/// put in.
pub fn embed() -> &'static Asset {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        include_str!("../../web/dist/embed.js")
            .replace("CSS_VERSION", EMBED_CSS.version())
            .replace("JS_VERSION", EMBED_ELEMENT.version())
    });
    static EMBED: LazyLock<Asset> = LazyLock::new(|| Asset::js(TEXT.as_bytes()));
    &EMBED
}

/// What a fragment writes behind `?v=` of its style sheet.
pub(super) fn embed_css_version() -> &'static str {
    EMBED_CSS.version()
}

/// What the page writes behind `?v=` of its style sheet.
pub(super) fn css_version() -> &'static str {
    CSS.version()
}

/// What the page writes behind `?v=` of its script.
pub(super) fn js_version() -> &'static str {
    JS.version()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assets_are_found_by_their_whole_name() {
        let css = asset("live-blog.css").expect("there");
        let js = asset("live-blog.js").expect("there");
        assert!(css.content_type.starts_with("text/css"));
        assert_ne!(css.etag(), js.etag());
        assert_eq!(css.etag(), format!("\"{}\"", css_version()));
        assert_eq!(css.etag().len(), 18);
        for name in ["", "live-blog", "LIVE-blog.css", "../live-blog.css"] {
            assert_eq!(asset(name), None, "{name}");
        }
    }
}
