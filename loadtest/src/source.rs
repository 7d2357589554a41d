//! Sockets of readers, with source addresses of their own: one address has too few ports for tens of thousands.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use mio::net::TcpStream;
use socket2::{Domain, Protocol, Socket, Type};

/// Most connections of one source address.
pub const CONNECTIONS_PER_ADDRESS: u64 = 15_000;

/// The source address of reader number `index`: 127.0.0.2 and up where the server is on this machine's loopback.
pub fn address(server: SocketAddr, index: u64) -> Option<Ipv4Addr> {
    match server.ip() {
        IpAddr::V4(ip) if ip.is_loopback() => {
            let step = index / CONNECTIONS_PER_ADDRESS;
            let last = u8::try_from(2 + step % 250).unwrap_or(2);
            Some(Ipv4Addr::new(127, 0, 0, last))
        }
        _ => None,
    }
}

/// Starts a connection; it is made, or has failed, once the socket is writable.
///
/// A reader leaves as one on a train does, without a goodbye: the socket is reset when it is dropped, so that no port
/// is held back and the next run can start at once.
///
/// # Errors
/// When there is no descriptor or no port.
pub fn connect(
    server: SocketAddr,
    index: u64,
    receive_buffer: Option<u32>,
) -> io::Result<TcpStream> {
    let socket = Socket::new(
        Domain::for_address(server),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_linger(Some(Duration::ZERO))?;
    if let Some(bytes) = receive_buffer {
        socket.set_recv_buffer_size(bytes as usize)?;
    }
    if let Some(source) = address(server, index) {
        socket.bind(&SocketAddrV4::new(source, 0).into())?;
    }
    match socket.connect(&server.into()) {
        Ok(()) => {}
        Err(error)
            if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {}
        Err(error) => return Err(error),
    }
    Ok(TcpStream::from_std(socket.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_share() {
        let server = SocketAddr::from(([127, 0, 0, 1], 7010));
        let last = |index| address(server, index).map(|ip| ip.octets()[3]);
        assert_eq!((last(0), last(14_999)), (Some(2), Some(2)));
        assert_eq!((last(15_000), last(45_000)), (Some(3), Some(5)));
        assert_eq!(address(SocketAddr::from(([10, 0, 0, 1], 1)), 0), None);
    }

    #[test]
    fn a_socket_comes_from_its_address() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let server = listener.local_addr().expect("an address");
        let _socket = connect(server, 15_000, Some(4_096)).expect("a socket");
        let (_, peer) = listener.accept().expect("a connection");
        assert_eq!(peer.ip(), IpAddr::from([127, 0, 0, 3]));
    }
}
