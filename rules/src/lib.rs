//! Detection rules over CloudTrail events: Falco's language and Sigma's.
//!
//! Enters: rule files as text, and events that answer what rules ask ([`event::Event`]). Leaves: a compiled
//! [`RuleSet`] or all problems at once, each with its place; and for an event the rules that it meets. Nothing here
//! does I/O or knows the time; nothing in a file or an event makes it panic.
//!
//! `files →(yaml) nodes →(falco, sigma) definitions →(parser, resolve) conditions →(program) questions →(index) by event
//! source and name`.

pub mod ast;
mod collect;
pub mod diagnostic;
pub mod event;
mod falco;
pub mod field;
pub mod index;
mod matcher;
pub mod network;
pub mod output;
pub mod parser;
mod pattern;
mod phrase;
mod program;
mod resolve;
pub mod rule;
mod ruleset;
mod shadow;
mod sigma;
pub mod stateful;
pub mod values;
pub mod version;
pub mod yaml;

pub use diagnostic::{Diagnostic, SourceFile};
pub use index::Asker;
pub use rule::{Priority, Rule};
pub use ruleset::{Loaded, Matching, RuleSet, hash};
