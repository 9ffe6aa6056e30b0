//! A topology: which topics are read, which processor decides, where its events go.
//!
//! A value, built once and the same in the service, in tests and in the simulator; only the store's
//! transaction type differs. [`Topology::describe`] prints it.

mod describe;
mod pipeline;

use std::sync::Arc;

use event::{Deserializer, Event, Serializer};

pub use describe::TopologyDescription;
pub(crate) use pipeline::{DecodedRecord, Decoding, Pipeline, Processed};

use crate::processor::{NoOutput, Processor};
use crate::state_store::StateStore;
use pipeline::TypedPipeline;

/// Where records come from: a topic, and how its values are read.
pub struct Source<E> {
    pub(crate) topic: &'static str,
    pub(crate) deserializer: Arc<dyn Deserializer<E>>,
}

impl<E: Event> Source<E> {
    /// Reads `topic` with `deserializer`.
    pub fn topic(topic: &'static str, deserializer: Arc<dyn Deserializer<E>>) -> Self {
        Self { topic, deserializer }
    }
}

/// Where events go: a topic, and how its values are written.
pub struct Sink<E> {
    pub(crate) topic: &'static str,
    pub(crate) serializer: Arc<dyn Serializer<E>>,
}

impl<E: Event> Sink<E> {
    /// Writes to `topic` with `serializer`.
    pub fn topic(topic: &'static str, serializer: Arc<dyn Serializer<E>>) -> Self {
        Self { topic, serializer }
    }
}

/// Sources, processors and sinks of one service; `Tx` is its stores' transaction.
pub struct Topology<Tx> {
    name: &'static str,
    pipelines: Vec<Arc<dyn Pipeline<Tx>>>,
}

impl<Tx: Send + 'static> Topology<Tx> {
    /// An empty topology. `name` is also the consumer group: changing it reads every topic from the start.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            pipelines: Vec::new(),
        }
    }

    /// Adds source → processor → sink.
    ///
    /// # Panics
    /// If the topic has a processor already.
    #[must_use]
    pub fn process<P, S>(self, source: Source<P::Input>, processor: P, store: S, sink: Sink<P::Output>) -> Self
    where
        P: Processor,
        S: StateStore<P::Input, Tx = Tx, State = P::State>,
    {
        self.add(TypedPipeline {
            source,
            processor,
            store,
            sink: Some(sink),
        })
    }

    /// Adds source → processor, with nothing behind it.
    ///
    /// # Panics
    /// If the topic has a processor already.
    #[must_use]
    pub fn process_to_end<P, S>(self, source: Source<P::Input>, processor: P, store: S) -> Self
    where
        P: Processor<Output = NoOutput>,
        S: StateStore<P::Input, Tx = Tx, State = P::State>,
    {
        self.add(TypedPipeline {
            source,
            processor,
            store,
            sink: None,
        })
    }

    fn add<P, S>(mut self, pipeline: TypedPipeline<P, S>) -> Self
    where
        P: Processor,
        S: StateStore<P::Input, Tx = Tx, State = P::State>,
    {
        let topic = pipeline.source.topic;
        assert!(
            self.pipeline(topic).is_none(),
            "the topic {topic} has a processor already"
        );
        self.pipelines.push(Arc::new(pipeline));
        self
    }

    /// The topology's name, which is the consumer group.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The topics that it reads, in the order in which they were added.
    #[must_use]
    pub fn source_topics(&self) -> Vec<&'static str> {
        self.pipelines.iter().map(|pipeline| pipeline.source_topic()).collect()
    }

    pub(crate) fn pipelines(&self) -> &[Arc<dyn Pipeline<Tx>>] {
        &self.pipelines
    }

    pub(crate) fn pipeline(&self, topic: &str) -> Option<&dyn Pipeline<Tx>> {
        self.pipelines
            .iter()
            .find(|pipeline| pipeline.source_topic() == topic)
            .map(AsRef::as_ref)
    }
}

impl<Tx> Clone for Topology<Tx> {
    fn clone(&self) -> Self {
        Self {
            name: self.name,
            pipelines: self.pipelines.clone(),
        }
    }
}

impl<Tx> std::fmt::Debug for Topology<Tx> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Topology")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl<E> std::fmt::Debug for Source<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

impl<E> std::fmt::Debug for Sink<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sink")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}
