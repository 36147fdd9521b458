//! Who may be connected: so many at a time. When every place is taken, a newcomer gets that of the
//! connection that has waited longest without a request: who only holds places keeps nobody out.
//! Who has asked keeps the place until there is an answer, and for a second more. Whoever has not read
//! it by then reads slowly, if at all, and a probe must not wait for that, nor behind a queue of such
//! newcomers: if nobody is without a request, the one goes that has been reading for longest. Until
//! there is one, the newcomer waits.
//!
//! Knows no sockets. `serve` says when a request begins and ends, and closes who is told to leave.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// How long an answer may be read while others wait. Less than kubelet waits for any probe.
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
    /// Those with an answer that is not written yet, in the order in which they got it, with when that
    /// was.
    answering: BTreeMap<u64, (Instant, Arc<Notify>)>,
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
            let (end, changed) = (self.state().patience_ends(), self.changed.notified());
            match end {
                Some(end) if !is_one_leaving => _ = timeout_at(end, changed).await,
                Some(_) | None => changed.await,
            }
        }
    }

    /// Whether the next newcomer needs somebody else's place.
    pub fn are_taken(&self) -> bool {
        self.state().free == 0
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
        let longest = state.waiting.pop_first().map(|(_, leave)| leave);
        let longest = longest.or_else(|| state.slowest());
        state.is_wanted = longest.is_none();
        longest.inspect(|leave| leave.notify_one()).is_some()
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
        self.answering.insert(key, (Instant::now(), Arc::clone(leave)));
        key
    }

    /// Who has been reading for longest, and for long enough.
    fn slowest(&mut self) -> Option<Arc<Notify>> {
        self.patience_ends().filter(|end| *end <= Instant::now())?;
        self.answering.pop_first().map(|(_, (_, leave))| leave)
    }

    /// When somebody will have been reading for long enough.
    fn patience_ends(&self) -> Option<Instant> {
        self.answering.first_key_value().map(|(_, (since, _))| *since + PATIENCE)
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
    /// A request has come, and there is no answer yet.
    Asked,
    /// Under this key of those with an answer.
    Answered(u64),
    /// The same; all of the answer has been handed over, and not all of it need be written.
    HandedOver(u64),
}

impl Place {
    /// A request has come.
    pub fn asked(&self) {
        let mut stage = lock(&self.stage);
        *stage = match *stage {
            Stage::Waiting(key) => {
                self.places.state().waiting.remove(&key);
                Stage::Asked
            }
            Stage::Asked => Stage::Asked,
            // It asks on while it has not read: the older answer counts.
            Stage::Answered(key) | Stage::HandedOver(key) => Stage::Answered(key),
        };
    }

    /// There is an answer.
    pub fn answered(&self) {
        let mut stage = lock(&self.stage);
        if let Stage::Asked = *stage {
            *stage = Stage::Answered(self.places.state().answer(&self.leave));
            self.places.changed.notify_one();
        }
    }

    /// All of the answer has been handed over to be written.
    pub fn handed_over(&self) {
        let mut stage = lock(&self.stage);
        if let Stage::Answered(key) = *stage {
            *stage = Stage::HandedOver(key);
        }
    }

    /// Everything that was handed over is written: after an answer, the wait for a request begins.
    pub fn written(&self) {
        let mut stage = lock(&self.stage);
        if let Stage::HandedOver(key) = *stage {
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
            Stage::Waiting(key) => drop(state.waiting.remove(&key)),
            Stage::Asked => {}
            Stage::Answered(key) | Stage::HandedOver(key) => drop(state.answering.remove(&key)),
        }
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
    use tokio::time::{advance, timeout};

    use super::*;

    fn answer(place: &Place) {
        place.asked();
        place.answered();
        place.handed_over();
    }

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
        answer(&first);
        first.written();
        let mut newcomer = pin!(places.take());
        assert!(tokio::select! { biased; _ = &mut newcomer => false, () = yield_now() => true });
        assert!(is_told(&second).await && !is_told(&first).await && !is_told(&third).await);
        // Another one that begins to wait in the meantime may stay.
        answer(&third);
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
        for step in [Place::asked, Place::written, Place::answered, Place::handed_over] {
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
    async fn who_has_been_reading_for_a_second_and_for_longest_goes() {
        let places = Places::new(3);
        let [asked, first, second] =
            [places.take().await, places.take().await, places.take().await];
        for place in [&asked, &second, &first] {
            place.asked();
        }
        first.answered();
        let mut newcomer = pin!(places.take());
        assert!(timeout(PATIENCE / 2, &mut newcomer).await.is_err());
        second.answered();
        // Further requests change nothing while the answer is not read.
        answer(&first);
        for (pause, is_first_told) in [(PATIENCE / 4, false), (PATIENCE / 2, true)] {
            assert!(timeout(pause, &mut newcomer).await.is_err());
            assert_eq!(is_told(&first).await, is_first_told);
            assert!(!is_told(&asked).await && !is_told(&second).await);
        }
        drop(first);
        newcomer.await;
    }

    /// The sidecar itself may be slow: nobody is sent away for that.
    #[tokio::test(start_paused = true)]
    async fn who_waits_for_an_answer_stays_however_long_that_takes() {
        let places = Places::new(2);
        let (first, second) = (places.take().await, places.take().await);
        first.asked();
        second.asked();
        let mut newcomer = pin!(places.take());
        assert!(timeout(PATIENCE * 100, &mut newcomer).await.is_err());
        assert!(!is_told(&first).await && !is_told(&second).await);
        answer(&second);
        assert!(timeout(PATIENCE / 2, &mut newcomer).await.is_err());
        assert!(timeout(PATIENCE, &mut newcomer).await.is_err());
        assert!(!is_told(&first).await && is_told(&second).await);
    }

    /// However many have come before it, nobody waits for a second behind each of them.
    #[tokio::test(start_paused = true)]
    async fn who_has_been_reading_for_a_second_makes_room_at_once() {
        let places = Places::new(3);
        let held = [places.take().await, places.take().await, places.take().await];
        held.iter().for_each(answer);
        advance(PATIENCE).await;
        let begun = Instant::now();
        let mut newcomers = Vec::new();
        for place in held {
            let mut newcomer = pin!(places.take());
            assert!(timeout(Duration::ZERO, &mut newcomer).await.is_err());
            assert!(is_told(&place).await);
            drop(place);
            newcomers.push(newcomer.await);
            newcomers.iter().for_each(answer);
        }
        assert_eq!(begun.elapsed(), Duration::ZERO);
        assert!(timeout(PATIENCE / 2, places.take()).await.is_err());
        assert!(!is_told(&newcomers[0]).await, "they have not been answered for so long");
    }

    #[tokio::test]
    async fn a_place_that_is_left_is_free() {
        let places = Places::new(2);
        let (first, second) = (places.take().await, places.take().await);
        answer(&second);
        drop((first, second));
        assert!(places.state().waiting.is_empty() && places.state().answering.is_empty());
        let (_first, second) = (places.take().await, places.take().await);
        assert!(!second.is_wanted());
    }
}
