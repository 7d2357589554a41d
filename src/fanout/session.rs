//! The TLS session of a reader (rustls), driven without waiting by the shard that has its socket.
//!
//! The shared bytes of a run are sealed a record at a time, and the next one only when the kernel took all of the last.
//! So what a reader that takes nothing keeps alive is one sealed record: bytes that can't be called back, like the rest
//! of a frame that was cut. Nothing in the clear is kept.

use std::io::{self, ErrorKind, Read, Write};

use mio::net::TcpStream;
use rustls::ServerConnection;

use super::socket::Sent;

/// Most bytes that are sealed at once: a record of TLS has no room for more (RFC 8446, section 5.1).
const RECORD_BYTES_MAX: usize = 16 << 10;
/// Sealed bytes that a reader may send for a buffer in the clear: records that say next to nothing are a flood.
const SEALED_PER_BUFFER: usize = 4;

/// A session after its handshake.
pub(super) struct Session {
    connection: ServerConnection,
    has_progressed: bool,
    has_ended: bool,
}

/// Whether sealed bytes are left over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pushed {
    Clear,
    Blocked,
    Gone,
}

impl Session {
    pub(super) fn new(mut connection: ServerConnection) -> Self {
        connection.set_buffer_limit(Some(RECORD_BYTES_MAX));
        Self {
            connection,
            has_progressed: false,
            has_ended: false,
        }
    }

    /// Seals and writes bytes behind what is left over, as far as the kernel takes them.
    pub(super) fn write(&mut self, stream: &mut TcpStream, bytes: &[u8]) -> Sent {
        let mut sealed = 0;
        loop {
            match self.push(stream) {
                Pushed::Clear if sealed == bytes.len() => return Sent::Whole,
                Pushed::Clear => {}
                Pushed::Blocked => return Sent::Part(sealed),
                Pushed::Gone => return Sent::Gone,
            }
            let end = bytes.len().min(sealed + RECORD_BYTES_MAX);
            match self.connection.writer().write(&bytes[sealed..end]) {
                Ok(0) | Err(_) => return Sent::Gone,
                Ok(count) => sealed += count,
            }
        }
    }

    /// Writes what is sealed.
    fn push(&mut self, stream: &mut TcpStream) -> Pushed {
        while self.connection.wants_write() {
            match self.connection.write_tls(stream) {
                Ok(0) => return Pushed::Gone,
                Ok(_) => self.has_progressed = true,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Pushed::Blocked,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Pushed::Gone,
            }
        }
        Pushed::Clear
    }

    /// Reads into `buffer` until it is full or nothing waits: the count, 0 at the end of the session, none where there
    /// was nothing.
    ///
    /// # Errors
    /// When the peer breaks the protocol; it has been told so as far as the kernel had room.
    pub(super) fn read(
        &mut self,
        stream: &mut TcpStream,
        buffer: &mut [u8],
    ) -> io::Result<Option<usize>> {
        let mut filled = 0;
        let mut sealed = 0;
        loop {
            // First what is there in the clear: the opening handshake may have read further than its own end.
            match self.connection.reader().read(&mut buffer[filled..]) {
                Ok(0) if filled < buffer.len() => self.has_ended = true,
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => self.has_ended = true,
            }
            if filled == buffer.len() || (self.has_ended && filled > 0) {
                return Ok(Some(filled));
            }
            if self.has_ended {
                return Ok(Some(0));
            }
            if sealed > buffer.len() * SEALED_PER_BUFFER {
                return Err(ErrorKind::InvalidData.into());
            }
            match self.connection.read_tls(stream) {
                Ok(0) => self.has_ended = true,
                Ok(count) => sealed += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Ok((filled > 0).then_some(filled));
                }
                Err(error) => return Err(error),
            }
            if let Err(error) = self.connection.process_new_packets() {
                // The alert that says why; a peer without room for it learns nothing.
                self.push(stream);
                return Err(io::Error::new(ErrorKind::InvalidData, error));
            }
        }
    }

    /// Whether sealed bytes wait that the kernel did not take.
    pub(super) fn has_tail(&self) -> bool {
        self.connection.wants_write()
    }

    /// Whether the kernel has taken sealed bytes since the last time this was asked.
    pub(super) fn take_progress(&mut self) -> bool {
        std::mem::take(&mut self.has_progressed)
    }

    /// Says that nothing more comes (close_notify), as far as the kernel has room.
    pub(super) fn close(&mut self, stream: &mut TcpStream) {
        self.connection.send_close_notify();
        self.push(stream);
    }
}
