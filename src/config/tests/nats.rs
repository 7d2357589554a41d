//! What a shared log asks of its settings.

use super::*;

#[test]
fn a_shared_log_is_named_by_its_servers() {
    let text = "engine = 'nats'\nlisten = '127.0.0.1:7777'\n[nats]\nservers = ['nats://a:4222', 'tls://b:4222']";
    let nats = load(text).expect("loads").nats.expect("a log");
    assert_eq!(nats.servers, ["nats://a:4222", "tls://b:4222"]);
    assert_eq!((nats.prefix.as_str(), nats.replicas), ("tenbells", None));
    assert!(nats.node.ends_with("-7777"), "{}", nats.node);
    assert_eq!(load("").expect("loads").nats, None);
}

#[test]
fn what_can_not_be_a_shared_log_is_refused_with_the_reason() {
    let server = "servers = ['nats://a:4222']";
    for (text, reason) in [
        ("engine = 'nats'".to_owned(), "needs the servers of the log"),
        (format!("[nats]\n{server}"), "of no use without engine"),
        (
            "engine = 'nats'\n[nats]\nservers = ['http://a:1']".to_owned(),
            "a server is nats://host:port",
        ),
        (
            format!("engine = 'nats'\n[nats]\n{server}\nprefix = 'a.b'"),
            "1 to 32 of a-z",
        ),
        (
            format!("engine = 'nats'\n[nats]\n{server}\nnode = ''"),
            "1 to 32 of a-z",
        ),
        (
            format!("engine = 'nats'\ndemo = true\n[nats]\n{server}"),
            "a demo keeps nothing",
        ),
        (
            format!("engine = 'nats'\n[nats]\n{server}\nreplicas = 6"),
            "from 1 to 5",
        ),
    ] {
        let error = load(&text).expect_err(&text).to_string();
        assert!(error.contains(reason), "{text}: {error}");
    }
}
