//! `trailmeter healthcheck`: for containers without a shell or curl.

use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};

use super::Failure;

#[derive(Args)]
#[command(after_help = "Example:\n  trailmeter healthcheck --address 127.0.0.1:9464 --ready")]
pub struct HealthcheckArguments {
    /// Where it serves
    #[arg(long, env = "TRAILMETER_LISTEN", default_value = "127.0.0.1:9464", value_name = "ADDRESS:PORT")]
    address: String,
    /// Ask whether it is ready, not only alive
    #[arg(long, env = "TRAILMETER_READY", value_parser = clap::builder::FalseyValueParser::new())]
    ready: bool,
    /// Seconds to wait
    #[arg(long, env = "TRAILMETER_TIMEOUT", default_value_t = 3)]
    timeout: u64,
}

/// More than an answer is long.
const MAX_ANSWER_BYTES: u64 = 16 << 10;

pub fn run(arguments: &HealthcheckArguments) -> Result<(), Failure> {
    let path = if arguments.ready { "/-/ready" } else { "/-/healthy" };
    // Served on every address, it is asked on this machine's own.
    let address = arguments.address.replace("0.0.0.0:", "127.0.0.1:").replace("[::]:", "[::1]:");
    let timeout = Duration::from_secs(arguments.timeout.max(1));
    let answer = in_time(address.clone(), path, timeout)
        .with_context(|| format!("{address}{path} does not answer: is trailmeter running there?"))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let (status, body) = (head.split_ascii_whitespace().nth(1), body.trim());
    match (status, body) {
        (Some("200"), "ok") => {
            println!("ok");
            Ok(())
        }
        (Some("200"), _) => Err(anyhow!("{address}{path}: another program answers there").into()),
        (_, "") => Err(anyhow!("{address}{path}: what answers there is not trailmeter").into()),
        (_, why) => Err(anyhow!("{address}{path}: {why}").into()),
    }
}

/// Asks on a thread of its own, which ends with the process: a server may send its answer byte by byte.
fn in_time(address: String, path: &'static str, timeout: Duration) -> anyhow::Result<String> {
    let (sender, answers) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let plain = ask(&address, path, timeout, Encrypted::No);
        let answer = match plain {
            Ok(answer) if answer.contains(SPEAKS_TLS) => ask(&address, path, timeout, Encrypted::Yes),
            plain => plain,
        };
        // Whoever waited may have given up.
        sender.send(answer).ok();
    });
    let late = |_| anyhow!("no answer within {} s", timeout.as_secs());
    answers.recv_timeout(timeout).map_err(late)?
}

/// What a port that speaks TLS answers to those who do not.
const SPEAKS_TLS: &str = "this port speaks TLS";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Encrypted {
    Yes,
    No,
}

fn ask(address: &str, path: &str, timeout: Duration, encrypted: Encrypted) -> anyhow::Result<String> {
    let Some(target) = address.to_socket_addrs()?.next() else { bail!("{address} is no address") };
    let stream = TcpStream::connect_timeout(&target, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    if encrypted == Encrypted::No {
        return exchange(stream, address, path);
    }
    exchange(StreamOwned::new(handshake(target.ip())?, stream), address, path)
}

fn exchange(mut stream: impl Read + Write, address: &str, path: &str) -> anyhow::Result<String> {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER_BYTES).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// The certificate bears the name by which others reach the server, and this asks its own machine: any is taken.
fn handshake(address: IpAddr) -> anyhow::Result<ClientConnection> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(TakesAny(provider)))
        .with_no_client_auth();
    Ok(ClientConnection::new(Arc::new(config), ServerName::IpAddress(address.into()))?)
}

#[derive(Debug)]
struct TakesAny(Arc<CryptoProvider>);

impl ServerCertVerifier for TakesAny {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
