//! Where a server listens: an address and a port, or a Unix socket.

use super::record::Fault;
use std::fmt;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

/// One place at which a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Socket {
    /// An address and a port.
    Tcp(SocketAddr),
    /// A file of this machine.
    Unix(PathBuf),
}

impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Socket {
    /// Its address; none of a Unix socket.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(address) => Some(address.ip()),
            Self::Unix(_) => None,
        }
    }

    /// Whether it is on this machine: an address is exactly if a socket can have it.
    pub fn is_own(&self) -> bool {
        match self {
            Self::Tcp(address) => std::net::UdpSocket::bind((address.ip(), 0)).is_ok(),
            Self::Unix(_) => true,
        }
    }

    /// Whether somebody listens there, as far as that is known after `patience`.
    pub fn listens(&self, patience: Duration) -> bool {
        match self {
            Self::Tcp(address) => TcpStream::connect_timeout(address, patience).is_ok(),
            #[cfg(unix)]
            Self::Unix(path) => std::os::unix::net::UnixStream::connect(path).is_ok(),
            #[cfg(not(unix))]
            Self::Unix(_) => false,
        }
    }

    /// The process that listens at a Unix socket; `None` where the system does not show it.
    pub fn process(&self) -> Option<u32> {
        #[cfg(target_os = "linux")]
        if let Self::Unix(path) = self {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().ok()?;
            let peer = runtime.block_on(async {
                tokio::net::UnixStream::connect(path).await.ok()?.peer_cred().ok()
            });
            return u32::try_from(peer?.pid()?).ok();
        }
        None
    }
}

/// A host as it stands in tables of names: without the brackets of an IPv6 address in a URL.
pub(crate) fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

/// The addresses of a host, one or more, each once.
pub(crate) fn lookup(host: &str, port: u16) -> Result<Vec<Socket>, (Fault, String)> {
    let found = (bare(host), port)
        .to_socket_addrs()
        .map_err(|e| (Fault::Resolve, format!("`{host}` is not a known host: {e}")))?;
    let mut sockets: Vec<Socket> = Vec::new();
    for socket in found.map(Socket::Tcp) {
        if !sockets.contains(&socket) {
            sockets.push(socket);
        }
    }
    if sockets.is_empty() {
        return Err((Fault::Resolve, format!("`{host}` has no address")));
    }
    Ok(sockets)
}
