//! How servers are spoken to that carry a message as it is: one path to read by WebSocket, one to publish, the channel in
//! the query. That is nchan as it is set up here, and the small program around uWebSockets.

use super::Post;
use crate::handshake;

pub fn opening(authority: &str, channel: &str) -> String {
    handshake::upgrade(authority, &format!("/read?channel={channel}"), "")
}

pub fn post(channel: &str, text: &str) -> Post {
    Post {
        path: format!("/publish?channel={channel}"),
        kind: "application/json",
        body: text.to_owned().into(),
    }
}
