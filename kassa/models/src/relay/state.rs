//! The world of the relay model: an outbox of three transactions, a lease, two relays, a topic.

/// Transactions; each stages one event, and its number is the order of ids: ids are given before the COMMIT.
/// The first and the last are of one key, so the last can end only after the first: it waits for the key's lock.
pub const EVENTS: usize = 3;
/// The processes that may publish.
pub const RELAYS: usize = 2;
/// Events that are published at once.
pub(super) const CHUNK: usize = 2;

/// A set of events, or of the transactions that staged them: what a snapshot shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Events(u8);

impl Events {
    pub(super) fn contains(self, event: usize) -> bool {
        self.0 & 1 << event != 0
    }

    pub(super) fn insert(&mut self, event: usize) {
        self.0 |= 1 << event;
    }

    /// In the order of their ids.
    pub(super) fn iter(self) -> impl DoubleEndedIterator<Item = usize> {
        (0..EVENTS).filter(move |event| self.contains(*event))
    }

    pub(super) fn len(self) -> usize {
        self.iter().count()
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The events after the first `after`.
    pub(super) fn after(self, after: usize) -> Self {
        Self(self.0 & !((1 << after) - 1))
    }
}

impl FromIterator<usize> for Events {
    fn from_iter<T: IntoIterator<Item = usize>>(events: T) -> Self {
        let mut all = Self::default();
        events.into_iter().for_each(|event| all.insert(event));
        all
    }
}

/// How a transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Staged {
    /// It works.
    Open,
    /// Its event is to be published.
    Committed,
    /// Its event is none.
    RolledBack,
}

/// How far an outbox is published: all of `published`, and of the window to `window_end` the events before `after`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Progress {
    /// A snapshot.
    pub published: Events,
    /// The snapshot with which an unfinished window ends.
    pub window_end: Option<Events>,
    /// How far the window is published.
    pub after: usize,
}

/// Who may publish, by the database's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lease {
    /// Nobody: it was given back, or has run out.
    Free,
    /// A process that lives.
    Held(usize),
    /// A process that has died; it runs until its time is over.
    HeldByDead,
}

/// What a relay knows while it has the lease, or believes so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenure {
    /// Whether its epoch is the one in the database. One that was overtaken never is again.
    pub epoch_is_current: bool,
    /// Whether nobody has taken the lease since. Nobody reads it but a property.
    pub is_last: bool,
    /// How far it is.
    pub progress: Progress,
    /// The end of the window that it works on.
    pub window: Option<Events>,
    /// What has been given to the producer, and is not acknowledged as a whole.
    pub chunk: Option<Events>,
    /// What of it the broker has not taken yet.
    pub unsent: Events,
}

/// Everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The transactions.
    pub staged: [Staged; EVENTS],
    /// The lease.
    pub lease: Lease,
    /// The progress that is saved with it.
    pub saved: Progress,
    /// The tenures that relays believe in.
    pub tenures: [Option<Tenure>; RELAYS],
    /// What an ended tenure has left on the wire: it may arrive later, in its order, or never.
    pub wire: [Events; RELAYS],
    /// Which event of the topic each one was, from 1 on, when it first came; 0: it is not there. What comes again changes
    /// nothing: receivers know it by its id.
    pub topic: [u8; EVENTS],
    /// Whether somebody has saved progress who did not hold the lease last. Nobody reads it but a property.
    pub saved_by_a_zombie: bool,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            staged: [Staged::Open; EVENTS],
            lease: Lease::Free,
            saved: Progress::default(),
            tenures: [None; RELAYS],
            wire: [Events::default(); RELAYS],
            topic: [0; EVENTS],
            saved_by_a_zombie: false,
        }
    }

    /// The same state, with the relays in a certain order: which of them is the first makes no difference.
    pub(super) fn in_order(mut self) -> Self {
        let [first, second] = self.tenures;
        let ours = |relay| self.lease == Lease::Held(relay);
        if (first, self.wire[0], ours(0)) > (second, self.wire[1], ours(1)) {
            self.tenures.swap(0, 1);
            self.wire.swap(0, 1);
            if let Lease::Held(relay) = &mut self.lease {
                *relay = 1 - *relay;
            }
        }
        self
    }

    /// A snapshot: what is committed now.
    pub(super) fn committed(&self) -> Events {
        (0..EVENTS)
            .filter(|event| self.staged[*event] == Staged::Committed)
            .collect()
    }

    pub(super) fn in_topic(&self) -> Events {
        (0..EVENTS).filter(|event| self.topic[*event] > 0).collect()
    }

    pub(super) fn append(&mut self, event: usize) {
        if self.topic[event] == 0 {
            self.topic[event] = 1 + self.topic.into_iter().max().unwrap_or(0);
        }
    }
}
