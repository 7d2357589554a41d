//! One HTTP call of a test, and its answer.

use reqwest::RequestBuilder;
use reqwest::header::HeaderMap;
use serde_json::Value;

/// A call in the making.
pub struct Call(RequestBuilder);

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Call {
    pub fn new(request: RequestBuilder) -> Self {
        Self(request)
    }

    pub fn key(self, key: &str) -> Self {
        Self(self.0.bearer_auth(key))
    }

    pub fn header(self, name: &str, value: &str) -> Self {
        Self(self.0.header(name, value))
    }

    pub fn json(self, body: &Value) -> Self {
        Self(self.0.json(body))
    }

    pub fn body(self, media_type: &str, body: impl Into<reqwest::Body>) -> Self {
        Self(self.0.header("content-type", media_type).body(body))
    }

    /// Sends it.
    pub async fn send(self) -> Answer {
        let response = self.0.send().await.expect("an answer");
        Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes().await.expect("a body").to_vec(),
        }
    }

    /// Sends it, and gives the JSON of an answer that has this status.
    pub async fn expect(self, status: u16) -> Value {
        let answer = self.send().await;
        assert_eq!(answer.status, status, "{}", answer.text());
        answer.json()
    }

    /// Sends it, and checks that it fails with this status and code; gives the problem.
    pub async fn expect_problem(self, status: u16, code: &str) -> Value {
        let answer = self.send().await;
        let problem = answer.json();
        assert_eq!(answer.status, status, "{problem}");
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert_eq!(problem["status"], status);
        problem
    }
}

impl Answer {
    /// Status, fields but the time, and text: what two answers have to share that nobody may tell apart.
    pub fn whole(&self) -> (u16, HeaderMap, String) {
        let mut headers = self.headers.clone();
        headers.remove("date");
        (self.status, headers, self.text())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}
