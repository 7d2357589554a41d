//! `serve --demo`: plays a written live blog at a watchable pace, through the broker like any publisher.
//!
//! When the script has ended its topic, the next topic begins as the successor, so that there is always something live.

use std::sync::Arc;
use std::time::Duration;

use crate::broker::{Broker, WriteError, WriteRequest};
use crate::import::script::{Action, DEMO, Step, parse_script};
use crate::model::{TopicLink, TopicName};
use crate::shutdown::Shutdown;

/// How long an ended topic stands before its successor begins.
const PAUSE: Duration = Duration::from_secs(15);
const NAME: &str = "demo";
const ACTOR: &str = "demo";

/// Why the demo stopped.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The script that comes with the program can't be read.
    #[error("the demo's script: {0}")]
    Script(#[from] crate::import::ImportError),
    /// The broker refused a step.
    #[error("the demo's step {step} was refused: {source}")]
    Refused {
        /// Which step, from 1.
        step: usize,
        /// Why.
        source: WriteError,
    },
}

/// The topic that a fresh demo begins with.
pub fn first_topic() -> String {
    topic_name(1).to_string()
}

/// Plays the script again and again, each time in a topic of its own, until `shutdown`.
///
/// # Errors
/// [`DemoError`] when a step can't be played.
pub async fn run(broker: Arc<Broker>, shutdown: Shutdown) -> Result<(), DemoError> {
    let steps = parse_script(DEMO)?;
    let mut round = first_free(&broker).await;
    loop {
        for (index, step) in steps.iter().enumerate() {
            if pause(&shutdown, step.after).await {
                return Ok(());
            }
            play(&broker, round, step)
                .await
                .map_err(|source| DemoError::Refused {
                    step: index + 1,
                    source,
                })?;
        }
        if pause(&shutdown, PAUSE).await {
            return Ok(());
        }
        round += 1;
    }
}

/// Waits; tells whether the server stops.
async fn pause(shutdown: &Shutdown, time: Duration) -> bool {
    tokio::select! {
        () = shutdown.wait() => true,
        () = tokio::time::sleep(time) => false,
    }
}

/// A demo on a data folder that has seen one goes on with the next topic.
async fn first_free(broker: &Arc<Broker>) -> usize {
    let mut round = 1;
    while let Ok(Some(_)) = broker.topic(&topic_name(round)).await {
        round += 1;
    }
    round
}

fn topic_name(round: usize) -> TopicName {
    let name = if round == 1 {
        NAME.to_owned()
    } else {
        format!("{NAME}-{round}")
    };
    TopicName::parse(&name).unwrap_or_else(|_| unreachable!("a slug by its making"))
}

async fn play(broker: &Arc<Broker>, round: usize, step: &Step) -> Result<(), WriteError> {
    let topic = topic_name(round);
    let request = WriteRequest {
        actor: ACTOR.into(),
        key: None,
        may_create: true,
    };
    match &step.action {
        Action::Publish(entry) => {
            broker.publish(&topic, (**entry).clone(), request).await?;
        }
        Action::Revise { id, patch } => {
            broker
                .revise(&topic, id, patch.clone(), None, request)
                .await?;
        }
        Action::Retract { id, reason } => {
            broker
                .retract(&topic, id, reason.clone(), None, request)
                .await?;
        }
        Action::Topic { patch } => set_topic(broker, &topic, round, patch.clone(), request).await?,
        Action::End(end) => {
            let mut end = end.clone();
            let successor = end.successor.get_or_insert(TopicLink {
                topic: None,
                url: None,
                title: None,
            });
            successor.topic = Some(topic_name(round + 1));
            successor.url = None;
            broker.end_topic(&topic, end, request).await?;
        }
    }
    Ok(())
}

/// The first step makes the topic; from the second round on it names the one before.
async fn set_topic(
    broker: &Arc<Broker>,
    topic: &TopicName,
    round: usize,
    mut patch: serde_json::Value,
    request: WriteRequest,
) -> Result<(), WriteError> {
    if broker.topic(topic).await?.is_none() {
        broker
            .put_topic(topic, crate::model::TopicFields::default(), request.clone())
            .await?;
        if round > 1 {
            patch["predecessor"] = serde_json::json!({"topic": topic_name(round - 1).as_str()});
        }
    }
    broker.patch_topic(topic, patch, None, request).await?;
    Ok(())
}
