//! A codec that knows no schema when its process starts, and has to ask a registry that may be away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use event::{BoxFuture, DeserializeError, Deserializer, LearnError};
use streams::Outcome;
use streams::testing::simulation::{Place, Process};

/// Reads with `inner` once a registry has answered.
pub(crate) struct LateDeserializer<D> {
    inner: Arc<D>,
    process: Process,
    has_learnt: AtomicBool,
}

impl<D> LateDeserializer<D> {
    pub(crate) fn new(inner: Arc<D>, process: &Process) -> Self {
        Self {
            inner,
            process: process.clone(),
            has_learnt: AtomicBool::new(false),
        }
    }
}

impl<E, D: Deserializer<E>> Deserializer<E> for LateDeserializer<D> {
    fn deserialize(&self, bytes: &[u8]) -> Result<E, DeserializeError> {
        if !self.has_learnt.load(Ordering::Relaxed) {
            return Err(DeserializeError::UnknownSchema(1));
        }
        self.inner.deserialize(bytes)
    }

    fn learn_schema(&self, _id: u32) -> BoxFuture<'_, Result<(), LearnError>> {
        Box::pin(async {
            match self.process.step(Place::Registry, "fetch a schema").await {
                Outcome::Done => {
                    self.has_learnt.store(true, Ordering::Relaxed);
                    Ok(())
                }
                _ => Err(LearnError::Unavailable("the connection was lost".to_owned())),
            }
        })
    }
}
