//! placeholder
use crate::model::Body;
/// p
pub fn render(body: &Body) -> String {
    body.raw().into()
}
/// t
pub fn text(html: &str) -> String {
    html.into()
}
