//! The connections to one service, which can be given up together.
//!
//! A service that is late may not be slow: the link may have swallowed the request, and then it swallows the next one
//! on each connection that is as old. Nobody is told, so whoever waited in vain gives all of them up.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::upstream::{Forwarding, client};

/// A service's connections.
#[derive(Debug)]
pub(crate) struct Connections {
    connect_timeout: Duration,
    current: Mutex<Arc<Forwarding>>,
}

impl Connections {
    pub(crate) fn new(connect_timeout: Duration) -> Self {
        Self {
            connect_timeout,
            current: Mutex::new(Arc::new(client(connect_timeout))),
        }
    }

    /// For one request.
    pub(crate) fn current(&self) -> Arc<Forwarding> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on others are made; requests that run on the old ones go on. Once, however many have waited in vain.
    pub(crate) fn give_up(&self, used: &Arc<Forwarding>) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&current, used) {
            *current = Arc::new(client(self.connect_timeout));
        }
    }
}
