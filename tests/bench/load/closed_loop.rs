//! Calls in a closed loop: each of `in-flight` workers sends its next request when it has its answer.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::SmallRng;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::Failure;
use crate::measure::{Latencies, Stretch};
use crate::options::Options;
use crate::wire::Connection;
use crate::work::{Mix, Work};

/// After an error, so that a dead server is not asked a million times.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(5);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Warmup,
    Measured,
    Over,
}

/// What all workers see; they share one thread.
struct Shared {
    work: Work,
    /// Requests to issue, where that ends the load and not the clock.
    total: Option<u64>,
    phase: Cell<Phase>,
    issued: Cell<u64>,
    done: Cell<u64>,
    answer_bytes: Cell<usize>,
    errors: Cell<u64>,
    first_error: RefCell<Option<String>>,
    latencies: RefCell<Latencies>,
}

pub(crate) async fn run(mix: Mix, options: Options) -> Result<Value, Failure> {
    let options = Rc::new(options);
    let total = (mix == Mix::Fill).then_some(options.total);
    let shared = Rc::new(Shared {
        work: Work::new(mix, Rc::clone(&options))?,
        total,
        phase: Cell::new(Phase::Warmup),
        issued: Cell::new(0),
        done: Cell::new(0),
        answer_bytes: Cell::new(0),
        errors: Cell::new(0),
        first_error: RefCell::default(),
        latencies: RefCell::default(),
    });
    let mut workers = JoinSet::new();
    let mut connections = Vec::new();
    for _ in 0..options.connections {
        connections.push(Connection::open(options.endpoint).await?);
    }
    let assigned = connections.iter().cycle().take(options.in_flight);
    for (seed, connection) in (options.seed << 32..).zip(assigned) {
        workers.spawn_local(work(seed, connection.clone(), Rc::clone(&shared)));
    }

    if total.is_none() {
        sleep(options.warmup).await;
    }
    let stretch = Stretch::begin(options.pid);
    shared.phase.set(Phase::Measured);
    if total.is_none() {
        sleep(options.measured).await;
    } else {
        while workers.join_next().await.is_some() {}
    }
    shared.phase.set(Phase::Over);
    let done = shared.done.get();
    let mut report = stretch.report(done);
    // Their last answers do not count; the deadline of the whole run bounds the wait.
    while workers.join_next().await.is_some() {}
    shared.latencies.take().report(&mut report);
    let mean = shared.answer_bytes.get() / usize::try_from(done.max(1))?;
    report.insert("answer_bytes".into(), json!(mean));
    report.insert("errors".into(), json!(shared.errors.get()));
    report.insert("first_error".into(), json!(shared.first_error.take()));
    Ok(report.into())
}

async fn work(seed: u64, connection: Connection, shared: Rc<Shared>) {
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut judged = false;
    while shared.phase.get() != Phase::Over {
        let number = shared.issued.get();
        if shared.total.is_some_and(|total| number >= total) {
            return;
        }
        shared.issued.set(number + 1);
        let prepared = shared.work.prepare(number, &mut rng);
        let begin = Instant::now();
        let answer = connection.call(&prepared.method, prepared.message.clone()).await;
        let latency = begin.elapsed();
        let outcome = answer.and_then(|answer| {
            if !judged {
                prepared.judge(&answer)?;
                judged = true;
            }
            Ok(answer.bytes())
        });
        match outcome {
            Ok(bytes) if shared.phase.get() == Phase::Measured => {
                shared.done.set(shared.done.get() + 1);
                shared.answer_bytes.set(shared.answer_bytes.get() + bytes);
                shared.latencies.borrow_mut().add(latency);
            }
            Ok(_) => {}
            Err(error) => {
                shared.errors.set(shared.errors.get() + 1);
                shared.first_error.borrow_mut().get_or_insert_with(|| error.to_string());
                sleep(PAUSE_AFTER_ERROR).await;
            }
        }
    }
}
