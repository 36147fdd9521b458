//! A client that writes all the time, and remembers what was acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use metastore_tests::client::{Client, numbered};
use metastore_tests::eventually::pause;
use metastore_tests::requests::{key, put};
use tokio::task::JoinHandle;
use tonic::Code;

use crate::pod::NO_SPACE;

const VALUE_BYTES: usize = 4_000;

pub(crate) struct Writer {
    stop: Arc<AtomicBool>,
    refused: Arc<AtomicUsize>,
    /// Answers how many were acknowledged.
    task: JoinHandle<usize>,
}

impl Writer {
    /// Nothing but a refusal for lack of space may happen to it.
    pub(crate) fn start(client: Client) -> Self {
        let (stop, refused) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let (is_over, count) = (Arc::clone(&stop), Arc::clone(&refused));
        let task = tokio::spawn(async move {
            let mut acknowledged = 0;
            while !is_over.load(Ordering::Relaxed) {
                match client.put(put(numbered("k", acknowledged), value(acknowledged))).await {
                    Ok(_) => acknowledged += 1,
                    Err(status) => {
                        let refusal = (status.code(), status.message());
                        assert_eq!(refusal, (Code::ResourceExhausted, NO_SPACE));
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                }
                pause().await;
            }
            acknowledged
        });
        Self { stop, refused, task }
    }

    pub(crate) fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }

    /// How many keys were acknowledged.
    pub(crate) async fn stop(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.expect("every write was acknowledged or refused for lack of space")
    }
}

fn value(number: usize) -> Vec<u8> {
    let mut value = vec![0; VALUE_BYTES];
    value[..8].copy_from_slice(&number.to_be_bytes());
    value
}

/// Everything that was acknowledged, from `first` on, is there.
pub(crate) async fn assert_all_there(client: &Client, first: usize, count: usize) {
    for number in first..count {
        let kvs = client.range(key(numbered("k", number))).await.unwrap().kvs;
        assert_eq!(kvs.len(), 1, "key {number} of {count} is lost");
        assert_eq!(kvs[0].value, value(number), "key {number}");
    }
}
