//! A service's circuit breaker with a clock, a lock and a log.
//!
//! A failure is what says that the service does not work: no connection, a connection that broke before the answer, no
//! answer in time, 502 and 504, and a 503 that is not its own. An answer of its own is none, whatever its status: a
//! 500 may be the fault of one request, and would let one user shut the door for all; `overloaded` says itself when
//! to come back, and the service must go on saying it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{Response, StatusCode};
use http_kit::problem::{Code, PROBLEM_JSON, Problem};
use metrics::gauge;
use tracing::{info, warn};

use crate::circuit_breaker::{Change, CircuitBreaker, Outcome, Pass, Policy};

/// The circuit of one service.
#[derive(Debug)]
pub(crate) struct Circuit {
    service: &'static str,
    /// `None`: it never opens.
    breaker: Option<Mutex<CircuitBreaker>>,
}

impl Circuit {
    /// `failures` in a row open it for `open_for`; 0: it never opens.
    pub(crate) fn new(service: &'static str, failures: u32, open_for: Duration) -> Self {
        let breaker = (failures > 0).then(|| CircuitBreaker::new(Policy { failures, open_for }));
        Self {
            service,
            breaker: breaker.map(Mutex::new),
        }
    }

    /// Lets a request through.
    ///
    /// # Errors
    /// `circuit_open`, with the time to come back.
    pub(crate) fn enter(&self) -> Result<Ticket<'_>, Problem> {
        let admitted = self.breaker.as_ref().map(|breaker| lock(breaker).admit(Instant::now()));
        match admitted.transpose() {
            Ok(pass) => Ok(Ticket { circuit: self, pass }),
            Err(wait) => {
                let problem = Problem::new(
                    Code::CircuitOpen,
                    "the service does not answer, and is given time to recover; try again later",
                );
                let seconds = wait.as_millis().div_ceil(1_000).max(1);
                Err(problem.header(RETRY_AFTER, seconds.to_string()))
            }
        }
    }

    fn settle(&self, pass: Pass, outcome: Outcome) {
        let Some(breaker) = &self.breaker else { return };
        let change = lock(breaker).settle(pass, outcome, Instant::now());
        let service = self.service;
        match change {
            Some(Change::Opened) => warn!("{service} does not work; it is not asked for a while"),
            Some(Change::Closed) => info!("{service} works again"),
            None => return,
        }
        let is_open = change == Some(Change::Opened);
        gauge!("gateway_circuit_open", "service" => service).set(f64::from(u8::from(is_open)));
    }
}

fn lock(breaker: &Mutex<CircuitBreaker>) -> std::sync::MutexGuard<'_, CircuitBreaker> {
    breaker.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A request on its way. Dropped before it is settled, it tells nothing: the client has gone away.
#[derive(Debug)]
pub(crate) struct Ticket<'a> {
    circuit: &'a Circuit,
    pass: Option<Pass>,
}

impl Ticket<'_> {
    /// There is no answer.
    pub(crate) fn failed(mut self) {
        self.settle(Outcome::Failed);
    }

    /// There is one.
    pub(crate) fn answered<B>(mut self, response: &Response<B>) {
        self.settle(outcome(response));
    }

    fn settle(&mut self, outcome: Outcome) {
        if let Some(pass) = self.pass.take() {
            self.circuit.settle(pass, outcome);
        }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.settle(Outcome::Unknown);
    }
}

fn outcome<B>(response: &Response<B>) -> Outcome {
    let is_own = || {
        let content_type = response.headers().get(CONTENT_TYPE);
        content_type.is_some_and(|value| value.as_bytes().starts_with(PROBLEM_JSON.as_bytes()))
    };
    match response.status() {
        StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => Outcome::Failed,
        StatusCode::SERVICE_UNAVAILABLE if !is_own() => Outcome::Failed,
        _ => Outcome::Worked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_its_own_is_no_failure() {
        let outcome = |status: u16, content_type: &str| {
            let response = Response::builder().status(status).header(CONTENT_TYPE, content_type);
            super::outcome(&response.body(()).expect("a response"))
        };
        for status in [200, 404, 409, 422, 500, 503] {
            assert_eq!(outcome(status, PROBLEM_JSON), Outcome::Worked, "{status}");
        }
        for (status, content_type) in [(502, PROBLEM_JSON), (504, "text/html"), (503, "text/html")] {
            assert_eq!(outcome(status, content_type), Outcome::Failed, "{status}");
        }
    }

    #[test]
    fn an_open_circuit_says_when_to_come_back() {
        let circuit = Circuit::new("orders-api", 1, Duration::from_millis(2_500));
        circuit.enter().expect("closed").failed();
        let problem = circuit.enter().expect_err("open");
        assert_eq!(problem.code(), Code::CircuitOpen);
        assert_eq!(problem.respond("/orders", "1").headers()[RETRY_AFTER], "3");
        let never = Circuit::new("orders-api", 0, Duration::from_secs(1));
        for _ in 0..100 {
            never.enter().expect("it never opens").failed();
        }
    }
}
