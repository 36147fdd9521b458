//! What was rendered last, so that no crowd of readers keeps the one thread from the probes.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use tokio::time::Instant;

use super::Form;

/// How long it is answered. Core is not asked more often by itself.
const AGE_MAX: Duration = Duration::from_secs(1);

/// One document for each form. Readers share its bytes.
#[derive(Default)]
pub(super) struct Memory(Mutex<BTreeMap<Form, (Instant, Bytes)>>);

impl Memory {
    /// The document, rendered now if the last one is too old.
    pub(super) fn recall(&self, form: Form, render: impl FnOnce() -> Bytes) -> Bytes {
        let now = Instant::now();
        // A panic while something is rendered leaves what was there before.
        let mut rendered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, document)) = rendered.get(&form)
            && now - *at < AGE_MAX
        {
            return document.clone();
        }
        let document = render();
        rendered.insert(form, (now, document.clone()));
        document
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_form_is_rendered_once_a_second() {
        let memory = Memory::default();
        let rendered = std::cell::Cell::new(0);
        let ask = |form| {
            memory.recall(form, || {
                rendered.set(rendered.get() + 1);
                Bytes::from(rendered.get().to_string())
            })
        };
        for _ in 0..100 {
            assert_eq!((ask(Form::Html), ask(Form::Json)), ("1".into(), "2".into()));
        }
        advance(AGE_MAX - Duration::from_millis(1)).await;
        assert_eq!(ask(Form::Html), "1");
        advance(Duration::from_millis(1)).await;
        assert_eq!((ask(Form::Html), ask(Form::Html)), ("3".into(), "3".into()));
        assert_eq!(rendered.get(), 3);
    }
}
