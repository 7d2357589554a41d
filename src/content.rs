//! Markdown, HTML or text in; sanitised HTML and plain text out.
