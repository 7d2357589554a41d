//! The page of the desk: a shell without content, and the script and style sheet that fill it, built into the binary.
//!
//! The shell is the same for everyone and holds no secret; what a key may see, the script asks the API for. The bundles
//! are made from `web/desk` and committed in `web/dist`. This file knows no request and no key.

use std::sync::LazyLock;

use super::assets::Asset;

/// The `Content-Security-Policy` of the desk: stricter than that of readers' pages, as whoever runs a script here can
/// publish. No frame, no form, no inline script or style, and no HTML that did not go through the desk's one policy.
///
/// Pictures may come from elsewhere, as entries may carry them.
pub const DESK_CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self' https: http: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types tenbells-desk";

static CSS: Asset = Asset::css(include_bytes!("../../web/dist/desk.css"));
static JS: Asset = Asset::js(include_bytes!("../../web/dist/desk.js"));

/// The page at `/desk`. It names its script and style sheet by their content, so that they always match.
pub fn desk() -> &'static str {
    static PAGE: LazyLock<String> = LazyLock::new(|| {
        include_str!("../../web/desk/desk.html")
            .replace("{{css}}", CSS.version())
            .replace("{{js}}", JS.version())
    });
    &PAGE
}

/// What is at `/desk/NAME`: `desk.css` or `desk.js`.
pub fn desk_asset(name: &str) -> Option<&'static Asset> {
    match name {
        "desk.css" => Some(&CSS),
        "desk.js" => Some(&JS),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_its_assets_by_their_content() {
        let page = desk();
        for (name, asset) in [("desk.css", &CSS), ("desk.js", &JS)] {
            assert_eq!(desk_asset(name), Some(asset));
            assert!(page.contains(&format!("desk/{name}?v={}", asset.version())));
        }
        assert!(!page.contains("{{"));
        assert_eq!(desk_asset("desk.html"), None);
    }

    #[test]
    fn nothing_on_the_page_needs_a_weaker_policy() {
        let page = desk();
        assert!(!page.contains("<style") && !page.contains(" style=") && !page.contains(" on"));
        assert_eq!(
            page.matches("<script").count(),
            page.matches("<script defer src=").count()
        );
        assert!(!DESK_CSP.contains("unsafe"));
    }
}
