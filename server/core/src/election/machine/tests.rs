//! One server's answers, rule by rule, with the Java method that each comes from.

mod config;
mod fixture;
mod joining;
mod looking;
