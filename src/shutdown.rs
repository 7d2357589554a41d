//! The order to stop: given once, by a signal or by whoever runs the server; seen by everything that runs.

use std::sync::Arc;

use tokio::sync::watch;

/// The order to stop, shared.
#[derive(Debug, Clone)]
pub struct Shutdown(Arc<watch::Sender<bool>>);

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

impl Shutdown {
    /// Not given yet.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Gives the order. Giving it again changes nothing.
    pub fn trigger(&self) {
        self.0.send_replace(true);
    }

    /// Whether it was given.
    pub fn is_triggered(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is given.
    ///
    /// # Cancel safety
    /// Waiting again sees the order as well.
    pub async fn wait(&self) {
        // The sender lives in `self`, so this ends only with the order.
        let _ = self.0.subscribe().wait_for(|given| *given).await;
    }

    /// Gives the order at SIGTERM or SIGINT. At a second one the process ends at once: what was acknowledged is kept
    /// all the same.
    ///
    /// # Errors
    /// When the signals can't be listened to.
    pub fn on_signals(&self) -> std::io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let shutdown = self.clone();
        tokio::spawn(async move {
            for round in 0.. {
                let name = tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                };
                if round > 0 {
                    tracing::warn!(signal = name, "a second signal: stopping at once");
                    std::process::exit(130);
                }
                tracing::info!(
                    signal = name,
                    "stopping: readers are told when to come back"
                );
                shutdown.trigger();
            }
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everyone_sees_the_order_also_later() {
        let shutdown = Shutdown::new();
        let other = shutdown.clone();
        assert!(!other.is_triggered());
        let waiting = tokio::spawn(async move { other.wait().await });
        shutdown.trigger();
        shutdown.trigger();
        waiting.await.expect("seen");
        shutdown.wait().await;
        assert!(shutdown.is_triggered());
    }
}
