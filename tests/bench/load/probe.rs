//! A prober as kubelet is one: HTTP/1.1, a new connection each time.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::Failure;
use crate::measure::{Latencies, Stretch};
use crate::options::Options;

const PAUSE: Duration = Duration::from_millis(2);
const LIMIT: Duration = Duration::from_secs(2);

/// Probes until the time is over. An answer with another status than `--status`, or none, is an error.
pub(crate) async fn run(options: &Options) -> Result<Value, Failure> {
    let mut latencies = Latencies::default();
    let (mut done, mut errors, mut first_error) = (0, 0, None);
    let right = format!("HTTP/1.1 {} ", options.status);
    let stretch = Stretch::begin(options.pid);
    while stretch.elapsed() < options.measured {
        let begin = Instant::now();
        let answer = timeout(LIMIT, probe(options)).await;
        latencies.add(begin.elapsed());
        done += 1;
        let wrong = match answer {
            Ok(Ok(answer)) if answer.starts_with(&right) => None,
            Ok(Ok(answer)) => Some(answer.lines().next().unwrap_or_default().to_owned()),
            Ok(Err(failure)) => Some(failure.to_string()),
            Err(_) => Some(format!("no answer within {LIMIT:?}")),
        };
        if let Some(wrong) = wrong {
            errors += 1;
            first_error.get_or_insert(wrong);
        }
        sleep(PAUSE).await;
    }
    let mut report = stretch.report(done);
    latencies.report(&mut report);
    report.insert("errors".into(), json!(errors));
    report.insert("first_error".into(), json!(first_error));
    Ok(report.into())
}

async fn probe(options: &Options) -> Result<String, Failure> {
    let mut socket = TcpStream::connect(options.endpoint).await?;
    let (path, host) = (&options.path, options.endpoint);
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await?;
    Ok(answer)
}
