//! The page's style sheet and script, built into the binary.
//!
//! A page names them with a version made from their content, so that a page and its script always match,
//! also across an upgrade.

use std::sync::LazyLock;

use sha2::{Digest, Sha256};

/// One file that pages load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asset {
    /// For the `Content-Type` header.
    pub content_type: &'static str,
    /// The file.
    pub bytes: &'static [u8],
}

const CSS: Asset = Asset {
    content_type: "text/css; charset=utf-8",
    bytes: include_bytes!("assets/live.css"),
};

const JS: Asset = Asset {
    content_type: "text/javascript; charset=utf-8",
    bytes: include_bytes!("assets/live.js"),
};

impl Asset {
    /// A strong entity tag, quoted: the first 16 hex digits of the content's SHA-256.
    pub fn etag(&self) -> String {
        format!("\"{}\"", self.version())
    }

    /// The digits of the tag, for addresses that name a file by its content.
    pub(super) fn version(&self) -> String {
        Sha256::digest(self.bytes)
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

/// The asset at `/assets/NAME`.
pub fn asset(name: &str) -> Option<Asset> {
    match name {
        "live.css" => Some(CSS),
        "live.js" => Some(JS),
        _ => None,
    }
}

/// What the page writes behind `?v=` of its style sheet.
pub(super) fn css_version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| CSS.version());
    &VERSION
}

/// What the page writes behind `?v=` of its script.
pub(super) fn js_version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| JS.version());
    &VERSION
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assets_are_found_by_their_whole_name() {
        let css = asset("live.css").expect("there");
        let js = asset("live.js").expect("there");
        assert!(css.content_type.starts_with("text/css"));
        assert_ne!(css.etag(), js.etag());
        assert_eq!(css.etag(), format!("\"{}\"", css_version()));
        assert_eq!(css.etag().len(), 18);
        for name in ["", "live", "LIVE.css", "../live.css"] {
            assert_eq!(asset(name), None, "{name}");
        }
    }

    #[test]
    fn the_script_stays_small() {
        let bytes = JS.bytes.len();
        assert!(bytes < 16 * 1024, "live.js has {bytes} bytes");
    }
}
