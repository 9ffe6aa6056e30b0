//! What could be done wrong; each is found by a property.

use super::properties as rule;

mistakes! {
    PositionBeforeEffect: "the position is committed before the effect" => rule::NO_GAP,
    InboxBeforeEffect: "the inbox is committed before the effect" => rule::NO_GAP,
    EffectBeforePosition: "the effect is committed before inbox and position" => rule::NOTHING_AHEAD,
    AnswerBeforeEffect: "the answer is committed before the effect" => rule::ANSWERED_ONCE,
    InboxIgnored: "what the inbox says is not heeded" => rule::ANSWERED_ONCE,
    DuplicateInBatchFresh: "two copies of an event in one batch are both fresh" => rule::ANSWERED_ONCE,
    AttemptsIgnored: "an order that was decided is decided again under another event" => rule::CHARGED_ONCE,
    FenceNotChecked: "the epoch is not compared" => rule::LAST_CLAIMER_WRITES,
    EpochNotRaised: "a claim does not raise the epoch" => rule::LAST_CLAIMER_WRITES,
    ClaimDoesNotWait: "a claim does not wait for the transaction that holds the position's lock" => rule::LAST_CLAIMER_WRITES,
    StartsAtLogEnd: "a partition is read from its end instead of from its position" => rule::COMES_TO_REST,
    BatchSkippedAfterError: "a batch that met an error is given up, and the next one taken" => rule::NO_GAP,
    PositionOffByOne: "the position is moved one record too far" => rule::NO_GAP,
    BatchFoldedBySum: "a batch is decided by the sum of its amounts" => rule::BALANCES,
    BatchDecidedBackwards: "a batch is decided from its end" => rule::ORDER,
    FencedKeepsBatch: "who is fenced tries the same batch again, instead of joining the group anew" => rule::NEARER,
    OrphanKeepsLocks: "a transaction whose consumer has died keeps its locks" => rule::COMES_TO_REST,
}
