//! What operators ask of a running server.

pub(crate) mod four_letter;
