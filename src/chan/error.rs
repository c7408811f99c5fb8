//! The errors of channels. The error of a send returns the value.
#![forbid(unsafe_code)]

use std::error::Error;
use std::fmt;

const CLOSED_TO_SEND: &str =
    "the channel is closed or has no receiver: take the value out of the error";
const CLOSED_TO_RECEIVE: &str = "the channel is empty, and it is closed or has no sender";

/// The channel is closed, or all its receivers are gone. Holds the value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SendError<T>(pub T);

/// The reason why [`Sender::try_send`](crate::chan::Sender::try_send) did not send. Holds the value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TrySendError<T> {
    /// The buffer has no room, or, without a buffer, no receiver waits.
    Full(T),
    /// The channel is closed, or all its receivers are gone.
    Disconnected(T),
}

/// The reason why a send with a time limit did not send. Holds the value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SendTimeoutError<T> {
    /// The time ran out before the value was sent.
    Timeout(T),
    /// The channel is closed, or all its receivers are gone.
    Disconnected(T),
}

/// The reason why [`Sender::send_cancel`](crate::chan::Sender::send_cancel) did not send. Holds the value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SendCancelError<T> {
    /// The token was cancelled before the value was sent.
    Cancelled(T),
    /// The channel is closed, or all its receivers are gone.
    Disconnected(T),
}

/// The channel is empty and either closed or without a sender. No value will come any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecvError;

/// The reason why [`Receiver::try_recv`](crate::chan::Receiver::try_recv) received nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryRecvError {
    /// The channel has no value now.
    Empty,
    /// No value will come any more.
    Disconnected,
}

/// The reason why a receive with a time limit received nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecvTimeoutError {
    /// The time ran out before a value came.
    Timeout,
    /// No value will come any more.
    Disconnected,
}

/// The reason why [`Receiver::recv_cancel`](crate::chan::Receiver::recv_cancel) received nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecvCancelError {
    /// The token was cancelled before a value came.
    Cancelled,
    /// No value will come any more.
    Disconnected,
}

impl<T> SendError<T> {
    /// Returns the value that was not sent.
    pub fn into_inner(self) -> T {
        self.0
    }
}

/// Defines the methods of a send error that tell its variant and return its value, and implements Debug and Display.
/// These implementations require nothing of `T`.
macro_rules! send_error {
    ($error:ident, $other:ident, $is_other:ident, $what:literal, $message:literal) => {
        impl<T> $error<T> {
            /// Returns the value that was not sent.
            pub fn into_inner(self) -> T {
                match self {
                    $error::$other(value) | $error::Disconnected(value) => value,
                }
            }

            #[doc = concat!("Returns whether ", $what, ".")]
            pub fn $is_other(&self) -> bool {
                matches!(self, $error::$other(_))
            }

            /// Returns whether the channel is closed or all its receivers are gone.
            pub fn is_disconnected(&self) -> bool {
                matches!(self, $error::Disconnected(_))
            }
        }

        impl<T> fmt::Debug for $error<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $error::$other(_) => concat!(stringify!($other), "(..)"),
                    $error::Disconnected(_) => "Disconnected(..)",
                })
            }
        }

        impl<T> fmt::Display for $error<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $error::$other(_) => $message,
                    $error::Disconnected(_) => CLOSED_TO_SEND,
                })
            }
        }

        impl<T> Error for $error<T> {}

        impl<T> From<SendError<T>> for $error<T> {
            fn from(error: SendError<T>) -> Self {
                $error::Disconnected(error.0)
            }
        }
    };
}

send_error!(
    TrySendError,
    Full,
    is_full,
    "there was no room",
    "the channel is full or no receiver waits: use send to wait, or drop the value"
);
send_error!(
    SendTimeoutError,
    Timeout,
    is_timeout,
    "the time ran out",
    "the time ran out before there was room or a receiver: take the value out of the error"
);
send_error!(
    SendCancelError,
    Cancelled,
    is_cancelled,
    "the token was cancelled",
    "the token was cancelled before there was room or a receiver: take the value out of the error"
);

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SendError(..)")
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(CLOSED_TO_SEND)
    }
}

impl<T> Error for SendError<T> {}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(CLOSED_TO_RECEIVE)
    }
}

impl Error for RecvError {}

/// Defines the same as `send_error` for errors without a value.
macro_rules! recv_error {
    ($error:ident, $other:ident, $is_other:ident, $what:literal, $message:literal) => {
        impl $error {
            #[doc = concat!("Returns whether ", $what, ".")]
            pub fn $is_other(&self) -> bool {
                *self == $error::$other
            }

            /// Returns whether no value will come any more.
            pub fn is_disconnected(&self) -> bool {
                *self == $error::Disconnected
            }
        }

        impl fmt::Display for $error {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $error::$other => $message,
                    $error::Disconnected => CLOSED_TO_RECEIVE,
                })
            }
        }

        impl Error for $error {}

        impl From<RecvError> for $error {
            fn from(_: RecvError) -> Self {
                $error::Disconnected
            }
        }
    };
}

recv_error!(
    TryRecvError,
    Empty,
    is_empty,
    "nothing was there",
    "the channel is empty: use recv to wait"
);
recv_error!(
    RecvTimeoutError,
    Timeout,
    is_timeout,
    "the time ran out",
    "the time ran out before a value came"
);
recv_error!(
    RecvCancelError,
    Cancelled,
    is_cancelled,
    "the token was cancelled",
    "the token was cancelled before a value came"
);

/// No arm of a select was ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrySelectError;

/// No arm of a select became ready in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelectTimeoutError;

impl fmt::Display for TrySelectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no arm is ready: use select to wait")
    }
}

impl Error for TrySelectError {}

impl fmt::Display for SelectTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time ran out before an arm was ready")
    }
}

impl Error for SelectTimeoutError {}
