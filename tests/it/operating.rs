//! The admin listener: health, readiness and metrics, and nothing of it on the public one.

use crate::support::Server;

#[tokio::test(flavor = "multi_thread")]
async fn health_and_metrics_are_on_the_admin_listener_alone() {
    let server = Server::start().await;
    server.publish("t", "x").await;
    for (path, words) in [
        ("/healthz", "alive"),
        ("/readyz", "ready"),
        ("/metrics", "# EOF"),
    ] {
        let answer = reqwest::get(format!("{}{path}", server.admin)).await;
        let answer = answer.expect("an answer");
        assert_eq!(answer.status(), 200, "{path}");
        let text = answer.text().await.expect("text");
        assert!(text.contains(words), "{path}: {text}");
        server.get(path).expect_problem(404, "not_found").await;
    }
    let topics = reqwest::get(format!("{}/v1/topics/t", server.admin)).await;
    assert_eq!(topics.expect("an answer").status(), 404);
}
