//! A node that is cut off from the log keeps its readers, says that it is stale, and acknowledges nothing.

use serde_json::json;

use super::{node, until_has};
use crate::support::nats::{self, Nats};
use crate::support::ws::Ws;

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_cut_off_keeps_its_readers_and_refuses_writes() {
    if nats::is_missing() {
        return;
    }
    let mut nats = Nats::start();
    let a = node(&nats, "cut", "a").await;
    a.publish("t", "one").await;
    until_has(&a, "t", 1).await;
    let mut reader = Ws::open(&a.ws("?topic=t&after=start")).await;
    reader.op("subscribed").await;
    assert_eq!(reader.change().await["offset"], 1);
    let ready = a.admin("/readyz").expect(200).await;
    assert_eq!(
        (&ready["status"], &ready["lag_records"]),
        (&json!("ready"), &json!(0))
    );

    let folder = nats.stop();
    // Whatever the first ones are told, none of them is acknowledged.
    let body = json!({"body": {"text": "lost?"}});
    let answer = a
        .desk("POST", "/v1/topics/t/entries")
        .header("idempotency-key", "open")
        .json(&body)
        .send()
        .await;
    let open = answer.status == 500 && answer.json()["code"] == "outcome_unknown";
    assert!(open || answer.status == 503, "{}", answer.text());
    a.until_metric("tenbells_cluster_stale", |stale| stale == 1.0)
        .await;
    a.desk("POST", "/v1/topics/t/entries")
        .json(&body)
        .expect_problem(503, "unavailable")
        .await;
    let ready = a.admin("/readyz").expect(503).await;
    assert_eq!(ready["status"], "stale", "{ready}");
    a.admin("/readyz?for=readers").expect(200).await;
    let mut late = Ws::open(&a.ws("?topic=t&after=start")).await;
    late.op("subscribed").await;
    assert_eq!(late.change().await["offset"], 1);

    nats.start_again(folder);
    a.until_metric("tenbells_cluster_stale", |stale| stale == 0.0)
        .await;
    // The one whose outcome was open is stored once, or now.
    let again = a
        .desk("POST", "/v1/topics/t/entries")
        .header("idempotency-key", "open")
        .json(&body)
        .expect(201)
        .await;
    assert_eq!(
        again["position"]
            .as_str()
            .and_then(|at| at.rsplit('-').next()),
        Some("2")
    );
    for reader in [&mut reader, &mut late] {
        assert_eq!(reader.change().await["offset"], 2);
    }
    let ready = a.admin("/readyz").expect(200).await;
    assert_eq!(ready["status"], "ready");
}
