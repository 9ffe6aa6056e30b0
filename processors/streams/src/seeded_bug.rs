//! Known mistakes, each to be switched on by the simulation that has to find it.
//!
//! Without the feature `seeded-bugs`, [`is_on`] is a constant `false`, and nothing of a mistake is in the program.
//! With it, a mistake is on for one thread, between [`with`]'s two ends.

/// Declares the mistakes with their descriptions, once.
macro_rules! bugs {
    ($($bug:ident: $what:literal,)*) => {
        /// A mistake that has been made somewhere before, in this system's kind.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Bug {
            $(#[doc = $what] $bug,)*
        }

        impl Bug {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$bug),*];

            /// What is done wrong.
            #[must_use]
            pub fn what(self) -> &'static str {
                match self {
                    $(Self::$bug => $what,)*
                }
            }
        }
    };
}

bugs! {
    // Receiving.
    PositionBeforeTransaction: "the position is committed in a transaction of its own, before the effect",
    InboxBeforeEffect: "the inbox is committed in a transaction of its own, before the effect",
    InboxIgnored: "what the inbox says is not heeded",
    DuplicateInBatchApplied: "two copies of an event in one batch are both applied",
    FenceNotChecked: "the epoch is not compared",
    EpochNotRaised: "taking a partition over does not raise its epoch",
    StartsAtLogEnd: "a partition is read from its end instead of from the stored position",
    BatchSkippedAfterOutage: "a batch that met an outage is given up, and the next one taken",
    OutageParksRecords: "an outage is taken for the record's fault",
    LaterHalfFirst: "of a batch that is halved, the later half is applied first",
    PositionOffByOne: "the position is moved one record too far",
    BatchParkedWithRecord: "one record that fails takes its batch along",
    ParkedKeyNotHeld: "later records of a parked key are applied",
    SameBatchNotHeld: "records behind a failed one of their key, in the same batch, are applied",
    LettersNewestFirst: "parked records are tried again newest first",
    LetterIgnoresInbox: "a parked record is applied again although the inbox knows it",
    // Publishing.
    OutboxAfterCommit: "events are staged in a transaction of their own, after the effect",
    PublishedBeforeCommit: "events can be read before their COMMIT",
    OutboxReadById: "the outbox is read by `id > last`",
    LateTransactionsForgotten: "what was running when a window began is forgotten",
    ProgressBeforeAcknowledgement: "progress is saved before the broker has acknowledged",
    RefusedEventsSkipped: "after a refusal, the relay goes on with the next events",
    LeaseByHostClock: "the lease runs by the clock of the host that asks",
    LeaseEpochNotChecked: "the lease is prolonged under whatever epoch",
    // Requests.
    AnswerBeforeCommit: "a request is answered before its COMMIT",
    AnswersMixedUp: "the answers of a batch reach the wrong callers",
    BatchRefusedWithRequest: "one request that the database rejects takes its batch along",
    AmbiguousCommitRefused: "a second commit of the same request, after an ambiguous COMMIT, is an error",
    AmbiguousCommitAddsAgain: "a second commit of the same top-up, after an ambiguous COMMIT, adds again",
    KeyNotScopedByUser: "an idempotency key is the same for all users",
    KeyBeforeEffect: "the answer is stored under its key before the effect",
    KeyAfterEffect: "the answer is stored under its key after the effect",
    KeyNotLocked: "a key is looked up without a lock",
    KeyBodyNotCompared: "another body under a known key gets the first answer",
    // Deciding.
    BatchFoldedBySum: "a batch is paid or declined by the sum of its amounts",
    OverdraftPaid: "whoever has too little pays as far as it goes",
    AttemptsIgnored: "what was decided is decided again under another event",
    DeclineNotRemembered: "a decline leaves no attempt",
    LostUpdate: "rows are loaded without a lock, and written whatever they are by then",
    LocksUnsorted: "locks are taken in the order of the batch",
    VersionNotRaised: "the version stays when its row changes",
    StatusOverwritten: "what is closed takes another status",
}

#[cfg(feature = "seeded-bugs")]
std::thread_local! {
    static ON: std::cell::Cell<Option<Bug>> = const { std::cell::Cell::new(None) };
}

/// Whether this thread is to make the mistake.
#[cfg(feature = "seeded-bugs")]
#[must_use]
pub fn is_on(bug: Bug) -> bool {
    ON.get() == Some(bug)
}

/// Whether this thread is to make the mistake: never.
#[cfg(not(feature = "seeded-bugs"))]
#[must_use]
pub const fn is_on(_bug: Bug) -> bool {
    false
}

/// Does `work` with a mistake on this thread.
#[cfg(feature = "seeded-bugs")]
pub fn with<T>(bug: Option<Bug>, work: impl FnOnce() -> T) -> T {
    let before = ON.replace(bug);
    let done = work();
    ON.set(before);
    done
}
