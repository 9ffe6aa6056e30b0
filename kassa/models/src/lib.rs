//! Models of the two protocols that the promises rest on, with all of their states looked at.
//!
//! [`consumer::ConsumerModel`]: claim, position, fence, inbox, effect. [`relay::RelayModel`]: lease, epoch, windows,
//! progress. What each step mirrors, what is left out, and how many states there are is in `docs/models.md`.
//!
//! A model in which nothing can go wrong proves nothing. Each has a list of mistakes, and each mistake breaks the
//! property that is written beside it.

#![forbid(unsafe_code)]

/// Declares the mistakes of a model, each with the property that it breaks.
macro_rules! mistakes {
    ($($mistake:ident: $what:literal => $breaks:expr,)*) => {
        /// A mistake in the protocol.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Mistake {
            $(#[doc = $what] $mistake,)*
        }

        impl Mistake {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$mistake),*];

            /// What is done wrong.
            #[must_use]
            pub fn what(self) -> &'static str {
                match self {
                    $(Self::$mistake => $what,)*
                }
            }

            /// The property that it breaks.
            #[must_use]
            pub fn breaks(self) -> &'static str {
                match self {
                    $(Self::$mistake => $breaks,)*
                }
            }
        }
    };
}

pub mod consumer;
pub mod relay;
mod report;

pub use report::{Report, check, find, mistakes_table, states_table};
