//! What many tests ask of a topic: its head, a snapshot page, and every path that shows an entry.

use serde_json::Value;

use super::Server;
use super::sse::Sse;

/// The paths under a topic that answer with entries, `{}` being its name. The stream is not among them.
pub const PATHS: [&str; 9] = [
    "/v1/topics/{}",
    "/v1/topics/{}/entries?limit=1000",
    "/v1/topics/{}/entries?filter=key_events",
    "/v1/topics/{}/entries?filter=pinned",
    "/v1/topics/{}/changes?after=start&limit=1000",
    "/t/{}",
    "/v1/topics/{}/feed.atom",
    "/v1/topics/{}/feed.json",
    "/v1/topics/{}/liveblog.jsonld",
];

impl Server {
    /// The topic as a reader gets it.
    pub async fn topic(&self, topic: &str) -> Value {
        self.get(&format!("/v1/topics/{topic}")).expect(200).await
    }

    /// The position of its head.
    pub async fn position(&self, topic: &str) -> String {
        let topic = self.topic(topic).await;
        topic["position"].as_str().expect("position").to_owned()
    }

    /// The newest entries, as many as a page may have.
    pub async fn snapshot(&self, topic: &str) -> Vec<Value> {
        let path = format!("/v1/topics/{topic}/entries?limit=1000");
        let page = self.get(&path).expect(200).await;
        page["entries"].as_array().expect("entries").clone()
    }

    /// The event stream of a topic behind `after`.
    pub async fn stream(&self, topic: &str, after: &str) -> Sse {
        let url = format!("{}/v1/topics/{topic}/stream?after={after}", self.base);
        Sse::open(&url, None, None).await
    }

    /// The next `count` changes of the event stream behind `after`.
    pub async fn streamed(&self, topic: &str, after: &str, count: usize) -> Vec<Value> {
        let mut sse = self.stream(topic, after).await;
        let mut changes = Vec::new();
        for _ in 0..count {
            changes.push(sse.change().await.data);
        }
        changes
    }

    /// The bodies of every path that shows the topic, with the path in front of each.
    pub async fn every_path(&self, topic: &str) -> Vec<(String, String)> {
        let mut answers = Vec::new();
        for path in PATHS {
            let path = path.replace("{}", topic);
            let answer = self.get(&path).send().await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
            answers.push((path, answer.text()));
        }
        answers
    }
}

/// The number in the text form of a position.
pub fn offset_of(position: &Value) -> u64 {
    let text = position.as_str().expect("a position");
    let (_, offset) = text.split_once('-').expect("an epoch and an offset");
    offset.parse().expect("a number")
}
