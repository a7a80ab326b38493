//! The named streams.

use crate::stream::Stream;

/// The arguments of a stream.
#[derive(Clone, Copy, Debug)]
pub struct Recipe {
    /// The name on the command line and in reports.
    pub name: &'static str,
    /// The number of orders in the book when timing starts.
    pub preload: u64,
    /// The number of timed operations.
    pub operations: u64,
    /// Seed of the random numbers.
    pub seed: u64,
    /// Mean distance of limit prices from the mid, in ticks.
    pub mean_distance: f64,
}

/// Every named stream, by size.
pub const RECIPES: [Recipe; 4] = [
    recipe("mix0", 0),
    recipe("mix10k", 10_000),
    recipe("mix1m", 1_000_000),
    recipe("mix10m", 10_000_000),
];

const fn recipe(name: &'static str, preload: u64) -> Recipe {
    Recipe { name, preload, operations: 1_000_000, seed: 7, mean_distance: 500.0 }
}

impl Recipe {
    /// The stream of this name.
    pub fn named(name: &str) -> Option<Self> {
        RECIPES.into_iter().find(|recipe| recipe.name == name)
    }

    /// Generates the stream.
    pub fn generate(&self) -> Stream {
        Stream::generate(self.preload, self.operations, self.seed, self.mean_distance)
    }
}
