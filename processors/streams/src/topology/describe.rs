//! The topology as people read it: stable text, and Mermaid for a picture. Snapshots compare both.

use std::fmt::Write as _;

use super::Topology;

/// A topology in two notations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopologyDescription {
    text: String,
    mermaid: String,
}

impl TopologyDescription {
    /// A Mermaid flowchart of the same content.
    #[must_use]
    pub fn mermaid(&self) -> &str {
        &self.mermaid
    }
}

impl std::fmt::Display for TopologyDescription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl<Tx: Send + 'static> Topology<Tx> {
    /// Describes the topology in the form that Kafka Streams' `Topology#describe` uses.
    #[must_use]
    pub fn describe(&self) -> TopologyDescription {
        let mut text = format!("Topology: {}\n", self.name);
        let mut mermaid = String::from("flowchart LR\n");
        for (n, pipeline) in self.pipelines.iter().enumerate() {
            let (source, processor) = (pipeline.source_topic(), pipeline.processor_name());
            let _ = writeln!(text, "  Sub-topology: {n}");
            let _ = writeln!(text, "    Source: (topics: [{source}]) {}", pipeline.input_type());
            let _ = writeln!(text, "      --> {processor}");
            let _ = writeln!(text, "    Processor: {processor} (stores: [{}])", pipeline.store_name());
            let _ = writeln!(mermaid, "    {source}([{source}]) --> {processor}[{processor}]");
            let _ = writeln!(mermaid, "    {processor} <--> store{n}[({})]", pipeline.store_name());
            if let Some(sink) = pipeline.sink_topic() {
                let _ = writeln!(text, "      --> outbox --> {sink}");
                let _ = writeln!(text, "    Sink: (topic: {sink}) {}", pipeline.output_type());
                let _ = writeln!(mermaid, "    {processor} --> outbox{n}[(outbox)] --> {sink}([{sink}])");
            }
        }
        TopologyDescription { text, mermaid }
    }
}
