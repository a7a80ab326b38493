//! Charts of the market shown: candles with volume, and the depth of the book.

mod candle_chart;
mod candle_table;
mod candles;
mod depth;
mod panel;

pub use panel::ChartPanel;
