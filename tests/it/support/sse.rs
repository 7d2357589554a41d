//! A reader of server-sent events, by the rules of the standard as far as the server uses them.

use serde_json::Value;

use super::PATIENCE;

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub id: String,
    pub kind: String,
    pub data: Value,
}

/// An open stream.
pub struct Sse {
    response: reqwest::Response,
    buffer: Vec<u8>,
    pub last_id: String,
}

impl Sse {
    pub async fn open(url: &str, last_id: Option<&str>, key: Option<&str>) -> Self {
        let opened = Self::try_open(url, last_id, key).await;
        opened.expect("a stream")
    }

    /// As [`Sse::open`]; none where nobody answers.
    pub async fn try_open(url: &str, last_id: Option<&str>, key: Option<&str>) -> Option<Self> {
        let mut request = super::tls::http().get(url);
        if let Some(id) = last_id {
            request = request.header("last-event-id", id);
        }
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        let response = request.send().await.ok()?;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Some(Self {
            response,
            buffer: Vec::new(),
            last_id: String::new(),
        })
    }

    /// The next event with data; none at the end of the stream.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
                let block = String::from_utf8(block).expect("UTF-8");
                if let Some(event) = self.read(&block) {
                    return Some(event);
                }
                continue;
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk())
                .await
                .expect("something arrives in time")
                .ok()??;
            // A chunk can end inside a character; an event can't.
            self.buffer.extend_from_slice(&chunk);
        }
    }

    /// The next event that is a change.
    pub async fn change(&mut self) -> Event {
        loop {
            let event = self.next().await.expect("the stream goes on");
            if event.kind != "presence" {
                return event;
            }
        }
    }

    fn read(&mut self, block: &str) -> Option<Event> {
        let (mut kind, mut data) = (String::from("message"), String::new());
        for line in block.lines() {
            match line.split_once(": ") {
                Some(("id", id)) => id.clone_into(&mut self.last_id),
                Some(("event", name)) => name.clone_into(&mut kind),
                Some(("data", text)) => data.push_str(text),
                _ => {}
            }
        }
        (!data.is_empty()).then(|| Event {
            id: self.last_id.clone(),
            kind,
            data: serde_json::from_str(&data).expect("data is JSON"),
        })
    }
}
