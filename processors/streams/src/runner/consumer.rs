//! What the runner needs of a consumer: a member of a group that reads whatever the group gives to it.

use std::future::Future;
use std::time::Duration;

use crate::backend::PositionUpdate;
use crate::batch::Epochs;
use crate::record::RawRecord;

/// Records of several partitions, in order within each, and the epochs under which they were read.
#[derive(Clone, Debug, Default)]
pub(crate) struct PolledBatch {
    pub(crate) records: Vec<RawRecord>,
    pub(crate) epochs: Epochs,
    /// Partitions whose first record lies before the stored position, and where: the log that was read so far is gone,
    /// and the batch belongs to another one. To be stored before the batch is.
    pub(crate) rewinds: Vec<PositionUpdate>,
}

/// What is known of the cluster and the group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct GroupState {
    pub(crate) broker_up: bool,
    pub(crate) joined: bool,
}

/// A member of a consumer group. Partitions come and go during its calls, and never between them: each is claimed
/// in the database before its first record is given out, and starts at the position stored there.
pub(crate) trait Consumer {
    /// Whatever has come by now, `max` at most; waits up to `timeout` if that is nothing.
    fn poll_batch(&self, max: usize, timeout: Duration) -> impl Future<Output = PolledBatch>;

    /// Takes part in the group for up to `timeout` without reading; false if a record was stepped over, so that
    /// the partitions must be claimed anew.
    fn serve_for(&self, timeout: Duration) -> impl Future<Output = bool>;

    /// Leaves the group and joins it again: whatever was held is claimed anew.
    ///
    /// # Errors
    /// The client refuses; try again.
    fn rejoin(&self) -> impl Future<Output = Result<(), String>>;

    /// What is known of the cluster and the group.
    fn group_state(&self) -> GroupState;

    /// Why this member can never take part again, if that is so: another process has its name.
    fn expelled(&self) -> Option<String> {
        None
    }

    /// The epochs of all partitions that are held.
    fn epochs(&self) -> Epochs;

    /// Gives the partitions back and leaves the group.
    fn close(self) -> impl Future<Output = ()>;
}
