//! The bare send loop: the least that a server could do. It writes the same frame to every socket, without blocking,
//! and waits for writability where one is full. No HTTP, no store, no topics: what a broker costs beyond it is the
//! broker's own.
//!
//! It runs in a process of its own, told by lines on stdin, so that its CPU is measured as a server's is.

use std::io::{BufRead, ErrorKind, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use anyhow::{Context, Result};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use serde::{Deserialize, Serialize};

use crate::clock::{now_micros, until};
use crate::frame::server_text;
use crate::message::entry_id;

/// How many connections may wait to be accepted; the kernel cuts this to its own limit.
const BACKLOG: i32 = 4_096;

/// What the sender is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Task {
    /// How many readers connect.
    pub readers: u64,
    /// Bytes of a message, with its frame header.
    pub bytes: u64,
    /// How many messages.
    pub messages: u64,
    /// Messages a second.
    pub rate: f64,
    /// Threads, each with its share of the sockets.
    pub threads: u32,
    /// Name of the run.
    pub run: String,
}

struct Socket {
    stream: TcpStream,
    /// The message that is due, and how much of it is written.
    message: usize,
    written: usize,
}

struct Share {
    poll: Poll,
    sockets: Vec<Socket>,
    lagging: usize,
}

/// As many readers wait to be accepted as the kernel allows: what finds the queue full counts as connected for itself
/// alone, and would never be accepted.
fn listen() -> std::io::Result<TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    let any_port: SocketAddr = ([127, 0, 0, 1], 0).into();
    socket.bind(&any_port.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Works: a task on stdin, the port on stdout, `ready` when all are there, a line on stdin to start, `done`.
///
/// # Errors
/// When sockets or lines fail.
pub fn work() -> Result<()> {
    let mut lines = std::io::stdin().lock().lines();
    let task = lines.next().context("no task on stdin")??;
    let task: Task = serde_json::from_str(&task).context("not a task")?;
    let listener = listen().context("no port")?;
    say(&listener.local_addr()?.port().to_string())?;
    let threads = task.threads.max(1) as usize;
    let mut shares: Vec<Vec<Socket>> = (0..threads).map(|_| Vec::new()).collect();
    for index in 0..usize::try_from(task.readers)? {
        let (stream, _) = listener.accept().context("can't accept a reader")?;
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        shares[index % threads].push(Socket {
            stream: TcpStream::from_std(stream),
            message: 0,
            written: 0,
        });
    }
    let shares = shares
        .into_iter()
        .map(Share::new)
        .collect::<Result<Vec<_>>>()?;
    say("ready")?;
    lines.next().context("told to stop before the start")??;
    let start_us = now_micros() + 10_000;
    let working: Vec<_> = shares
        .into_iter()
        .map(|share| {
            let task = task.clone();
            std::thread::spawn(move || share.send(&task, start_us))
        })
        .collect();
    let mut shares = Vec::new();
    for one in working {
        shares.push(
            one.join()
                .map_err(|_| anyhow::anyhow!("a sending thread ended early"))??,
        );
    }
    say("done")?;
    // The sockets stay open until the readers were asked.
    lines.next();
    drop(shares);
    Ok(())
}

fn say(word: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{word}")?;
    Ok(out.flush()?)
}

/// Message number `index`, from 0: a frame of exactly `bytes`, or the shortest there is.
fn message(task: &Task, index: u64, intended_us: u64) -> Vec<u8> {
    let id = entry_id(&task.run, intended_us, index + 1);
    let head = format!(
        r#"{{"op":"change","topic":"bare","offset":{},"entry":{{"id":"{id}","text":""#,
        index + 1
    );
    let tail = r#""}}"#;
    let bytes = usize::try_from(task.bytes).unwrap_or(0);
    // Headers have 2, 4 or 10 bytes.
    let header = match bytes {
        0..130 => 2,
        130..65_540 => 4,
        _ => 10,
    };
    let filling = bytes.saturating_sub(head.len() + tail.len() + header);
    server_text(format!("{head}{}{tail}", "x".repeat(filling)).as_bytes())
}

impl Share {
    fn new(mut sockets: Vec<Socket>) -> Result<Self> {
        let poll = Poll::new()?;
        for (index, socket) in sockets.iter_mut().enumerate() {
            poll.registry()
                .register(&mut socket.stream, Token(index), Interest::WRITABLE)?;
        }
        Ok(Self {
            poll,
            sockets,
            lagging: 0,
        })
    }

    fn send(mut self, task: &Task, start_us: u64) -> Result<Self> {
        let mut messages = Vec::new();
        let mut events = Events::with_capacity(1_024);
        for index in 0..task.messages {
            let intended_us = start_us + gap_us(index, task.rate);
            while now_micros() < intended_us {
                if self.lagging == 0 {
                    std::thread::sleep(until(intended_us));
                } else {
                    self.catch_up(&mut events, &messages, until(intended_us))?;
                }
            }
            messages.push(message(task, index, intended_us));
            let due = messages.len() - 1;
            for socket in &mut self.sockets {
                // Who lags is walked forward when the socket is writable.
                if socket.message == due && !socket.walk(&messages)? {
                    self.lagging += 1;
                }
            }
        }
        while self.lagging > 0 {
            self.catch_up(&mut events, &messages, Duration::from_secs(1))?;
        }
        Ok(self)
    }

    fn catch_up(
        &mut self,
        events: &mut Events,
        messages: &[Vec<u8>],
        wait: Duration,
    ) -> Result<()> {
        match self.poll.poll(events, Some(wait)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        for event in &*events {
            let socket = &mut self.sockets[event.token().0];
            if socket.message < messages.len() && socket.walk(messages)? {
                self.lagging -= 1;
            }
        }
        Ok(())
    }
}

impl Socket {
    /// Writes what is due; whether all of it is written.
    fn walk(&mut self, messages: &[Vec<u8>]) -> Result<bool> {
        while let Some(message) = messages.get(self.message) {
            match self.stream.write(&message[self.written..]) {
                Ok(count) => {
                    self.written += count;
                    if self.written == message.len() {
                        self.message += 1;
                        self.written = 0;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("a reader of the bare loop is gone"),
            }
        }
        Ok(true)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "microseconds of a run are far below 2^53"
)]
fn gap_us(index: u64, rate: f64) -> u64 {
    (index as f64 * 1e6 / rate) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Message, intended, read};

    #[test]
    fn messages_have_their_size_and_are_read_as_changes() {
        let mut task = Task {
            readers: 1,
            bytes: 0,
            messages: 1,
            rate: 1.0,
            threads: 1,
            run: "r".to_owned(),
        };
        for bytes in [130, 200, 1_000, 65_539, 70_000] {
            task.bytes = bytes;
            let message = message(&task, 41, 77);
            assert_eq!(message.len() as u64, bytes);
            let (frame, used) = crate::frame::take(&message).expect("sound").expect("whole");
            assert_eq!(used, message.len());
            let crate::frame::Frame::Text(payload) = frame else {
                panic!("a text frame, not {frame:?}");
            };
            assert_eq!(read(payload), Message::Change(42));
            assert_eq!(intended(payload, "r"), Some(77));
        }
    }
}
