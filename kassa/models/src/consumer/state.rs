//! The world of the consumer model: two partitions, one database, two consumers.

/// Accounts; the requests of each are one partition, for the key of `payment-request` is the user.
pub const ACCOUNTS: usize = 2;
/// Orders: two of the first account, one of the second.
pub const ORDERS: usize = 3;
/// Events: one of each order, and a second one of the first, which is asked for again under another id.
pub const EVENTS: usize = 4;
/// Replicas of the processor.
pub const CONSUMERS: usize = 2;
/// What each account starts with: enough for any order, and for the first one twice, but not for the first and the
/// second. So it shows in the balance which of them came first, and whether one was charged twice.
pub(super) const OPENING_BALANCE: u8 = 5;
/// What each order costs.
pub(super) const AMOUNTS: [u8; ORDERS] = [2, 4, 2];
/// Records of one partition that a consumer takes in hand at once.
pub(super) const BATCH: u8 = 2;

/// A record: an event that asks for the payment of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// Its event.
    pub event: usize,
    /// Its order.
    pub order: usize,
}

/// Both partitions, whole. A record that comes late is one that a poll has not taken yet.
pub type Log = [Vec<Request>; ACCOUNTS];

/// The decision for an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Attempt {
    /// The account was debited.
    Paid,
    /// It was not.
    Declined,
}

/// What is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Database {
    /// The first record of each partition that has not been applied.
    pub positions: [u8; ACCOUNTS],
    /// The events that have been received.
    pub inbox: [bool; EVENTS],
    /// What was decided.
    pub attempts: [Option<Attempt>; ORDERS],
    /// What is left.
    pub balances: [u8; ACCOUNTS],
    /// How often each order was debited; counted up to 2.
    pub debits: [u8; ORDERS],
    /// How often each event was answered in the outbox; counted up to 2.
    pub answers: [u8; EVENTS],
    /// Which decision of its account each order was, from 1 on; 0: not decided.
    pub decided_as: [u8; ORDERS],
    /// Whether somebody has written who was not the last to claim the partition. Nobody reads it but a property.
    pub written_by_a_zombie: bool,
}

/// A partition that a consumer holds; the records from `from` to `next` are in its hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hold {
    /// The first record that is in hand.
    pub from: u8,
    /// The record that the next poll begins with.
    pub next: u8,
    /// Whether the epoch of its claim is the one in the database. Epochs only grow, so one that has been overtaken
    /// never is again; that makes the states finite.
    pub epoch_is_current: bool,
    /// Whether nobody has claimed the partition since. Nobody reads it but a property.
    pub is_last_claim: bool,
}

impl Hold {
    pub(super) fn has_records_in_hand(&self) -> bool {
        self.from < self.next
    }
}

/// A replica: what it loses when it dies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Consumer {
    /// Its partitions.
    pub holds: [Option<Hold>; ACCOUNTS],
}

impl Consumer {
    pub(super) fn has_records_in_hand(&self) -> bool {
        self.holds.iter().flatten().any(Hold::has_records_in_hand)
    }
}

/// What a transaction has written of one partition, and what nobody else sees before its COMMIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slice {
    /// The first record.
    pub from: u8,
    /// The record behind the last.
    pub to: u8,
    /// The verdict of the inbox for each record.
    pub fresh: [bool; BATCH as usize],
    /// As in [`Hold`].
    pub is_last_claim: bool,
}

/// A transaction that is open in the database. The row of each of its partitions is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Transaction {
    /// Whose it is; `None`: its consumer has died, or has lost the connection.
    pub owner: Option<usize>,
    /// Whether COMMIT is on its way; the server may still come to either end.
    pub commit_sent: bool,
    /// What it writes.
    pub slices: [Option<Slice>; ACCOUNTS],
}

/// Everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// Which of the model's logs is read.
    pub log: usize,
    /// What is committed.
    pub database: Database,
    /// What is open. A transaction locks a partition, so that there are never more; each is under the first one that
    /// it locks.
    pub transactions: [Option<Transaction>; ACCOUNTS],
    /// The replicas.
    pub consumers: [Consumer; CONSUMERS],
}

impl State {
    pub(super) fn new(log: usize) -> Self {
        Self {
            log,
            database: Database {
                positions: [0; ACCOUNTS],
                inbox: [false; EVENTS],
                attempts: [None; ORDERS],
                balances: [OPENING_BALANCE; ACCOUNTS],
                debits: [0; ORDERS],
                answers: [0; EVENTS],
                decided_as: [0; ORDERS],
                written_by_a_zombie: false,
            },
            transactions: [None; ACCOUNTS],
            consumers: [Consumer::default(); CONSUMERS],
        }
    }

    pub(super) fn is_locked(&self, partition: usize) -> bool {
        let open = self.transactions.iter().flatten();
        open.into_iter().any(|open| open.slices[partition].is_some())
    }

    /// The place of a consumer's open transaction.
    pub(super) fn transaction_of(&self, consumer: usize) -> Option<usize> {
        let is_own = |open: &Option<Transaction>| open.is_some_and(|open| open.owner == Some(consumer));
        self.transactions.iter().position(is_own)
    }
}
