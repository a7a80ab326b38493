//! Parts that several features share: sheets, lists of names and values, parts of the page that are loaded later, and
//! what is shown above everything else.

pub mod flash;
pub mod interface;
pub mod later;
pub mod lines;
pub mod reader;
pub mod sheet;
