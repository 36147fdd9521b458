//! A store to test: a core started for the test, or any server that speaks etcd's API.
//!
//! `METASTORE_TESTS_ENDPOINT=http://…` names such a server: the same test bodies then judge it. Tests
//! take turns on it, and each begins with an empty key space but at any revision.

use tokio::sync::{Mutex, MutexGuard};

use crate::client::Client;
use crate::member::Core;

const ENDPOINT: &str = "METASTORE_TESTS_ENDPOINT";

static TURN: Mutex<()> = Mutex::const_new(());

#[derive(Debug)]
pub struct Store {
    pub client: Client,
    /// The process, when it is ours.
    pub core: Option<Core>,
    /// `host:port`.
    pub address: String,
    _turn: Option<MutexGuard<'static, ()>>,
}

impl Store {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With these environment variables, which another server than ours does not get.
    pub async fn start_with(variables: &[(&str, &str)]) -> Self {
        match std::env::var(ENDPOINT) {
            Ok(url) => Self::external(&url).await,
            Err(_unset) => {
                let core = Core::start_with(variables).await;
                let (client, address) = (core.client(), core.address());
                Self { client, core: Some(core), address, _turn: None }
            }
        }
    }

    async fn external(url: &str) -> Self {
        let turn = TURN.lock().await;
        let client = Client::new(url);
        client.wipe().await;
        let address = url.trim_start_matches("http://").to_owned();
        Self { client, core: None, address, _turn: Some(turn) }
    }

    /// Whether this is metastore; says so when a test is skipped on another server.
    pub fn is_ours(&self, what: &str) -> bool {
        if self.core.is_none() {
            eprintln!("SKIPPED on {}: {what}", self.address);
        }
        self.core.is_some()
    }
}
