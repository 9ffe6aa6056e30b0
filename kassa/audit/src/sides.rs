//! What is read of each database.

use crate::events::{Flow, REQUESTS, STATUSES};
use crate::finding::Finding;
use crate::letters;
use crate::rows::{self, Attempts, IdMap, IdSet, Order, Reach, Staged};
use crate::seal::Scope;
use crate::snapshot::Snapshot;

/// What is read of the orders database.
pub(crate) struct OrdersSide {
    pub(crate) reach: Reach,
    pub(crate) orders: Vec<Order>,
    pub(crate) requests: Vec<Staged>,
    /// As of the later moment.
    pub(crate) received: IdMap<rows::Place>,
    pub(crate) parked: rows::Parked,
    pub(crate) open_later: IdSet,
    pub(crate) findings: Vec<Finding>,
    pub(crate) letters: u64,
}

impl OrdersSide {
    pub(crate) async fn read(
        snapshot: &mut Snapshot,
        later: &mut Snapshot,
        (reach, requests): (Reach, Vec<Staged>),
        which_received: &str,
        scope: &Scope<'_>,
    ) -> sqlx::Result<Self> {
        let Flow { topic, group, .. } = STATUSES;
        let (findings, letters) = letters::audit(later).await?;
        Ok(Self {
            reach,
            orders: rows::orders(snapshot, reach, &scope.orders("id")).await?,
            requests,
            received: rows::received(later, group, topic, which_received).await?,
            parked: rows::parked(later, group, topic).await?,
            open_later: rows::open(later).await?,
            findings,
            letters,
        })
    }
}

/// What is read of the payments database.
pub(crate) struct PaymentsSide {
    pub(crate) reach: Reach,
    pub(crate) attempts: Attempts,
    pub(crate) statuses: Vec<Staged>,
    pub(crate) received: IdMap<rows::Place>,
    pub(crate) parked: rows::Parked,
    pub(crate) findings: Vec<Finding>,
    pub(crate) letters: u64,
}

impl PaymentsSide {
    pub(crate) async fn read(
        snapshot: &mut Snapshot,
        (reach, statuses): (Reach, Vec<Staged>),
        which_received: &str,
        scope: &Scope<'_>,
    ) -> sqlx::Result<Self> {
        let Flow { topic, group, .. } = REQUESTS;
        let (findings, letters) = letters::audit(snapshot).await?;
        Ok(Self {
            reach,
            attempts: rows::attempts(snapshot, reach, &scope.orders("order_id")).await?,
            statuses,
            received: rows::received(snapshot, group, topic, which_received).await?,
            parked: rows::parked(snapshot, group, topic).await?,
            findings,
            letters,
        })
    }
}
