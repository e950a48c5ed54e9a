//! Connections: how many, for how long, and how they end.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use axum::middleware::map_response;
use axum::response::Response;
use axum::{Extension, Router};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};
use tokio::time::MissedTickBehavior;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::access::{Access, Rules, Tls, is_allowed};
use super::guard::Peer;
use super::room::{Room, Visitor};
use super::stall::Stall;
use super::{Bounds, Web, routes};
use crate::metrics::Metrics;

/// Before the next connection is accepted when the last could not be: out of file descriptors, most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Between two looks whether the web config or its certificates have changed.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Between two warnings that there is no room.
const WARN_INTERVAL: Duration = Duration::from_secs(60);
/// Bytes of a plain request that are read at a port that speaks TLS.
const MOST_UNREAD: u64 = 64 << 10;

/// Answers requests until `shutdown`, then lets those that run come to their end within the bounds' timeout.
///
/// # Errors
/// None for now: what fails to be accepted is logged and tried again.
pub async fn serve(
    listener: TcpListener,
    web: Arc<Web>,
    bounds: Bounds,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let limit_hits = web.metrics.limit_hits.with_label_values(&["max_connections"]);
    let (access, metrics) = (Arc::clone(&web.access), Arc::clone(&web.metrics));
    let router = routes::router(web, bounds);
    let room = Room::new(bounds.max_connections);
    let mut warned: Option<Instant> = None;
    let mut connections = JoinSet::new();
    let mut looks = tokio::time::interval(LOOK_INTERVAL);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            _ = looks.tick() => look(&access, &metrics),
            Some(ended) = connections.join_next() => note_end(ended),
            (stream, peer) = accept(&listener) => {
                let visitor = room.enter(peer);
                if visitor.as_ref().is_none_or(Visitor::must_wait) {
                    limit_hits.inc();
                    if warned.is_none_or(|then| then.elapsed() > WARN_INTERVAL) {
                        warned = Some(Instant::now());
                        warn!(%peer, "web.max_connections is reached: connections wait, or are closed");
                    }
                }
                let Some(visitor) = visitor else { continue };
                let crowded = Arc::clone(&room);
                let router = router.clone().layer(Extension(Peer(peer))).layer(map_response(
                    move |response| std::future::ready(or_close(response, &crowded)),
                ));
                let served = answer(stream, access.rules(), router, bounds.timeout, shutdown.clone());
                connections.spawn(in_turn(visitor, shutdown.clone(), served));
            }
        }
    }
    drop(listener);
    let drained = async {
        while let Some(ended) = connections.join_next().await {
            note_end(ended);
        }
    };
    if tokio::time::timeout(bounds.timeout, drained).await.is_err() {
        warn!("some HTTP connections did not end in time and are cut off");
    }
    Ok(())
}

/// Where others wait, a connection ends with its answer.
fn or_close(mut response: Response, room: &Room) -> Response {
    if room.is_crowded() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Answers once it is the connection's turn.
async fn in_turn(visitor: Visitor, shutdown: CancellationToken, served: impl Future<Output = ()>) {
    let turn = tokio::select! {
        turn = visitor.turn() => turn,
        () = shutdown.cancelled() => None,
    };
    if turn.is_some() {
        served.await;
    }
}

/// The next connection.
async fn accept(listener: &TcpListener) -> (TcpStream, IpAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer.ip()),
            Err(error) if is_of_one_connection(&error) => debug!(%error, "a connection was gone at once"),
            Err(error) => {
                warn!(%error, "can't accept an HTTP connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Takes up another web config beside the async tasks.
fn look(access: &Arc<Access>, metrics: &Arc<Metrics>) {
    let (access, metrics) = (Arc::clone(access), Arc::clone(metrics));
    tokio::task::spawn_blocking(move || {
        if let Some(is_taken) = access.look() {
            metrics.web_config_reload_successful.set(i64::from(is_taken));
        }
    });
}

/// Answers the requests of one connection, once it is encrypted if it must be.
async fn answer(
    stream: TcpStream,
    rules: Arc<Rules>,
    router: Router,
    timeout: Duration,
    shutdown: CancellationToken,
) {
    // Only a matter of speed.
    stream.set_nodelay(true).ok();
    let Some(tls) = &rules.tls else {
        return converse(Stall::new(stream, timeout), router, timeout, shutdown).await;
    };
    match tokio::time::timeout(timeout, encrypt(stream, tls)).await {
        Ok(Ok(stream)) => converse(Stall::new(stream, timeout), router, timeout, shutdown).await,
        Ok(Err(error)) => debug!(%error, "a connection could not be encrypted"),
        Err(_) => debug!("a connection was not encrypted in time"),
    }
}

/// The first byte of a TLS connection: a handshake record.
const HANDSHAKE: u8 = 0x16;
/// What those are told who forgot the `s`.
const NOT_ENCRYPTED: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n\
    this port speaks TLS: write https:// instead of http://\n";

async fn encrypt(mut stream: TcpStream, tls: &Tls) -> io::Result<TlsStream<TcpStream>> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 1 && first[0] != HANDSHAKE {
        stream.write_all(NOT_ENCRYPTED).await?;
        stream.shutdown().await?;
        // What was sent is read to the end, or closing would take the answer back.
        tokio::io::copy(&mut stream.take(MOST_UNREAD), &mut tokio::io::sink()).await?;
        return Err(io::Error::other("it is plain HTTP"));
    }
    let stream = TlsAcceptor::from(Arc::clone(&tls.config)).accept(stream).await?;
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    if !tls.allowed_sans.is_empty() && !certificate.is_some_and(|one| is_allowed(one, &tls.allowed_sans)) {
        return Err(io::Error::other("the client's certificate bears no name of client_allowed_sans"));
    }
    Ok(stream)
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    timeout: Duration,
    shutdown: CancellationToken,
) {
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder.http1().timer(TokioTimer::new()).header_read_timeout(timeout);
    let io = TokioIo::new(stream);
    let mut connection = std::pin::pin!(builder.serve_connection(io, TowerToHyperService::new(router)));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(error, "an HTTP connection ended badly");
    }
}

fn note_end(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        warn!(%error, "an HTTP connection's task failed");
    }
}
