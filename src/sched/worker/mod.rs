//! worker

pub(crate) mod entry;
pub(crate) mod find;
pub(crate) mod finish_switch;
pub(crate) mod main_loop;
pub(crate) mod overflow_report;
pub(crate) mod poll;
pub(crate) mod run;
pub(crate) mod simulated;
