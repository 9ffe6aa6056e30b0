//! What could be done wrong; each is found by a property.

use super::properties as rule;

mistakes! {
    OutboxReadById: "the outbox is read by `id > last`" => rule::BEHIND_ACKNOWLEDGEMENTS,
    LateTransactionsForgotten: "what was running when a window began is forgotten" => rule::COMES_TO_REST,
    WindowEndNotSaved: "the end of an unfinished window is not saved with its progress" => rule::COMES_TO_REST,
    ProgressBeforeAcknowledgement: "progress moves before the broker has acknowledged" => rule::BEHIND_ACKNOWLEDGEMENTS,
    RefusedEventsSkipped: "after a refusal, the relay goes on with the next events" => rule::BEHIND_ACKNOWLEDGEMENTS,
    EpochNotChecked: "progress is saved under whatever epoch" => rule::LAST_HOLDER_SAVES,
    PublishedBeforeCommit: "events can be read before their COMMIT" => rule::ONLY_COMMITTED,
    EventsOvertake: "the events of a chunk may overtake each other on their way to the broker" => rule::ORDER,
    KeyNotLocked: "writers of one key do not wait for each other" => rule::ORDER,
    LeaseNeverEnds: "the lease of a process that has died never runs out" => rule::COMES_TO_REST,
    LostLeaseIgnored: "who is told that the lease is lost goes on" => rule::NEARER,
}
