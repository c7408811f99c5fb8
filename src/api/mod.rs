//! api

pub(crate) mod builder;
pub(crate) mod error;
pub(crate) mod go;
pub(crate) mod handle;
pub(crate) mod join;
pub(crate) mod join_future;
pub(crate) mod runtime;
pub(crate) mod scope;
pub(crate) mod unwind;
