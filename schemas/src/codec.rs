//! Events to bytes and back: Confluent framing round Avro, with writers and readers made once per schema.

mod bounded;
pub(crate) mod foreign;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::{Arc, PoisonError, RwLock};

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::schema_compatibility::SchemaCompatibility;
use apache_avro::util::max_allocation_bytes;
use apache_avro::writer::datum::GenericDatumWriter;
use event::{BoxFuture, DeserializeError, Deserializer, LearnError, SerializeError, Serializer};

use self::bounded::check_bounded;
use crate::registry::Registry;
use crate::versions::AvroEvent;
use crate::wire::OnTheWire;

/// Confluent's wire format: a zero, then the schema's id, big-endian.
const MAGIC: u8 = 0;
const HEADER_BYTES: usize = 5;
/// The longest text or bytes that a record may announce: more than any record has. Avro's library believes a length before
/// it has seen the bytes, and by itself it believes up to 512 MiB.
const ALLOCATION_MAX_BYTES: usize = 1024 * 1024;

type Reader = Arc<GenericDatumReader<'static>>;

/// Writes one event's newest version and reads all of them.
///
/// Every schema that it meets stays in memory for the life of the process; there are as many as versions.
pub struct Codec<E> {
    // Dependencies.
    registry: Option<Registry>,
    // What was looked up at the start.
    id: u32,
    writer: GenericDatumWriter<'static>,
    // What records may name.
    readers: RwLock<HashMap<u32, Reader>>,
    event: PhantomData<fn() -> E>,
}

impl<E: AvroEvent> Codec<E> {
    /// Looks up the ids of all committed versions; from then on the registry may vanish.
    ///
    /// # Errors
    /// [`LearnError::NotFound`]: not registered; run `kassa schemas register`.
    /// [`LearnError::Unavailable`]: the registry does not answer; try again.
    pub async fn connect(registry: &Registry) -> Result<Self, LearnError> {
        let mut ids = Vec::with_capacity(E::VERSIONS.len());
        for version in E::VERSIONS {
            ids.push(registry.look_up(E::SUBJECT, &version.minified()).await?);
        }
        Ok(Self::with_ids(&ids, Some(registry.clone())))
    }

    /// A codec that needs no registry; version `n` has the id `first_id + n - 1`.
    #[must_use]
    pub fn offline(first_id: u32) -> Self {
        let ids: Vec<u32> = (first_id..).take(E::VERSIONS.len()).collect();
        Self::with_ids(&ids, None)
    }

    fn with_ids(ids: &[u32], registry: Option<Registry>) -> Self {
        max_allocation_bytes(ALLOCATION_MAX_BYTES);
        let schemas: Vec<&'static Schema> = E::VERSIONS.iter().map(|version| keep(version.schema())).collect();
        let newest = schemas.last().expect("an event has a version");
        let readers = ids.iter().zip(&schemas).map(|(id, schema)| (*id, reader(schema)));
        Self {
            registry,
            id: *ids.last().expect("an event has a version"),
            writer: GenericDatumWriter::builder(newest)
                .build()
                .expect("a committed schema resolves"),
            readers: RwLock::new(readers.collect()),
            event: PhantomData,
        }
    }

    fn reader(&self, id: u32) -> Option<Reader> {
        self.readers
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
            .cloned()
    }

    async fn learn(&self, id: u32) -> Result<(), LearnError> {
        let no_registry = || LearnError::NotFound(format!("schema id {id} is not one of {}", E::SUBJECT));
        let registry = self.registry.as_ref().ok_or_else(no_registry)?;
        self.learn_schema_text(id, &registry.fetch(id).await?)
    }

    /// Learns what a registry says of an id: its schema as text, from whoever wrote it.
    ///
    /// # Errors
    /// Events cannot be read under it; records of this id will be refused.
    pub fn learn_schema_text(&self, id: u32, text: &str) -> Result<(), LearnError> {
        let reader = reader(keep(readable_as::<E>(text).map_err(LearnError::Incompatible)?));
        self.readers
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, reader);
        Ok(())
    }
}

/// A schema of whatever origin, if what it writes can be read as this event.
fn readable_as<E: AvroEvent>(text: &str) -> Result<Schema, String> {
    let theirs = foreign::parse(text)?;
    let ours = E::VERSIONS.last().expect("an event has a version").schema();
    let name = |schema: &Schema| schema.name().map(ToString::to_string);
    if name(&theirs) != name(&ours) {
        let (theirs, ours) = (name(&theirs).unwrap_or_default(), name(&ours).unwrap_or_default());
        return Err(format!("it is of {theirs:?}, not of {ours:?}"));
    }
    check_bounded(&theirs)?;
    SchemaCompatibility::can_read(&theirs, &ours).map_err(|error| error.to_string())?;
    Ok(theirs)
}

/// Writers and readers borrow their schema, and live as long as the process.
fn keep(schema: Schema) -> &'static Schema {
    Box::leak(Box::new(schema))
}

/// Reads with the writer's schema; what a newer or older one lacks, serde's defaults supply. (Resolution to a reader's
/// schema would refuse decimals that other languages write in fewer bytes.)
fn reader(schema: &'static Schema) -> Reader {
    Arc::new(
        GenericDatumReader::builder(schema)
            .build()
            .expect("a parsed schema resolves"),
    )
}

impl<E: AvroEvent + OnTheWire> Serializer<E> for Codec<E> {
    fn serialize(&self, event: &E) -> Result<Vec<u8>, SerializeError> {
        let mut bytes = Vec::with_capacity(192);
        bytes.push(MAGIC);
        bytes.extend_from_slice(&self.id.to_be_bytes());
        self.writer
            .write_ser(&mut bytes, &event.to_wire())
            .map_err(|error| SerializeError(error.to_string()))?;
        Ok(bytes)
    }
}

impl<E: AvroEvent + OnTheWire> Deserializer<E> for Codec<E> {
    fn deserialize(&self, bytes: &[u8]) -> Result<E, DeserializeError> {
        let malformed = |cause: String| DeserializeError::Malformed(cause);
        let Some((header, mut body)) = bytes.split_at_checked(HEADER_BYTES) else {
            return Err(malformed(format!(
                "{} bytes are too few for Confluent's framing",
                bytes.len()
            )));
        };
        if header[0] != MAGIC {
            return Err(malformed(format!(
                "the first byte is {}, not 0 as in Confluent's framing",
                header[0]
            )));
        }
        let id = u32::from_be_bytes([header[1], header[2], header[3], header[4]]);
        let reader = self.reader(id).ok_or(DeserializeError::UnknownSchema(id))?;
        let wire = reader
            .read_deser::<E::Wire>(&mut body)
            .map_err(|error| malformed(error.to_string()))?;
        if !body.is_empty() {
            return Err(malformed(format!("{} bytes follow the record", body.len())));
        }
        E::from_wire(wire).map_err(malformed)
    }

    fn learn_schema(&self, id: u32) -> BoxFuture<'_, Result<(), LearnError>> {
        Box::pin(self.learn(id))
    }
}

impl<E> std::fmt::Debug for Codec<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Codec").field("id", &self.id).finish_non_exhaustive()
    }
}
