//! What is read of each database.

use std::collections::{HashMap, HashSet};

use crate::events::{Flow, REQUESTS, STATUSES};
use crate::finding::Finding;
use crate::rows::{self, Attempts, Order, Reach, Staged};
use crate::seal::Scope;
use crate::snapshot::Snapshot;
use crate::{letters, money};

/// What is read of the orders database.
pub(crate) struct OrdersSide {
    pub(crate) reach: Reach,
    pub(crate) orders: Vec<Order>,
    pub(crate) requests: Vec<Staged>,
    /// As of the later moment.
    pub(crate) received: HashMap<u128, rows::Place>,
    pub(crate) parked: rows::Parked,
    pub(crate) open_later: HashSet<u128>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) letters: u64,
}

impl OrdersSide {
    pub(crate) async fn read(
        snapshot: &mut Snapshot,
        later: &mut Snapshot,
        (reach, requests): (Reach, Vec<Staged>),
        statuses: &[Staged],
        scope: &Scope<'_>,
    ) -> sqlx::Result<Self> {
        let Flow { topic, group, .. } = STATUSES;
        let (findings, letters) = letters::audit(later).await?;
        Ok(Self {
            reach,
            orders: rows::orders(snapshot, reach, &scope.orders("id")).await?,
            requests,
            received: rows::received(later, group, topic, &scope.received(0, statuses)).await?,
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
    pub(crate) received: HashMap<u128, rows::Place>,
    pub(crate) parked: rows::Parked,
    pub(crate) findings: Vec<Finding>,
    pub(crate) letters: u64,
    pub(crate) not_judged: u64,
}

impl PaymentsSide {
    pub(crate) async fn read(
        snapshot: &mut Snapshot,
        (reach, statuses): (Reach, Vec<Staged>),
        requests: &[Staged],
        scope: &Scope<'_>,
    ) -> sqlx::Result<Self> {
        let Flow { topic, group, .. } = REQUESTS;
        let (mut findings, not_judged) = money::audit(snapshot).await?;
        let (of_letters, letters) = letters::audit(snapshot).await?;
        findings.extend(of_letters);
        Ok(Self {
            reach,
            attempts: rows::attempts(snapshot, reach, &scope.orders("order_id")).await?,
            statuses,
            received: rows::received(snapshot, group, topic, &scope.received(1, requests)).await?,
            parked: rows::parked(snapshot, group, topic).await?,
            findings,
            letters,
            not_judged,
        })
    }
}
