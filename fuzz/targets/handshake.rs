//! Opening handshakes (RFC 6455, section 4.2.1): the same verdict and the same answer as tungstenite's, or a known one.
//!
//! Input: the head of a request.
#![cfg_attr(fuzzing, no_main)]

use libfuzzer_sys::fuzz_target;
use tenbells::fuzzing::{first_subscribe, handshake};
use tungstenite::handshake::machine::TryParse;
use tungstenite::handshake::server::{Request, create_response};
use tungstenite::http::HeaderMap;

fuzz_target!(|data: &[u8]| {
    let Ok(Some((_, request))) = Request::try_parse(data) else {
        return;
    };
    let _ = first_subscribe(request.uri().query());
    let fields = request.headers();
    let ours = handshake(fields);
    match (ours, create_response(&request)) {
        (Ok(ours), Ok(theirs)) => {
            assert_eq!(
                Some(&ours.accept),
                theirs.headers().get("sec-websocket-accept")
            );
            assert!(!ours.speaks_ours || has(fields, "sec-websocket-protocol", "tenbells.v1"));
            assert!(!ours.deflates || has(fields, "sec-websocket-extensions", "permessage-"));
        }
        (Err(_), Err(_)) => {}
        (Ok(_), Err(error)) => assert!(is_list(fields), "only tungstenite refuses: {error}"),
        (Err(why), Ok(_)) => assert!(
            is_doubled(fields) || is_two_in_a_row(fields),
            "only ours refuses: {why}"
        ),
    }
});

fn has(fields: &HeaderMap, name: &str, word: &str) -> bool {
    let values = fields.get_all(name);
    values.iter().any(|value| {
        String::from_utf8_lossy(value.as_bytes())
            .to_ascii_lowercase()
            .contains(word)
    })
}

/// tungstenite looks at the first `Connection` alone, and takes no list in `Upgrade`; section 4.2.1 has both contain a
/// word, and RFC 9110, section 5.3, has a list go over several fields.
fn is_list(fields: &HeaderMap) -> bool {
    let is_one = |name: &str, word: &str| {
        fields.get_all(name).iter().count() == 1
            && fields.get(name).is_some_and(|value| {
                String::from_utf8_lossy(value.as_bytes()).eq_ignore_ascii_case(word)
            })
    };
    !is_one("connection", "upgrade") || !is_one("upgrade", "websocket")
}

/// Section 11.3.1 and 11.3.5: key and version must not be there twice. tungstenite takes the first. It also splits
/// `Connection` at spaces, which is no list.
fn is_doubled(fields: &HeaderMap) -> bool {
    let count = |name: &str| fields.get_all(name).iter().count();
    count("sec-websocket-key") > 1
        || count("sec-websocket-version") > 1
        || fields
            .get("connection")
            .is_some_and(|value| value.as_bytes().contains(&b' '))
}

/// tungstenite's decoder takes one base64 text behind the other, each with padding of its own, where together they are 16
/// bytes; a key is the text of 16 bytes (section 4.1), which has padding at its end alone (RFC 4648, section 3.2).
fn is_two_in_a_row(fields: &HeaderMap) -> bool {
    let key = fields.get("sec-websocket-key");
    key.is_some_and(|key| {
        key.as_bytes()
            .trim_ascii_end()
            .windows(2)
            .any(|two| two[0] == b'=' && two[1] != b'=')
    })
}
