//! What the page and reports are made of: escaping, small parts, charts, numbers as people read them.
//!
//! Enters: values, hostile texts among them. Leaves: HTML by maud, coloured by one style sheet in light and dark.

pub mod advice;
pub mod chart;
pub mod coverage;
mod escape;
pub mod parts;
pub mod text;

/// The style sheet.
pub const CSS: &str = include_str!("page.css");
