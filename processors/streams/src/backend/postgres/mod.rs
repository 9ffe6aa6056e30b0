//! The backend on Postgres: tables in the schema `streams`, see `migrations/`.

mod dead_letter_rows;
mod receive;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use http_kit::crash_point::CrashPoints as _;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{PgPool, Postgres, Row, Transaction};

use super::{Arrival, Backend, Claim, DueLetter, Parking, PositionUpdate, Receipt, Retried};
use crate::outbox::{self, StagedEvent};
use crate::record::TopicPartition;
use crate::state_store::StoreError;
use crate::time_limit::answered;

static MIGRATOR: Migrator = sqlx::migrate!();

/// Creates and updates the library's tables; before the service's own migrations. Tells how many there are.
///
/// # Errors
/// A migration fails, or was changed after it ran.
pub async fn migrate_library(pool: &PgPool) -> Result<usize, MigrateError> {
    let mut library = Migrator::with_migrations(MIGRATOR.iter().cloned().collect());
    // Beside the service's own list of migrations: the two are numbered apart.
    library.dangerous_set_table_name("_streams_migrations");
    library.run(pool).await?;
    Ok(library.iter().count())
}

/// A transaction on Postgres; rolled back when dropped.
pub type PgTx = Transaction<'static, Postgres>;

/// Positions, inbox, outbox and dead letters in the service's own database.
#[derive(Clone, Debug)]
pub struct PgBackend {
    pool: PgPool,
    subscriptions: Arc<RwLock<HashMap<(String, String), i16>>>,
}

impl PgBackend {
    /// Works on the database of `pool`, which must have been migrated.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self {
            pool,
            subscriptions: Arc::default(),
        }
    }

    /// The pool that it works on.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// The id that stands for (group, topic) in the tables. Ids never change, so they are remembered.
    async fn subscription(&self, group: &str, topic: &str) -> Result<i16, StoreError> {
        let known = (group.to_owned(), topic.to_owned());
        if let Some(id) = self
            .subscriptions
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&known)
        {
            return Ok(*id);
        }
        let id = answered("could not look up the subscription", sqlx::query_scalar(
            "with added as (
                insert into streams.subscription (consumer_group, topic)
                select $1, $2 where not exists (select from streams.subscription where consumer_group = $1 and topic = $2)
                on conflict do nothing returning id)
             select id from added
              union all select id from streams.subscription where consumer_group = $1 and topic = $2 limit 1",
        )
        .bind(group)
        .bind(topic)
        .fetch_one(&self.pool)
        .crash_points("subscription"),
        )
        .await?;
        self.subscriptions
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(known, id);
        Ok(id)
    }

    async fn subscription_ids<'a>(
        &self,
        group: &str,
        sources: impl Iterator<Item = &'a TopicPartition> + Send,
    ) -> Result<Vec<i16>, StoreError> {
        let mut ids = Vec::with_capacity(sources.size_hint().0);
        let mut last: Option<(&str, i16)> = None;
        for source in sources {
            let id = match last {
                Some((topic, id)) if *topic == *source.topic => id,
                _ => self.subscription(group, &source.topic).await?,
            };
            last = Some((&source.topic, id));
            ids.push(id);
        }
        Ok(ids)
    }
}

impl Backend for PgBackend {
    type Tx = PgTx;

    async fn claim(&self, group: &str, partitions: &[TopicPartition]) -> Result<Vec<Claim>, StoreError> {
        let mut claims = Vec::with_capacity(partitions.len());
        let subscriptions = self.subscription_ids(group, partitions.iter()).await?;
        // One by one: each may have to wait for its own predecessor's transaction.
        for (source, subscription) in partitions.iter().zip(subscriptions) {
            let row = answered(
                "could not take a partition over",
                sqlx::query(
                    "insert into streams.consumer_position as p (subscription_id, partition, next_offset, epoch)
                 values ($1, $2, 0, 1)
                 on conflict (subscription_id, partition) do update set epoch = p.epoch + 1, updated_at = now()
                 returning next_offset, epoch",
                )
                .bind(subscription)
                .bind(source.partition)
                .fetch_one(&self.pool)
                .crash_points("claim"),
            )
            .await?;
            claims.push(Claim {
                source: source.clone(),
                next_offset: row.get(0),
                epoch: row.get(1),
            });
        }
        Ok(claims)
    }

    async fn rewind(&self, group: &str, positions: &[PositionUpdate]) -> Result<(), StoreError> {
        let ids = self
            .subscription_ids(group, positions.iter().map(|position| &position.source))
            .await?;
        for (position, subscription) in positions.iter().zip(ids) {
            answered(
                "could not move a position back",
                sqlx::query(
                    "update streams.consumer_position set next_offset = $3, updated_at = now()
                      where subscription_id = $1 and partition = $2 and epoch = $4 and next_offset > $3",
                )
                .bind(subscription)
                .bind(position.source.partition)
                .bind(position.next_offset)
                .bind(position.epoch)
                .execute(&self.pool)
                .crash_points("rewind"),
            )
            .await?;
        }
        Ok(())
    }

    async fn begin(&self) -> Result<PgTx, StoreError> {
        answered(
            "could not begin a transaction",
            self.pool.begin().crash_points("batch.begin"),
        )
        .await
    }

    async fn receive(
        &self,
        tx: &mut PgTx,
        group: &str,
        positions: &[PositionUpdate],
        arrivals: &[Arrival<'_>],
        retrying: bool,
    ) -> Result<Receipt, StoreError> {
        let moved = self
            .subscription_ids(group, positions.iter().map(|position| &position.source))
            .await?;
        let arrived = self
            .subscription_ids(group, arrivals.iter().map(|arrival| &arrival.raw.source))
            .await?;
        receive::receive(tx, (&moved, positions), (&arrived, arrivals), retrying).await
    }

    async fn append_to_outbox(&self, tx: &mut PgTx, events: &[StagedEvent]) -> Result<(), StoreError> {
        outbox::append_to_outbox(tx, events).await
    }

    async fn park(&self, tx: &mut PgTx, group: &str, parkings: &[Parking<'_>]) -> Result<(), StoreError> {
        if parkings.is_empty() {
            return Ok(());
        }
        let ids = self
            .subscription_ids(group, parkings.iter().map(|parking| &parking.raw.source))
            .await?;
        dead_letter_rows::park(tx, &ids, parkings).await
    }

    async fn settle(&self, tx: &mut PgTx, settled: &[(i64, Retried)]) -> Result<(), StoreError> {
        dead_letter_rows::settle(tx, settled).await
    }

    async fn commit(&self, tx: PgTx) -> Result<(), StoreError> {
        answered("could not commit", tx.commit().crash_points("batch.commit")).await
    }

    async fn due_letters(
        &self,
        group: &str,
        partitions: &[TopicPartition],
        max: usize,
    ) -> Result<Vec<DueLetter>, StoreError> {
        let ids = self.subscription_ids(group, partitions.iter()).await?;
        dead_letter_rows::due(&self.pool, &ids, partitions, max).await
    }
}
