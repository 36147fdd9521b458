//! Serves HTTP/1.1, with a bound on everything a client could hold.
//!
//! A client may hold a place (see `places`) only until somebody else needs it. In a turn of the one
//! thread a few connections are accepted and a few requests are taken, each connection's after those
//! of the others: whatever a crowd asks, core is observed in between.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Request, Response};
use http_body::{Frame, SizeHint};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};
use tower::Service;
use tracing::{debug, warn};

use crate::places::{Place, Places};
use crate::wire::{Listener, Wire};

/// Connections at a time. One more is accepted, and waits for the place of another.
const CONNECTIONS_MAX: usize = 512;
/// Connections that are accepted in a turn of the thread, and requests that are taken: the observer
/// needs several turns for a question.
const TURN_MAX: usize = 16;
/// For a whole request head, and between two requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a request head, and of what is read ahead: a whole crowd's are far below the memory that
/// the pod has for this.
const HEAD_MAX: usize = 16 << 10;
/// A client that reads nothing must not hold a place for ever; whoever asks regularly connects
/// again.
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(300);
/// After an error that the next accept would meet too, such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// Runs until dropped.
pub async fn serve(listener: Arc<TcpListener>, router: Router) {
    serve_in(Places::new(CONNECTIONS_MAX), listener, router).await;
}

async fn serve_in(places: Arc<Places>, listener: Arc<TcpListener>, router: Router) {
    let turns = Arc::new(Semaphore::new(TURN_MAX));
    let mut accepted = 0_usize;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Answers are small; waiting for more to send only delays them.
                drop(stream.set_nodelay(true));
                let place = Arc::new(places.take().await);
                let requests =
                    Requests { router: router.clone(), turns: Arc::clone(&turns), place };
                drop(tokio::spawn(connection(stream, requests)));
                accepted = (accepted + 1) % TURN_MAX;
                // Before anybody is sent away, it has read the request that it may have.
                if accepted == 0 || places.are_taken() {
                    yield_now().await;
                }
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                warn!(%error, "cannot accept");
                sleep(PAUSE).await;
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

async fn connection<T>(stream: T, requests: Requests)
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    builder.http1().max_buf_size(HEAD_MAX);
    let place = Arc::clone(&requests.place);
    let wire = TokioIo::new(Wire { stream, listener: Arc::clone(&place) });
    let requests = TowerToHyperService::new(requests);
    let served = timeout(CONNECTION_AGE_MAX, builder.serve_connection(wire, requests));
    tokio::select! {
        // Whoever is told to leave takes no further request.
        biased;
        () = place.told_to_leave() => debug!("a connection gave its place to another"),
        served = served => if let Ok(Err(error)) = served {
            debug!(%error, "a connection failed");
        }
    }
}

/// The requests of one connection.
#[derive(Clone)]
struct Requests {
    router: Router,
    /// A few, for all connections: who has one may ask the router in the next turn.
    turns: Arc<Semaphore>,
    place: Arc<Place>,
}

impl<B> Service<Request<B>> for Requests
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    type Response = Response<Answer>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // So is a router.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Self { mut router, turns, place } = self.clone();
        place.asked();
        Box::pin(async move {
            // First come, first served; then everything else that is ready to run has its turn.
            let turn = turns.acquire().await;
            yield_now().await;
            drop(turn);
            let Ok(mut response) = router.call(request).await;
            place.answered();
            if place.is_wanted() {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(response.map(|body| Answer { body, place }))
        })
    }
}

/// The body of an answer. It is dropped when all of it has been handed over.
struct Answer {
    body: Body,
    place: Arc<Place>,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.place.handed_over();
    }
}

impl Listener for Arc<Place> {
    fn flushed(&self) {
        self.written();
    }
}

#[cfg(test)]
#[path = "serve_tests.rs"]
mod tests;
