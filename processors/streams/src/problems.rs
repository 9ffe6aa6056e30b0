//! The library's errors as an HTTP front answers them.

use http_kit::problem::{Code, Problem};
use tracing::error;

use crate::batcher::BatcherError;
use crate::state_store::StoreError;

impl From<BatcherError> for Problem {
    fn from(error: BatcherError) -> Self {
        match error {
            BatcherError::Overloaded(detail) => Self::new(Code::Overloaded, detail),
            BatcherError::Rejected(cause) => {
                error!("the database rejects a request: {cause}");
                Self::new(Code::InternalError, "the request could not be stored")
            }
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        error!("{}", error.chain());
        Self::new(Code::Overloaded, "the database does not answer")
    }
}
