//! Connections: TCP, with TLS over it where asked for, and Unix sockets.

use super::record::{Fault, Opened};
use super::socket::{Socket, bare, lookup};
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::client::{WebPkiServerVerifier, verify_server_name};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{
    self, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};

/// Why a request failed: the kind, and what was said.
pub type Failure = (Fault, String);

/// Where a server listens; names are resolved once, before the load.
#[derive(Clone)]
pub struct Address {
    /// `host:port`, as it goes into requests.
    pub authority: String,
    sockets: Vec<Socket>,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

/// How certificates are checked.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// Also trust the certificates in this PEM file.
    pub ca: Option<std::path::PathBuf>,
}

impl Address {
    /// Looks up `host`; `secure` offers `protocol` in the handshake.
    pub fn resolve(
        host: &str,
        port: u16,
        secure: Option<(&Trust, &[u8])>,
    ) -> Result<Self, Failure> {
        let sockets = lookup(host, port)?;
        let tls = match secure {
            None => None,
            Some((trust, protocol)) => {
                let name = ServerName::try_from(bare(host).to_owned()).map_err(|e| {
                    (Fault::Tls, format!("`{host}` cannot be in a certificate: {e}"))
                })?;
                Some((Arc::new(config(trust, protocol)?), name))
            }
        };
        Ok(Self { authority: format!("{host}:{port}"), sockets, tls })
    }

    /// A Unix socket; requests name it `localhost`.
    pub fn local(path: PathBuf) -> Self {
        Self { authority: "localhost".into(), sockets: vec![Socket::Unix(path)], tls: None }
    }

    /// The addresses of the name, in the order in which it has them.
    pub fn sockets(&self) -> &[Socket] {
        &self.sockets
    }

    /// The same with one of its addresses alone.
    pub fn only(mut self, ip: IpAddr) -> Result<Self, Failure> {
        self.sockets.retain(|socket| socket.ip() == Some(ip));
        if self.sockets.is_empty() {
            return Err((Fault::Resolve, format!("{ip} is no address of `{}`", self.authority)));
        }
        Ok(self)
    }

    /// Opens a connection to the address of this number, and says what that took. Where nobody listens there, the
    /// others are tried in turn.
    pub async fn connect(&self, number: usize) -> Result<(Stream, Opened), Failure> {
        let (mut last, begin) = (None, Instant::now());
        let first = number % self.sockets.len().max(1);
        let (before, from) = self.sockets.split_at(first);
        for socket in from.iter().chain(before) {
            match open(socket).await {
                Ok(stream) => {
                    let connect = begin.elapsed();
                    let stream = self.secure(stream).await?;
                    let handshake = begin.elapsed().saturating_sub(connect);
                    let handshake = if self.tls.is_some() { handshake } else { Duration::ZERO };
                    return Ok((stream, Opened { count: 1, connect, handshake, resent: 0 }));
                }
                Err(error) => last = Some((socket, error)),
            }
        }
        let Some((socket, error)) = last else {
            return Err((Fault::Resolve, "no address".into()));
        };
        let fault = match error.kind() {
            // A Unix socket that is not there is what a port is at which nobody listens.
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => Fault::Refused,
            _ => Fault::Connect,
        };
        Err((fault, format!("{socket}: {error}")))
    }

    async fn secure(&self, stream: Stream) -> Result<Stream, Failure> {
        let Some((config, name)) = &self.tls else { return Ok(stream) };
        let Stream::Plain(stream) = stream else { return Ok(stream) };
        let connector = tokio_rustls::TlsConnector::from(config.clone());
        match connector.connect(name.clone(), stream).await {
            Ok(stream) => Ok(Stream::Tls(Box::new(stream))),
            Err(error) => Err((Fault::Tls, error.to_string())),
        }
    }
}

async fn open(socket: &Socket) -> io::Result<Stream> {
    match socket {
        Socket::Tcp(address) => {
            let stream = TcpStream::connect(address).await?;
            // Requests are written whole; waiting to fill a packet only delays them.
            let _ = stream.set_nodelay(true);
            Ok(Stream::Plain(stream))
        }
        #[cfg(unix)]
        Socket::Unix(path) => UnixStream::connect(path).await.map(Stream::Unix),
        #[cfg(not(unix))]
        Socket::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}

fn config(trust: &Trust, protocol: &[u8]) -> Result<ClientConfig, Failure> {
    let wrong = |what: String| (Fault::Tls, what);
    let mut roots = RootCertStore::empty();
    let mut own = Vec::new();
    for certificate in rustls_native_certs::load_native_certs().certs {
        // A certificate of the system that rustls cannot read concerns other servers.
        let _ = roots.add(certificate);
    }
    if let Some(path) = &trust.ca {
        let name = path.display();
        let read = CertificateDer::pem_file_iter(path)
            .map_err(|e| wrong(format!("`{name}` cannot be read: {e}")))?;
        for certificate in read {
            let certificate = certificate.map_err(|e| wrong(format!("`{name}`: {e}")))?;
            roots.add(certificate.clone()).map_err(|e| wrong(format!("`{name}`: {e}")))?;
            own.push(certificate);
        }
        if own.is_empty() {
            return Err(wrong(format!("`{name}` has no certificate")));
        }
    }
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| wrong(e.to_string()))?;
    let mut config = if own.is_empty() {
        builder.with_root_certificates(roots).with_no_client_auth()
    } else {
        let chains = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|e| wrong(e.to_string()))?;
        let verifier = Arc::new(Vouched { chains, own });
        builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()
    };
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(config)
}

/// Accepts what chains accept, and a server that shows one of the given certificates itself. Those
/// that `openssl req -x509` makes sign themselves as authorities, which chains do not end in.
#[derive(Debug)]
struct Vouched {
    chains: Arc<WebPkiServerVerifier>,
    own: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Vouched {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        stapled: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.chains.verify_server_cert(shown, between, name, stapled, now) {
            // Dates are looked at before what a certificate is for, and have errors of their own.
            Err(rustls::Error::InvalidCertificate(rustls::CertificateError::Other(_)))
                if self.own.iter().any(|own| own == shown) =>
            {
                verify_server_name(&ParsedCertificate::try_from(shown)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chains.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chains.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
    }
}

/// A connection.
#[derive(Debug)]
pub enum Stream {
    /// As it is.
    Plain(TcpStream),
    /// Encrypted.
    Tls(Box<TlsStream<TcpStream>>),
    /// Of a Unix socket.
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Stream {
    /// Whether an idle connection is still open: nothing can be read from it, not even its end.
    pub async fn is_idle(&mut self) -> bool {
        let mut byte = [0];
        let mut buffer = ReadBuf::new(&mut byte);
        std::future::poll_fn(|cx| {
            Poll::Ready(Pin::new(&mut *self).poll_read(cx, &mut buffer).is_pending())
        })
        .await
    }

    /// Whether an idle connection is closed by its peer within this time, or says what nobody asked for.
    pub async fn ends(&mut self, within: Duration) -> bool {
        let mut byte = [0];
        let mut buffer = ReadBuf::new(&mut byte);
        let read = std::future::poll_fn(|cx| Pin::new(&mut *self).poll_read(cx, &mut buffer));
        tokio::time::timeout(within, read).await.is_ok()
    }

    /// Whether the peer refused what was sent last because its end of the connection was closed by then, as far as
    /// is known after `patience`.
    pub async fn was_refused(&self, patience: Duration) -> bool {
        let error = || match self {
            Self::Plain(stream) => stream.take_error(),
            Self::Tls(stream) => stream.get_ref().0.take_error(),
            #[cfg(unix)]
            Self::Unix(stream) => stream.take_error(),
        };
        let begin = Instant::now();
        loop {
            if !matches!(error(), Ok(None)) {
                return true;
            }
            if begin.elapsed() >= patience {
                return false;
            }
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, data),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, data),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, data),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
