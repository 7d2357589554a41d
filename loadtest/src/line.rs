//! What a reader speaks through: its socket, in the clear or with a TLS session on it. Reads and writes as a
//! non-blocking socket does.

use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;
use std::sync::Arc;

use mio::net::TcpStream;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use crate::trust;

/// A connection of a reader.
pub struct Line {
    stream: TcpStream,
    session: Option<Box<ClientConnection>>,
}

/// What sessions are made by.
#[derive(Debug, Clone)]
pub struct Secret {
    /// Whom to trust.
    pub config: Arc<ClientConfig>,
    /// The name that the server must have.
    pub name: ServerName<'static>,
}

impl Secret {
    /// Trusts the certificates of a file, for the host of `host:port`.
    ///
    /// # Errors
    /// When there are none, or the host can have none.
    pub fn read(ca: &Path, authority: &str) -> anyhow::Result<Self> {
        Ok(Self {
            config: trust::client(ca)?,
            name: trust::server_name(authority)?,
        })
    }
}

impl Line {
    /// A line over a socket that may be still connecting.
    ///
    /// # Errors
    /// When there can be no session.
    pub fn new(stream: TcpStream, secret: Option<&Secret>) -> io::Result<Self> {
        let session = secret
            .map(|secret| {
                ClientConnection::new(Arc::clone(&secret.config), secret.name.clone())
                    .map(Box::new)
                    .map_err(io::Error::other)
            })
            .transpose()?;
        Ok(Self { stream, session })
    }

    /// The socket.
    pub fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }
}

/// Writes what is sealed, as far as there is room: the rest goes with the next read or write.
fn push(session: &mut ClientConnection, stream: &mut TcpStream) -> io::Result<()> {
    while session.wants_write() {
        match session.write_tls(stream) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl Read for Line {
    /// As a socket: less than the buffer means that nothing more waits.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(session) = &mut self.session else {
            return self.stream.read(buffer);
        };
        let mut filled = 0;
        loop {
            match session.reader().read(&mut buffer[filled..]) {
                Ok(0) => return Ok(filled),
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) if filled > 0 => return Ok(filled),
                Err(error) => return Err(error),
            }
            if filled == buffer.len() {
                return Ok(filled);
            }
            match session.read_tls(&mut self.stream) {
                // The end is told by the reader above.
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock && filled > 0 => {
                    return Ok(filled);
                }
                Err(error) => return Err(error),
            }
            session.process_new_packets().map_err(io::Error::other)?;
            push(session, &mut self.stream)?;
        }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(session) = &mut self.session else {
            return self.stream.write(bytes);
        };
        let count = session.writer().write(bytes)?;
        push(session, &mut self.stream)?;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
