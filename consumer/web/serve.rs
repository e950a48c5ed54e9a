//! Connections: how many, for how long, and how they end.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::stall::Stall;
use super::{Bounds, Web, routes};

/// Before the next connection is accepted when the last could not be: out of file descriptors, most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

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
    let router = routes::router(web, bounds);
    let room = Arc::new(Semaphore::new(bounds.max_connections.clamp(1, Semaphore::MAX_PERMITS)));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            Some(ended) = connections.join_next() => note_end(ended),
            (stream, permit) = accept(&listener, &room) => {
                if room.available_permits() == 0 {
                    limit_hits.inc();
                }
                connections.spawn(answer(stream, router.clone(), bounds.timeout, shutdown.clone(), permit));
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

/// The next connection, once there is room for one.
async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> (TcpStream, OwnedSemaphorePermit) {
    let Ok(permit) = Arc::clone(room).acquire_owned().await else {
        unreachable!("the semaphore is never closed")
    };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, permit),
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

/// Answers the requests of one connection.
async fn answer(
    stream: TcpStream,
    router: Router,
    timeout: Duration,
    shutdown: CancellationToken,
    permit: OwnedSemaphorePermit,
) {
    // Only a matter of speed.
    stream.set_nodelay(true).ok();
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder.http1().timer(TokioTimer::new()).header_read_timeout(timeout);
    let io = TokioIo::new(Stall::new(stream, timeout));
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
    drop(permit);
}

fn note_end(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        warn!(%error, "an HTTP connection's task failed");
    }
}
