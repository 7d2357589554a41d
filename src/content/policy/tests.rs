//! Attacks, and what an article needs.

mod hostile;

use proptest::prelude::*;

use super::*;

/// Nasty input, each with something that must not come through in any spelling.
const ATTACKS: [&str; 44] = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><style><img src=x onerror=alert(1)></style></svg>",
    "<svg><a xlink:href=\"javascript:alert(1)\"><text>x</text></a></svg>",
    "<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img src=1 onerror=alert(1)&gt;\">",
    "<math><mi//xlink:href=\"data:x,<script>alert(1)</script>\">",
    "<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<img src=x onerror=alert(1)>",
    "<img src=\"javascript:alert(1)\">",
    "<img src=\"mailto:a@b.example\" onerror=alert(1)>",
    "<img/src=\"https://a.example/i.png\"/onload=alert(1)>",
    "<img src=\"https://a.example/`onerror=alert(1)//\" alt=\"`onload=alert(1)\">",
    "<img \"\"\"><script>alert(1)</script>\">",
    "<a href=\"javascript:alert(1)\">x</a>",
    "<a href=\"jav&#x09;ascript:alert(1)\">x</a>",
    "<a href=\"java\nscript:alert(1)\">x</a>",
    "<a href=\" &#14; javascript:alert(1)\">x</a>",
    "<a href=\"&#106;&#97;&#118;&#97;&#115;cript&colon;alert(1)\">x</a>",
    "<a href=\"JaVaScRiPt:alert(1)\">x</a>",
    "<a href=\"data:text/html,<script>alert(1)</script>\">x</a>",
    "<a href=\"vbscript:msgbox(1)\">x</a>",
    "<a href=//evil.example/>x</a>",
    "<a href='https://a.example/' onmouseover=alert(1) style=position:fixed>x</a>",
    "<p style=\"background:url(javascript:alert(1))\">x</p>",
    "<div style=\"width:expression(alert(1))\" class=admin id=login>x</div>",
    "<style>@import 'https://evil.example/x.css';</style>",
    "<style><!--</style><script>alert(1)//--></script>",
    "<iframe src=\"javascript:alert(1)\"></iframe>",
    "<iframe srcdoc=\"&lt;script&gt;alert(1)&lt;/script&gt;\"></iframe>",
    "<object data=\"javascript:alert(1)\"></object><embed src=\"javascript:alert(1)\">",
    "<form action=\"javascript:alert(1)\"><input type=submit formaction=\"javascript:alert(1)\"><button>x</button></form>",
    "<base href=\"javascript:alert(1)//\">",
    "<meta http-equiv=refresh content=\"0;url=javascript:alert(1)\">",
    "<link rel=stylesheet href=\"javascript:alert(1)\">",
    "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">",
    "<template><script>alert(1)</script></template>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<details open ontoggle=alert(1)><summary>x</summary></details>",
    "<video><source onerror=\"alert(1)\"></video><audio src=x onerror=alert(1)>",
    "</p></div></body></html><script>alert(1)</script><plaintext>",
];

/// Every tag of the output, as the sanitiser writes them: `<name a="v" …>`.
fn tags(html: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut found = Vec::new();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        let end = rest.find(['>', ' ']).expect("every tag is closed");
        let name = rest[..end].trim_start_matches('/').to_owned();
        rest = &rest[end..];
        let mut attributes = Vec::new();
        while !rest.starts_with('>') {
            let (key, after) = rest
                .trim_start()
                .split_once("=\"")
                .expect("a value in quotes");
            let (value, after) = after.split_once('"').expect("the quote is closed");
            attributes.push((key.to_owned(), value.to_owned()));
            rest = after;
        }
        found.push((name, attributes));
    }
    found
}

fn assert_safe(html: &str) {
    for (name, attributes) in tags(html) {
        assert!(ELEMENTS.contains(&name.as_str()), "<{name}> in {html}");
        for (key, value) in attributes {
            let own = ELEMENT_ATTRIBUTES
                .iter()
                .find(|(element, _)| *element == name);
            let listed = ATTRIBUTES.contains(&key.as_str())
                || key == "rel" && name == "a"
                || own.is_some_and(|(_, keys)| keys.contains(&key.as_str()));
            assert!(listed, "{key} on <{name}> in {html}");
            if matches!(key.as_str(), "href" | "src" | "cite") {
                let url = Url::parse(&value).expect("absolute");
                let mail = key == "href" && url.scheme() == "mailto";
                assert!(mail || matches!(url.scheme(), "http" | "https"), "{html}");
            }
        }
    }
}

#[test]
fn attacks_come_out_harmless_alone_nested_and_cut_short() {
    for attack in ATTACKS {
        let mut inputs = vec![
            attack.to_owned(),
            format!("<table><tr><td>{attack}<p>y"),
            format!("<a href=\"https://a.example/?{attack}\" title=\"{attack}\">{attack}</a>"),
            format!("<select><option>{attack}</select><textarea>{attack}</textarea>"),
            format!("{attack}{attack}"),
        ];
        inputs.extend(attack.char_indices().map(|(at, _)| attack[..at].to_owned()));
        inputs.extend(attack.char_indices().map(|(at, _)| attack[at..].to_owned()));
        for input in inputs {
            let html = clean(&input);
            assert_safe(&html);
            assert_eq!(clean(&html), html, "{input}");
        }
    }
}

#[test]
fn what_an_article_needs_passes() {
    for html in [
        r#"<figure><img src="https://a.example/i.jpg" alt="A “quay”" width="640" height="480" loading="lazy"><figcaption>x</figcaption></figure>"#,
        r#"<p lang="uk" dir="ltr">Київ <time datetime="2026-11-24T09:00Z">9 a.m.</time></p>"#,
        r#"<blockquote cite="https://a.example/"><p>x <q>y</q></p></blockquote>"#,
        r#"<table><thead><tr><th scope="col" colspan="2">x</th></tr></thead><tbody><tr><td>y</td><td>z</td></tr></tbody></table>"#,
        r#"<a href="mailto:desk@a.example" rel="noopener noreferrer nofollow">x</a>"#,
        r#"<ol start="3"><li>x</li></ol>"#,
        r#"<ruby>漢<rp>(</rp><rt>kan</rt><rp>)</rp></ruby>"#,
    ] {
        assert_eq!(clean(html), html);
    }
}

#[test]
fn values_out_of_bounds_are_left_out() {
    assert_eq!(
        clean(
            r#"<img src="ftp://a.example/i" width="100%" height="999999" loading="now" alt="x">"#
        ),
        r#"<img alt="x">"#
    );
    assert_eq!(
        clean(r#"<table><tbody><tr><td colspan="100000" dir="up">x</td></tr></tbody></table>"#),
        "<table><tbody><tr><td>x</td></tr></tbody></table>"
    );
    assert_eq!(
        clean(r##"<a href="#top">x</a>"##),
        r#"<a rel="noopener noreferrer nofollow">x</a>"#
    );
}

#[test]
fn unclosed_markup_cannot_break_out() {
    assert_eq!(clean("<div><b>a<p>b"), "<div><b>a<p>b</p></b></div>");
    assert_eq!(clean("</div></article></section>x</p>y"), "x<p></p>y");
    assert_eq!(clean("<a href=\"https://a.example/"), "");
    assert_eq!(clean("x <!-- y"), "x");
}

/// Fragments of markup in any order: tags that parsers move about, attributes, entities, attacks.
fn tangled() -> impl Strategy<Value = String> {
    let name = proptest::sample::select(vec![
        "a",
        "b",
        "p",
        "pre",
        "div",
        "table",
        "tr",
        "td",
        "caption",
        "svg",
        "math",
        "mtext",
        "style",
        "script",
        "select",
        "option",
        "form",
        "h1",
        "li",
        "ul",
        "template",
        "title",
        "textarea",
        "noscript",
        "font",
        "nobr",
        "button",
        "ruby",
        "rt",
        "em",
        "blockquote",
        "img",
        "br",
        "hr",
        "plaintext",
        "body",
        "frameset",
        "dd",
        "col",
    ]);
    let piece = prop_oneof![
        6 => name.clone().prop_map(|name| format!("<{name}>")),
        4 => name.clone().prop_map(|name| format!("</{name}>")),
        2 => name.prop_map(|name| format!("<{name} href='https://a.example/' onclick=x title=\"&lt;'\">")),
        2 => proptest::sample::select(ATTACKS.to_vec()).prop_map(str::to_owned),
        2 => "[\\n\\r<>&\"'=/! a-z-]{1,6}",
        1 => any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn tangled_markup_comes_out_safe_and_stands_still(raw in tangled()) {
        let html = clean(&raw);
        assert_safe(&html);
        prop_assert_eq!(clean(&html), html);
    }
}
