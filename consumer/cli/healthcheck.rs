//! `trailmeter healthcheck`: for containers without a shell or curl.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::Args;

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
    let answer = ask(&address, path, Duration::from_secs(arguments.timeout.max(1)))
        .with_context(|| format!("{address}{path} does not answer: is trailmeter running there?"))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    if head.split_ascii_whitespace().nth(1) != Some("200") {
        return Err(anyhow!("{address}{path}: {}", body.trim()).into());
    }
    println!("{}", body.trim());
    Ok(())
}

fn ask(address: &str, path: &str, timeout: Duration) -> anyhow::Result<String> {
    let Some(target) = address.to_socket_addrs()?.next() else { bail!("{address} is no address") };
    let mut stream = TcpStream::connect_timeout(&target, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(MAX_ANSWER_BYTES).read_to_string(&mut answer)?;
    Ok(answer)
}
