//! The macro `select!`.
//!
//! It collects the arms one by one, each with its own names for its handle and its arm. Then it makes all arms and
//! lets a select choose one of them. It finishes the chosen arm before the first line of the arm's body. From then on
//! no arm holds anything, and no arm has a destructor that would keep the channel ends borrowed.
#![forbid(unsafe_code)]

/// Waits until one of several arms is ready, performs its operation, and evaluates its body.
///
/// | arm | when it is ready |
/// |---|---|
/// | `recv(receiver) -> result => body` | there is a value, or none will come; `result` is that of [`Receiver::recv`] |
/// | `send(sender, value) -> result => body` | there is room, or a receiver; `result` is that of [`Sender::send`] |
/// | `cancel(token) => body` | the [`CancelToken`](crate::CancelToken) is cancelled |
/// | `default => body`, or `default() => body` | no other arm is ready now |
/// | `default(duration) => body` | no other arm has become ready for this time |
///
/// An arm that sends is ready, too, if its channel is closed. If several arms are ready at once, one of them is chosen
/// at random. Exactly one arm performs its operation. The channel expressions are evaluated once each, from first to
/// last. The value of a send is evaluated only after its arm was chosen, so the bodies of the other arms can still use
/// it. The same channel may be in several arms, and there can be up to 64 arms. [`never`](crate::chan::never) switches
/// an arm off.
///
/// Parks a goroutine or blocks a plain thread while it waits. Allocates nothing.
///
/// # Panics
/// Panics inside [`no_suspend`](crate::no_suspend) if it would wait.
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
/// A `select!` without an arm would wait for ever, so it does not compile:
///
/// ```compile_fail
/// selvedge::select! {}
/// ```
///
/// [`Receiver::recv`]: crate::chan::Receiver::recv
/// [`Sender::send`]: crate::chan::Sender::send
#[macro_export]
macro_rules! select {
    () => { ::core::compile_error!("select with no arm would wait for ever: add an arm") };
    ($($arms:tt)+) => { $crate::__select!(@next (0) [] [] $($arms)+) };
}

/// The steps of `select!`: `@next` takes one arm, and `@build` makes the expression.
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
        // If evaluating the value unwinds or returns, `chosen` is dropped, which releases the arm.
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
