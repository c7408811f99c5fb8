//! The macro `select!`.
//!
//! It collects the arms one by one, each with names of its own for its handle and its arm; then makes
//! them all, lets one be chosen, and finishes that one, before the first line of its body: by then no
//! arm holds anything, and none has a destructor that would keep the ends borrowed.
#![forbid(unsafe_code)]

/// Waits until one of several arms is ready, does its part, and evaluates its body.
///
/// | arm | ready when |
/// |---|---|
/// | `recv(receiver) -> result => body` | a value is there, or none will come: `result` is what [`recv`](crate::chan::Receiver::recv) returns |
/// | `send(sender, value) -> result => body` | there is room, or a receiver, or the channel is closed: `result` is what [`send`](crate::chan::Sender::send) returns |
/// | `cancel(token) => body` | the [`CancelToken`](crate::CancelToken) is cancelled |
/// | `default => body`, or `default() => body` | no other arm is ready now |
/// | `default(duration) => body` | no other arm becomes ready for so long |
///
/// Of the arms that are ready at once, a random one is chosen. Exactly one does its part. The channels
/// are evaluated once each, in the order in which they stand; the value of a send only once its arm was
/// chosen, so it is still there in the bodies of other arms. One channel may stand in several arms; up
/// to 64 arms. An arm can be switched off with [`never`](crate::chan::never).
///
/// Parks a goroutine; blocks a plain thread. Allocates nothing.
///
/// # Panics
/// Inside [`no_suspend`](crate::no_suspend), if it would wait.
///
/// ```
/// use selvedge::{chan, select};
/// use std::time::Duration;
///
/// let (tx, rx) = chan::bounded(1);
/// let (full, _keep) = chan::bounded(0);
/// for _ in 0..2 {
///     select! {
///         recv(rx) -> word => assert_eq!(word, Ok("hello")),
///         send(full, 1) -> _ => unreachable!("nobody receives"),
///         default(Duration::from_millis(1)) => tx.send("hello").unwrap(),
///     }
/// }
/// ```
///
/// One without an arm would wait for ever, and does not compile:
///
/// ```compile_fail
/// selvedge::select! {}
/// ```
#[macro_export]
macro_rules! select {
    () => { ::core::compile_error!("select with no arm would wait for ever: add an arm") };
    ($($arms:tt)+) => { $crate::__select!(@next (0) [] [] $($arms)+) };
}

/// The steps of `select!`: `@next` takes one arm, `@build` makes the expression.
#[doc(hidden)]
#[macro_export]
macro_rules! __select {
    (@next $n:tt $arms:tt $default:tt default() $($rest:tt)*) => {
        $crate::__select!(@next $n $arms $default default $($rest)*)
    };
    (@next $n:tt $arms:tt [] default => $body:block, $($rest:tt)*) => {
        $crate::__select!(@next $n $arms [try_select () $body] $($rest)*)
    };
    (@next $n:tt $arms:tt [] default => $body:block $($rest:tt)*) => {
        $crate::__select!(@next $n $arms [try_select () $body] $($rest)*)
    };
    (@next $n:tt $arms:tt [] default => $body:expr, $($rest:tt)*) => {
        $crate::__select!(@next $n $arms [try_select () $body] $($rest)*)
    };
    (@next $n:tt $arms:tt [] default => $body:expr) => {
        $crate::__select!(@next $n $arms [try_select () $body])
    };
    (@next $n:tt $arms:tt [] default($limit:expr) => $body:block, $($rest:tt)*) => {
        $crate::__select!(@next $n $arms [select_timeout ($limit) $body] $($rest)*)
    };
    (@next $n:tt $arms:tt [] default($limit:expr) => $body:block $($rest:tt)*) => {
        $crate::__select!(@next $n $arms [select_timeout ($limit) $body] $($rest)*)
    };
    (@next $n:tt $arms:tt [] default($limit:expr) => $body:expr, $($rest:tt)*) => {
        $crate::__select!(@next $n $arms [select_timeout ($limit) $body] $($rest)*)
    };
    (@next $n:tt $arms:tt [] default($limit:expr) => $body:expr) => {
        $crate::__select!(@next $n $arms [select_timeout ($limit) $body])
    };
    (@next $n:tt $arms:tt $default:tt default $($rest:tt)*) => {
        ::core::compile_error!("select! has one default arm at most, written `default => ...` or \
            `default(duration) => ...`")
    };
    (@next ($($n:tt)*) [$($arms:tt)*] $default:tt
        $kind:ident $args:tt $(-> $result:pat)? => $body:block, $($rest:tt)*) => {
        $crate::__select!(@next ($($n)* + 1)
            [$($arms)* {$kind ($($n)*) handle arm $args [$($result)?] $body}]
            $default $($rest)*)
    };
    (@next ($($n:tt)*) [$($arms:tt)*] $default:tt
        $kind:ident $args:tt $(-> $result:pat)? => $body:block $($rest:tt)*) => {
        $crate::__select!(@next ($($n)* + 1)
            [$($arms)* {$kind ($($n)*) handle arm $args [$($result)?] $body}]
            $default $($rest)*)
    };
    (@next ($($n:tt)*) [$($arms:tt)*] $default:tt
        $kind:ident $args:tt $(-> $result:pat)? => $body:expr, $($rest:tt)*) => {
        $crate::__select!(@next ($($n)* + 1)
            [$($arms)* {$kind ($($n)*) handle arm $args [$($result)?] $body}]
            $default $($rest)*)
    };
    (@next ($($n:tt)*) [$($arms:tt)*] $default:tt
        $kind:ident $args:tt $(-> $result:pat)? => $body:expr) => {
        $crate::__select!(@next ($($n)* + 1)
            [$($arms)* {$kind ($($n)*) handle arm $args [$($result)?] $body}]
            $default)
    };
    (@next $n:tt $arms:tt []) => {
        $crate::__select!(@build $arms [select () ::core::unreachable!("an arm was chosen")])
    };
    (@next $n:tt $arms:tt $default:tt) => { $crate::__select!(@build $arms $default) };
    (@next $n:tt $arms:tt $default:tt $($rest:tt)+) => {
        ::core::compile_error!(::core::concat!("select! expects `recv(rx) -> result => ...`, \
            `send(tx, value) -> result => ...`, `cancel(token) => ...` or `default => ...`, \
            with a comma after an expression, and found: ", ::core::stringify!($($rest)+)))
    };

    (@build [$({
        $kind:ident ($($n:tt)*) $handle:ident $arm:ident $args:tt [$($pat:pat)?] $body:expr
    })*] [$select:ident ($($limit:expr)?) $default:expr]) => {{
        $( $crate::__select!(@handle $kind $handle $args); )*
        $( let mut $arm = $crate::__select!(@arm $kind $handle); )*
        let arms: &[$crate::__macro_support::AnyArm<'_>] = &[$($arm.any()),*];
        let chosen = $crate::__macro_support::$select(arms $(, $limit)?);
        $( if chosen == $($n)* {
            $crate::__select!(@finish $kind $arm $args [$($pat)?]);
            $body
        } else )* { $default }
    }};

    (@handle recv $handle:ident ($receiver:expr $(,)?)) => {
        let $handle = &$receiver;
        let $handle = $crate::__macro_support::AsReceiver::as_receiver($handle);
    };
    (@handle send $handle:ident ($sender:expr, $value:expr $(,)?)) => {
        let $handle = &$sender;
        let $handle = $crate::__macro_support::AsSender::as_sender($handle);
    };
    (@handle cancel $handle:ident ($token:expr $(,)?)) => {
        let $handle: &$crate::CancelToken = &$token;
    };
    (@handle $kind:ident $($rest:tt)*) => {
        ::core::compile_error!(::core::concat!("select! has arms `recv(rx)`, `send(tx, value)`, \
            `cancel(token)` and `default`, and found: ", ::core::stringify!($kind)))
    };

    (@arm recv $handle:ident) => { $crate::__macro_support::RecvArm::new($handle) };
    (@arm send $handle:ident) => { $crate::__macro_support::SendArm::new($handle) };
    (@arm cancel $handle:ident) => { $crate::__macro_support::CancelArm::new($handle) };

    (@finish recv $arm:ident $args:tt [$pat:pat]) => { let $pat = $arm.finish(); };
    (@finish send $arm:ident ($sender:expr, $value:expr $(,)?) [$pat:pat]) => {
        // Where the value is not made after all, the arm is let go.
        let $pat = { let chosen = $arm.chosen(); chosen.finish($value) };
    };
    (@finish cancel $arm:ident $args:tt []) => {};
    (@finish cancel $arm:ident $args:tt [$pat:pat]) => {
        ::core::compile_error!("select! has no result after `cancel(token)`: write `cancel(token) => ...`")
    };
    (@finish $kind:ident $arm:ident $args:tt []) => {
        ::core::compile_error!("select! needs `-> result` after recv(..) and send(..)")
    };
}
