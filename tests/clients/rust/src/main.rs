//! Drives a server with crates.io's etcd-client: what a Rust service would do, from put to status.
//!
//!     metastore-client-check http://127.0.0.1:2379

mod cluster;
mod errors;
mod kv;
mod lease;
mod txn;
mod watch;

use std::pin::Pin;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use etcd_client::{Client, Error, PutOptions};

/// For one check.
const WAIT: Duration = Duration::from_secs(20);

/// What a check works with: a client, and keys of its own.
pub struct Scope {
    pub client: Client,
    endpoint: String,
    prefix: String,
}

pub type Outcome = Result<(), Error>;
type Running = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// A sentence that is true of etcd, and the code that finds out whether it is true here.
pub struct Check {
    name: &'static str,
    run: fn(Scope) -> Running,
}

/// Functions by their names.
macro_rules! checks {
    ($($name:ident),+ $(,)?) => {
        &[$($crate::Check { name: stringify!($name), run: |scope| Box::pin($name(scope)) }),+]
    };
}
pub(crate) use checks;

const GROUPS: [&[Check]; 6] =
    [kv::CHECKS, txn::CHECKS, watch::CHECKS, lease::CHECKS, errors::CHECKS, cluster::CHECKS];

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Some(endpoint) = std::env::args().nth(1) else {
        eprintln!("usage: metastore-client-check ENDPOINT");
        return ExitCode::from(64);
    };
    let (mut passed, mut failed) = (0, 0);
    for check in GROUPS.into_iter().flatten() {
        match run(check, &endpoint).await {
            Ok(()) => {
                passed += 1;
                println!("ok rust_{}", check.name);
            }
            Err(why) => {
                failed += 1;
                println!("FAIL rust_{}: {why}", check.name);
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A check in a task of its own, so that an assertion ends only this one; where it stands in the
/// source is printed by Rust itself.
async fn run(check: &Check, endpoint: &str) -> Result<(), String> {
    let scope = Scope::new(check.name, endpoint).await.map_err(|error| error.to_string())?;
    let mut task = tokio::spawn((check.run)(scope));
    match tokio::time::timeout(WAIT, &mut task).await {
        Ok(Ok(outcome)) => outcome.map_err(|error| error.to_string()),
        Ok(Err(panic)) => Err(panic.to_string()),
        Err(_late) => {
            task.abort();
            Err(format!("not done within {WAIT:?}"))
        }
    }
}

impl Scope {
    async fn new(name: &str, endpoint: &str) -> Result<Self, Error> {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = since_epoch.expect("the clock is past 1970").as_nanos();
        let prefix = format!("rust/{name}/{now}/");
        Ok(Self {
            client: Client::connect([endpoint], None).await?,
            endpoint: endpoint.to_owned(),
            prefix,
        })
    }

    /// Another connection, as another process would have it.
    pub async fn other_client(&self) -> Result<Client, Error> {
        Client::connect([&self.endpoint], None).await
    }

    pub fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// A key without the prefix.
    pub fn short<'k>(&self, key: &'k [u8]) -> &'k str {
        let key = std::str::from_utf8(key).expect("a key of this check is text");
        key.strip_prefix(&self.prefix).expect("a key of this check has its prefix")
    }

    /// The revision of a put.
    pub async fn put(&mut self, name: &str, value: &str) -> Result<i64, Error> {
        self.put_with(name, value, PutOptions::new()).await
    }

    pub async fn put_with(
        &mut self,
        name: &str,
        value: &str,
        options: PutOptions,
    ) -> Result<i64, Error> {
        let put = self.client.put(self.key(name), value, Some(options)).await?;
        Ok(put.header().expect("an answer has a header").revision())
    }

    /// The value, if the key is there.
    pub async fn get(&mut self, name: &str) -> Result<Option<String>, Error> {
        let got = self.client.get(self.key(name), None).await?;
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        Ok(got.kvs().first().map(|kv| text(kv.value())))
    }
}
