//! What the command line says: the operation, then `--name value` pairs.

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use crate::Failure;
use crate::work::Mix;

const USAGE: &str = "\
usage: metastore-load OPERATION [--name value]...

  put get serializable-get range page txn   one kind of call, closed loop
  mix                                       20 % put, 80 % get
  fill                                      put --total keys in order
  watch                                     --streams watches of all keys; counts events
  resume                                    --watchers on --streams from --revision, until each has --events
  probe                                     HTTP/1.1 GET --path, a new connection each; --status is right
  revision | compact | first-read           one call; first-read repeats until it is answered

  --endpoint 127.0.0.1:2379   --pid PID (server to measure)   --connections 1   --in-flight 1
  --seconds 4   --warmup 1   --deadline 120 (seconds for all)  --seed 1
  --keys 100000   --prefix bench/   --key-bytes 32   --value-bytes 256
  --limit 1000 (keys of range and page)   --revision 0 (page, compact, resume)   --total 0
  --streams 100   --watchers 10000   --events 10   --path /readiness   --status 200";

#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation {
    Load(Mix),
    Watch,
    Resume,
    Probe,
    Revision,
    Compact,
    FirstRead,
}

#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) operation: Operation,
    pub(crate) endpoint: SocketAddr,
    pub(crate) pid: Option<u32>,
    pub(crate) connections: usize,
    pub(crate) in_flight: usize,
    pub(crate) measured: Duration,
    pub(crate) warmup: Duration,
    pub(crate) deadline: Duration,
    pub(crate) seed: u64,
    pub(crate) keys: u64,
    pub(crate) prefix: String,
    pub(crate) key_bytes: usize,
    pub(crate) value_bytes: usize,
    pub(crate) limit: u32,
    pub(crate) revision: i64,
    pub(crate) total: u64,
    pub(crate) streams: usize,
    pub(crate) watchers: u64,
    pub(crate) events: u64,
    pub(crate) path: String,
    pub(crate) status: u16,
}

pub(crate) fn read(mut arguments: impl Iterator<Item = String>) -> Result<Options, Failure> {
    let operation = arguments.next().ok_or(USAGE)?;
    let mut options = Options::of(operation_named(&operation)?);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name}: no value"))?;
        options.set(&name, &value).map_err(|problem| format!("{name} {value}: {problem}"))?;
    }
    if !options.endpoint.ip().is_loopback() {
        return Err(format!("{}: loopback only", options.endpoint).into());
    }
    if options.connections == 0 || options.streams == 0 || options.keys == 0 {
        return Err("connections, streams, keys: at least 1".into());
    }
    let takes_many = matches!(options.operation, Operation::Load(Mix::Range | Mix::Page));
    if takes_many && options.keys <= u64::from(options.limit) {
        return Err("keys: more than limit".into());
    }
    Ok(options)
}

fn operation_named(name: &str) -> Result<Operation, Failure> {
    Ok(match name {
        "put" => Operation::Load(Mix::Put),
        "get" => Operation::Load(Mix::Get),
        "serializable-get" => Operation::Load(Mix::SerializableGet),
        "range" => Operation::Load(Mix::Range),
        "page" => Operation::Load(Mix::Page),
        "txn" => Operation::Load(Mix::Txn),
        "mix" => Operation::Load(Mix::PutAndGet),
        "fill" => Operation::Load(Mix::Fill),
        "watch" => Operation::Watch,
        "resume" => Operation::Resume,
        "probe" => Operation::Probe,
        "revision" => Operation::Revision,
        "compact" => Operation::Compact,
        "first-read" => Operation::FirstRead,
        _ => return Err(USAGE.into()),
    })
}

impl Options {
    fn of(operation: Operation) -> Self {
        Self {
            operation,
            endpoint: SocketAddr::from(([127, 0, 0, 1], 2379)),
            pid: None,
            connections: 1,
            in_flight: 1,
            measured: Duration::from_secs(4),
            warmup: Duration::from_secs(1),
            deadline: Duration::from_secs(120),
            seed: 1,
            keys: 100_000,
            prefix: "bench/".into(),
            key_bytes: 32,
            value_bytes: 256,
            limit: 1000,
            revision: 0,
            total: 0,
            streams: 100,
            watchers: 10_000,
            events: 10,
            path: "/readiness".into(),
            status: 200,
        }
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Failure> {
        match name {
            "--endpoint" => self.endpoint = value.parse()?,
            "--pid" => self.pid = Some(value.parse()?),
            "--connections" => self.connections = value.parse()?,
            "--in-flight" => self.in_flight = value.parse()?,
            "--seconds" => self.measured = seconds(value)?,
            "--warmup" => self.warmup = seconds(value)?,
            "--deadline" => self.deadline = seconds(value)?,
            "--seed" => self.seed = value.parse()?,
            "--keys" => self.keys = value.parse()?,
            "--prefix" => self.prefix = value.into(),
            "--key-bytes" => self.key_bytes = value.parse()?,
            "--value-bytes" => self.value_bytes = value.parse()?,
            "--limit" => self.limit = value.parse()?,
            "--revision" => self.revision = value.parse()?,
            "--total" => self.total = value.parse()?,
            "--streams" => self.streams = value.parse()?,
            "--watchers" => self.watchers = value.parse()?,
            "--events" => self.events = value.parse()?,
            "--path" => self.path = value.into(),
            "--status" => self.status = value.parse()?,
            _ => return Err(USAGE.into()),
        }
        Ok(())
    }
}

fn seconds(value: &str) -> Result<Duration, Failure> {
    Ok(Duration::try_from_secs_f64(f64::from_str(value)?)?)
}
