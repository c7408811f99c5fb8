//! `rustls`: handshakes, data both ways, the end, and a certificate that nobody vouches for.

use crate::{at_once, on_two_processors, with_server};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
};
use selvedge::net::TcpStream;
use std::io::{ErrorKind, Read, Write};
use std::sync::{Arc, OnceLock};

pub type ClientStream = StreamOwned<ClientConnection, TcpStream>;
pub type ServerStream = StreamOwned<ServerConnection, TcpStream>;

/// Of a server called localhost, and of clients that trust its certificate: made on the spot.
fn configs() -> &'static (Arc<ServerConfig>, Arc<ClientConfig>) {
    static CONFIGS: OnceLock<(Arc<ServerConfig>, Arc<ClientConfig>)> = OnceLock::new();
    CONFIGS.get_or_init(|| {
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = own.cert.der().clone();
        let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate).unwrap();
        (Arc::new(server), Arc::new(trusting(roots)))
    })
}

fn trusting(roots: RootCertStore) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

pub fn server(stream: TcpStream) -> ServerStream {
    StreamOwned::new(ServerConnection::new(Arc::clone(&configs().0)).unwrap(), stream)
}

pub fn client(stream: TcpStream) -> ClientStream {
    client_with(Arc::clone(&configs().1), stream)
}

fn client_with(config: Arc<ClientConfig>, stream: TcpStream) -> ClientStream {
    let name = ServerName::try_from("localhost").unwrap();
    StreamOwned::new(ClientConnection::new(config, name).unwrap(), stream)
}

/// Says back what it hears, until the client has said that it is the end.
fn echo(stream: TcpStream) {
    let mut stream = server(stream);
    std::io::copy(&mut Twice(&mut stream), &mut std::io::sink()).expect("the client ends in order");
    stream.conn.send_close_notify();
    stream.flush().unwrap();
}

/// A reader that writes back what it has read.
struct Twice<'a>(&'a mut ServerStream);

impl Read for Twice<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.0.read(buffer)?;
        self.0.write_all(&buffer[..length])?;
        Ok(length)
    }
}

fn talk(number: usize, stream: TcpStream) {
    let mut stream = client(stream);
    // In turns, so that neither waits for the other with both directions full.
    for turn in 0..8 {
        let said = vec![(number + turn) as u8; 20_000];
        stream.write_all(&said).unwrap();
        let mut heard = vec![0; said.len()];
        stream.read_exact(&mut heard).unwrap();
        assert_eq!(said, heard, "client {number} turn {turn}");
    }
    stream.conn.send_close_notify();
    stream.flush().unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("the server ends in order");
    assert!(rest.is_empty());
}

#[test]
fn many_tls_connections_at_once() {
    at_once(100, echo, talk);
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_refused() {
    let serve = |stream| {
        let error = server(stream).read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData, "the client says why: {error}");
    };
    on_two_processors(move || {
        with_server(serve, |address| {
            let stream = TcpStream::connect(address).unwrap();
            let mistrusting = Arc::new(trusting(RootCertStore::empty()));
            let error = client_with(mistrusting, stream).write_all(b"secret").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
        });
    });
}
