//! What is refused: with a status and a code of its own, naming the field, and with nothing stored.

mod unfit;

use serde_json::{Value, json};

use self::unfit::{unfit_lists_and_times, unfit_patches, unfit_text};
use crate::support::raw::exchange;
use crate::support::{Call, Server};

const ENTRIES: &str = "/v1/topics/t/entries";
const JSON: &str = "application/json";

/// A server with one entry `e` at revision 2, and all that a refusal must not change.
async fn standing() -> (Server, Vec<Value>) {
    let server = Server::start().await;
    let entry = json!({"id": "e", "headline": "One", "body": {"text": "first"}});
    server.publish_entry("t", entry).await;
    server
        .desk("PATCH", "/v1/topics/t/entries/e")
        .json(&json!({"headline": "Two"}))
        .expect(200)
        .await;
    let changes = server.changes("t", "start").await;
    (server, changes)
}

/// Checks that the topic is as it was, and that nobody made another.
async fn unchanged(server: &Server, before: &[Value]) {
    assert_eq!(server.changes("t", "start").await, before);
    let page = server.snapshot("t").await;
    assert_eq!(
        (page.len(), &page[0]["headline"]),
        (1, &json!("Two")),
        "{page:?}"
    );
    let index = server.get("/").send().await.text();
    assert!(!index.contains("/t/other"), "{index}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_does_not_fit_is_named() {
    let (server, before) = standing().await;
    for (entry, field) in unfit_text().into_iter().chain(unfit_lists_and_times()) {
        let problem = server
            .desk("POST", ENTRIES)
            .json(&entry)
            .expect_problem(422, "invalid_field")
            .await;
        assert_eq!(problem["field"], field, "{problem}");
        let detail = problem["detail"].as_str().expect("detail");
        assert!(detail.contains(field), "{problem}");
    }
    for (path, patch, field) in unfit_patches() {
        let call = server.desk("PATCH", path).json(&patch);
        let problem = call.expect_problem(422, "invalid_field").await;
        assert_eq!(problem["field"], field, "{problem}");
    }
    unchanged(&server, &before).await;
}

/// Calls with the status and the code that each is answered with.
fn wrong_paths(server: &Server) -> Vec<(Call, u16, &'static str)> {
    let desk = |method: &str, path: &str| server.desk(method, path).json(&json!({"headline": "x"}));
    let long = format!("/v1/topics/{}/entries", "a".repeat(129));
    vec![
        (desk("POST", "/v1/topics/T/entries"), 400, "invalid_topic"),
        (desk("POST", "/v1/topics/-t/entries"), 400, "invalid_topic"),
        (
            desk("POST", "/v1/topics/t%2Fu/entries"),
            400,
            "invalid_topic",
        ),
        (
            desk("POST", "/v1/topics/t%00/entries"),
            400,
            "invalid_topic",
        ),
        (desk("POST", &long), 400, "invalid_topic"),
        (desk("PUT", "/v1/topics/z%C3%BCrich"), 400, "invalid_topic"),
        (
            desk("PATCH", "/v1/topics/t/entries/a%20b"),
            400,
            "invalid_id",
        ),
        (desk("DELETE", "/v1/topics/t/entries/.e"), 400, "invalid_id"),
        (
            desk("PATCH", "/v1/topics/t/entries/none"),
            404,
            "entry_not_found",
        ),
        (
            desk("GET", "/v1/topics/t/entries/none"),
            404,
            "entry_not_found",
        ),
        (
            desk("GET", "/v1/topics/none/changes"),
            404,
            "topic_not_found",
        ),
        (desk("GET", "/v1/topic/t"), 404, "not_found"),
        (desk("POST", "/v2/topics/t/entries"), 404, "not_found"),
        (desk("GET", "/v1/topics/t/entries/"), 404, "not_found"),
        (desk("DELETE", "/v1/topics/t"), 405, "method_not_allowed"),
        (
            desk("PUT", "/v1/topics/t/entries/e"),
            405,
            "method_not_allowed",
        ),
        (desk("GET", "/v1/topics/t/end"), 405, "method_not_allowed"),
    ]
}

fn wrong_parameters(server: &Server) -> Vec<(Call, u16, &'static str)> {
    vec![
        (
            server.get("/v1/topics/t/changes?after=soon"),
            400,
            "invalid_position",
        ),
        (
            server.get("/v1/topics/t/stream?after=a-b"),
            400,
            "invalid_position",
        ),
        (
            server.get("/v1/topics/t/changes?limit=0"),
            400,
            "invalid_parameter",
        ),
        (
            server.get("/v1/topics/t/changes?limit=1001"),
            400,
            "invalid_parameter",
        ),
        (
            server.get("/v1/topics/t/changes?wait=61"),
            400,
            "invalid_parameter",
        ),
        (
            server.get("/v1/topics/t/changes?wait=-1"),
            400,
            "invalid_parameter",
        ),
        (
            server.get("/v1/topics/t/entries?before=x"),
            400,
            "invalid_parameter",
        ),
        (
            server.get("/v1/topics/t/entries?filter=all"),
            400,
            "invalid_parameter",
        ),
    ]
}

fn wrong_fields_of_the_head(server: &Server) -> Vec<(Call, u16, &'static str)> {
    let desk = |method: &str, path: &str| server.desk(method, path).json(&json!({"headline": "x"}));
    vec![
        (
            server
                .get("/v1/topics/t/stream")
                .header("last-event-id", "x"),
            400,
            "invalid_position",
        ),
        (
            desk("PATCH", "/v1/topics/t/entries/e").header("if-match", "two"),
            400,
            "invalid_parameter",
        ),
        (
            desk("PATCH", "/v1/topics/t/entries/e").header("if-match", "\"1\""),
            412,
            "revision_stale",
        ),
        (
            desk("DELETE", "/v1/topics/t/entries/e")
                .header("if-match", "\"1\"")
                .json(&json!({})),
            412,
            "revision_stale",
        ),
        (
            desk("POST", ENTRIES).header("idempotency-key", &"k".repeat(256)),
            400,
            "invalid_parameter",
        ),
        (
            desk("POST", ENTRIES).header("idempotency-key", ""),
            400,
            "invalid_parameter",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn names_paths_methods_and_parameters_have_errors_of_their_own() {
    let (server, before) = standing().await;
    for (call, status, code) in wrong_paths(&server)
        .into_iter()
        .chain(wrong_parameters(&server))
        .chain(wrong_fields_of_the_head(&server))
    {
        call.expect_problem(status, code).await;
    }
    unchanged(&server, &before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_method_says_which_are_right() {
    let (server, _) = standing().await;
    let answer = server.desk("DELETE", "/v1/topics/t").send().await;
    assert_eq!(answer.status, 405);
    let allowed = answer.header("allow");
    for method in ["GET", "PUT", "PATCH"] {
        assert!(allowed.contains(method), "{allowed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_json_is_refused() {
    let (server, before) = standing().await;
    for body in [
        "",
        "{",
        r#"{"headline":"x"} {"headline":"y"}"#,
        r#"{"headline":"x",}"#,
        "headline=x",
        "{\"headline\":\"\u{0}\"}",
    ] {
        let call = server.desk("POST", ENTRIES).body(JSON, body.to_owned());
        call.expect_problem(400, "invalid_json").await;
    }
    let call = server
        .desk("POST", ENTRIES)
        .body(JSON, b"{\"headline\":\"\xff\"}".to_vec());
    call.expect_problem(400, "invalid_json").await;
    for body in ["[]", "4", "\"x\"", "null"] {
        let call = server.desk("POST", ENTRIES).body(JSON, body.to_owned());
        call.expect_problem(422, "invalid_field").await;
        let call = server.desk("PATCH", "/v1/topics/t/entries/e");
        let call = call.body(JSON, body.to_owned());
        call.expect_problem(422, "invalid_field").await;
    }
    let whole = r#"{"headline":"x"}"#;
    for media_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonx",
        "json",
    ] {
        let call = server.desk("POST", ENTRIES).body(media_type, whole);
        call.expect_problem(415, "unsupported_media_type").await;
    }
    unchanged(&server, &before).await;
    for media_type in [
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/merge-patch+json",
    ] {
        let call = server.desk("POST", ENTRIES).body(media_type, whole);
        call.expect(201).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_reaches_a_client_that_sends_its_body_first() {
    let (server, before) = standing().await;
    // More than a socket takes, so that a server that closes at once breaks the client's write.
    let large = json!({"body": {"text": "x".repeat(900 * 1024)}}).to_string();
    for _ in 0..10 {
        let call = server.desk("POST", ENTRIES).body(JSON, large.clone());
        call.expect_problem(413, "too_large").await;
        let call = server
            .desk("POST", ENTRIES)
            .body("text/plain", large.clone());
        call.expect_problem(415, "unsupported_media_type").await;
        let stranger = server.call(reqwest::Method::POST, ENTRIES);
        let call = stranger.body(JSON, large.clone());
        call.expect_problem(401, "unauthorized").await;
    }
    unchanged(&server, &before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_too_long_is_refused_by_its_length_and_without_one() {
    let (server, before) = standing().await;
    let limit = 256 * 1024;
    let head = |field: &str| {
        let key = &server.desk;
        format!(
            "POST {ENTRIES} HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {key}\r\nContent-Type: {JSON}\r\n{field}\r\n\r\n"
        )
    };
    // Declared: refused before a byte of it came.
    let declared = head(&format!("Content-Length: {}", limit + 1));
    // In chunks: refused at the byte that is too many, not at the end, which never comes.
    let mut chunked = head("Transfer-Encoding: chunked");
    for _ in 0..limit / 1024 {
        chunked.push_str(&format!("400\r\n{}\r\n", " ".repeat(1024)));
    }
    chunked.push_str("1\r\n \r\n");
    for request in [declared, chunked] {
        let answer = exchange(&server, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        assert!(answer.contains("application/problem+json"), "{answer}");
        assert!(answer.contains(r#""code":"too_large""#), "{answer}");
        assert!(answer.contains("262144"), "the limit is named: {answer}");
    }
    unchanged(&server, &before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_dribbles_runs_into_its_time() {
    let server = Server::start_with(|config| {
        config.http.body_timeout = std::time::Duration::from_millis(200);
    })
    .await;
    let key = &server.desk;
    let request = format!(
        "POST {ENTRIES} HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {key}\r\nContent-Type: {JSON}\r\nContent-Length: 10\r\n\r\n{{"
    );
    let answer = exchange(&server, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains(r#""code":"timeout""#), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_problem_tells_nothing_of_the_inside() {
    let (server, _) = standing().await;
    let problem = server
        .get("/v1/topics/none")
        .expect_problem(404, "topic_not_found")
        .await;
    assert_eq!(problem["type"], "urn:tenbells:problem:topic_not_found");
    let mut fields: Vec<_> = problem.as_object().expect("fields").keys().collect();
    fields.sort();
    assert_eq!(fields, ["code", "detail", "status", "title", "type"]);
}
