//! What is known of core, and since when. Times are monotonic.

use metastore_proto::admin::{ObserveResponse, Role};
use tokio::time::Instant;

use super::{Patience, Trend};
use crate::core_client::CoreError;

/// Everything that verdicts are made of. At first nothing is known.
#[derive(Clone, Debug, Default)]
pub struct Observation {
    /// The newest answer.
    pub answer: Option<Answer>,
    /// The answer before that.
    pub previous: Option<ObserveResponse>,
    /// Set while the newest questions are unanswered.
    pub silence: Option<Silence>,
    /// Set while core answers that it cannot be observed: another version, perhaps.
    pub refusal: Option<CoreError>,
    pub trend: Trend,
    /// For the trend; the observer keeps it up to date.
    pub patience: Patience,
}

/// What core said, and when it arrived here.
#[derive(Clone, Debug)]
pub struct Answer {
    pub said: ObserveResponse,
    pub at: Instant,
}

/// Questions in a row that core did not answer.
#[derive(Clone, Debug)]
pub struct Silence {
    /// When the first of them was asked.
    pub since: Instant,
    /// When the newest of them was given up.
    pub until: Instant,
    pub questions: u32,
    /// Why the newest of them has no answer.
    pub cause: CoreError,
}

impl Observation {
    /// Core answered.
    pub fn heard(&mut self, said: ObserveResponse, at: Instant) {
        self.trend.fold(&said, self.answer.as_ref(), at, self.patience);
        self.previous = self.answer.take().map(|answer| answer.said);
        self.answer = Some(Answer { said, at });
        self.silence = None;
        self.refusal = None;
    }

    /// A question got no answer. A refusal is one: it ends a silence, but says nothing of core.
    pub fn unheard(&mut self, asked: Instant, given_up: Instant, cause: CoreError) {
        if matches!(cause, CoreError::Refused { .. }) {
            self.silence = None;
            self.refusal = Some(cause);
            return;
        }
        self.refusal = None;
        let first = Silence { since: asked, until: given_up, questions: 0, cause: cause.clone() };
        let silence = self.silence.get_or_insert(first);
        silence.until = given_up;
        silence.questions = silence.questions.saturating_add(1);
        silence.cause = cause;
    }

    /// Whether nobody is at the other end of the admin socket.
    pub fn is_gone(&self) -> bool {
        self.silence.as_ref().is_some_and(|silence| matches!(silence.cause, CoreError::Gone(_)))
    }

    /// The member's role, as far as core ever said it.
    pub fn role(&self) -> Role {
        let consensus = self.answer.as_ref().and_then(|answer| answer.said.consensus.as_ref());
        consensus.map_or(Role::Unspecified, |consensus| consensus.role())
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_silence_lasts_from_the_first_question_to_the_newest() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let silent = CoreError::Silent(Duration::from_secs(1));
        let mut observation = Observation::default();
        observation.unheard(at(1), at(2), silent.clone());
        observation.unheard(at(3), at(4), silent.clone());
        observation.unheard(at(5), at(6), CoreError::Gone(io::ErrorKind::NotFound));
        let silence = observation.silence.clone().unwrap();
        assert_eq!((silence.since, silence.until, silence.questions), (at(1), at(6), 3));
        assert!(observation.is_gone());

        observation.heard(ObserveResponse::default(), at(7));
        assert!(observation.silence.is_none());
    }

    #[test]
    fn a_refusal_ends_a_silence_and_is_no_observation() {
        let now = Instant::now();
        let mut observation = Observation::default();
        observation.unheard(now, now, CoreError::Gone(io::ErrorKind::NotFound));
        let refused =
            CoreError::Refused { code: tonic::Code::Unimplemented, message: String::new() };
        observation.unheard(now, now, refused);
        assert!(observation.silence.is_none() && observation.answer.is_none());
        assert!(observation.refusal.is_some() && !observation.is_gone());
    }
}
