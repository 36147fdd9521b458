//! Who may be connected: so many at a time. When every place is taken, a newcomer gets that of the
//! connection that has waited longest without a request: who only holds places keeps nobody out.
//! A connection that is being answered keeps its place; while all are, the newcomer waits, but no
//! longer than a second: then the one goes that has been answered for longest. It reads slowly, if
//! at all, and a probe must not wait for that.
//!
//! Knows no sockets. `serve` says when a request begins and ends, and closes who is told to leave.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

/// Less than kubelet waits for any probe.
const PATIENCE: Duration = Duration::from_secs(1);

/// So many places, for one who hands them out.
pub struct Places {
    state: Mutex<State>,
    /// A place may have become free, or be taken from somebody.
    changed: Notify,
}

struct State {
    free: usize,
    /// The connections without a request, in the order in which they began to wait for one; each
    /// with what tells it to leave.
    waiting: BTreeMap<u64, Arc<Notify>>,
    /// The others, in the order in which their requests came.
    answering: BTreeMap<u64, Arc<Notify>>,
    /// The key of the next one in either.
    next: u64,
    /// A newcomer waits, and nobody can be told to leave.
    is_wanted: bool,
}

impl Places {
    pub fn new(number: usize) -> Arc<Self> {
        let state = State {
            free: number,
            waiting: BTreeMap::new(),
            answering: BTreeMap::new(),
            next: 0,
            is_wanted: false,
        };
        Arc::new(Self { state: Mutex::new(state), changed: Notify::new() })
    }

    /// A place for a newcomer, as soon as there is one. To be called by one task at a time.
    pub async fn take(self: &Arc<Self>) -> Place {
        let mut is_one_leaving = false;
        loop {
            if let Some(place) = self.free() {
                return place;
            }
            is_one_leaving = is_one_leaving || self.send_away();
            let is_over = timeout(PATIENCE, self.changed.notified()).await.is_err();
            is_one_leaving = is_one_leaving || is_over && self.send_slowest_away();
        }
    }

    fn free(self: &Arc<Self>) -> Option<Place> {
        let mut state = self.state();
        state.free = state.free.checked_sub(1)?;
        state.is_wanted = false;
        let leave = Arc::new(Notify::new());
        let stage = Mutex::new(Stage::Waiting(state.wait(&leave)));
        Some(Place { places: Arc::clone(self), leave, stage })
    }

    /// Whether somebody goes.
    fn send_away(&self) -> bool {
        let mut state = self.state();
        let longest = state.waiting.pop_first();
        state.is_wanted = longest.is_none();
        longest.inspect(|(_, leave)| leave.notify_one()).is_some()
    }

    fn send_slowest_away(&self) -> bool {
        let slowest = self.state().answering.pop_first();
        slowest.inspect(|(_, leave)| leave.notify_one()).is_some()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    fn wait(&mut self, leave: &Arc<Notify>) -> u64 {
        let key = self.key();
        self.waiting.insert(key, Arc::clone(leave));
        key
    }

    fn answer(&mut self, leave: &Arc<Notify>) -> u64 {
        let key = self.key();
        self.answering.insert(key, Arc::clone(leave));
        key
    }

    fn key(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

/// The place of one connection, until it is dropped.
pub struct Place {
    places: Arc<Places>,
    leave: Arc<Notify>,
    stage: Mutex<Stage>,
}

/// Where a connection is with its requests, of which one is under way at a time.
#[derive(Clone, Copy)]
enum Stage {
    /// For a request, under this key.
    Waiting(u64),
    /// Under this key of those that are answered.
    Asked(u64),
    /// The same; all of the answer is known, and not all of it need be written.
    Answered(u64),
}

impl Place {
    /// A request has come.
    pub fn asked(&self) {
        let mut stage = lock(&self.stage);
        let key = match *stage {
            Stage::Waiting(key) => {
                let mut state = self.places.state();
                state.waiting.remove(&key);
                state.answer(&self.leave)
            }
            Stage::Asked(key) | Stage::Answered(key) => key,
        };
        *stage = Stage::Asked(key);
    }

    /// All of its answer has been handed over to be written.
    pub fn answered(&self) {
        let mut stage = lock(&self.stage);
        if let Stage::Asked(key) = *stage {
            *stage = Stage::Answered(key);
        }
    }

    /// Everything that was handed over is written: after an answer, the wait for a request begins.
    pub fn written(&self) {
        let mut stage = lock(&self.stage);
        if let Stage::Answered(key) = *stage {
            let mut state = self.places.state();
            state.answering.remove(&key);
            *stage = Stage::Waiting(state.wait(&self.leave));
            drop(state);
            self.places.changed.notify_one();
        }
    }

    /// Whether somebody waits who gets the next place. An answer should be this connection's last.
    pub fn is_wanted(&self) -> bool {
        self.places.state().is_wanted
    }

    /// Returns when the connection is to be closed. From then on it must take no request.
    pub async fn told_to_leave(&self) {
        self.leave.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let stage = *lock(&self.stage);
        let mut state = self.places.state();
        match stage {
            Stage::Waiting(key) => state.waiting.remove(&key),
            Stage::Asked(key) | Stage::Answered(key) => state.answering.remove(&key),
        };
        state.free += 1;
        drop(state);
        self.places.changed.notify_one();
    }
}

/// Nothing that is half done is seen after a panic: each change is one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use tokio::task::yield_now;

    use super::*;

    /// Whether a newcomer gets a place before anybody else does anything.
    async fn has_room(places: &Arc<Places>) -> bool {
        tokio::select! {
            biased;
            _ = places.take() => true,
            () = yield_now() => false,
        }
    }

    async fn is_told(place: &Place) -> bool {
        tokio::select! {
            biased;
            () = place.told_to_leave() => true,
            () = yield_now() => false,
        }
    }

    #[tokio::test]
    async fn who_has_waited_longest_goes_and_nobody_else() {
        let places = Places::new(3);
        let [first, second, third] =
            [places.take().await, places.take().await, places.take().await];
        // The first is asked and answered: it begins to wait anew, behind the others.
        first.asked();
        first.answered();
        first.written();
        let mut newcomer = pin!(places.take());
        assert!(tokio::select! { biased; _ = &mut newcomer => false, () = yield_now() => true });
        assert!(is_told(&second).await && !is_told(&first).await && !is_told(&third).await);
        // Another one that begins to wait in the meantime may stay.
        third.asked();
        third.answered();
        third.written();
        assert!(tokio::select! { biased; _ = &mut newcomer => false, () = yield_now() => true });
        assert!(!is_told(&first).await && !is_told(&third).await);
        drop(second);
        newcomer.await;
    }

    #[tokio::test]
    async fn who_is_being_answered_stays_until_all_is_written() {
        let places = Places::new(1);
        let place = places.take().await;
        for step in [Place::asked, Place::written, Place::answered] {
            step(&place);
            assert!(!has_room(&places).await && !is_told(&place).await && place.is_wanted());
        }
        let mut newcomer = pin!(places.take());
        assert!(tokio::select! { biased; _ = &mut newcomer => false, () = yield_now() => true });
        place.written();
        assert!(tokio::select! { biased; _ = &mut newcomer => false, () = yield_now() => true });
        assert!(is_told(&place).await && !place.is_wanted());
        drop(place);
        newcomer.await;
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_second_who_is_answered_for_longest_goes() {
        let places = Places::new(2);
        let (first, second) = (places.take().await, places.take().await);
        second.asked();
        first.asked();
        second.answered();
        let mut newcomer = pin!(places.take());
        for (pause, is_second_told) in [(PATIENCE / 2, false), (PATIENCE, true)] {
            assert!(timeout(pause, &mut newcomer).await.is_err());
            assert_eq!((is_told(&first).await, is_told(&second).await), (false, is_second_told));
        }
        drop(second);
        newcomer.await;
    }

    #[tokio::test]
    async fn a_place_that_is_left_is_free() {
        let places = Places::new(2);
        let (first, second) = (places.take().await, places.take().await);
        second.asked();
        drop((first, second));
        assert!(places.state().waiting.is_empty() && places.state().answering.is_empty());
        let (_first, second) = (places.take().await, places.take().await);
        assert!(!second.is_wanted());
    }
}
