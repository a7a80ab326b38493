//! Where the operators of a Zellular network are registered, and how their stakes count.

use std::borrow::Cow;

/// A network whose operators are registered on a chain by EigenLayer, as a subgraph lists them.
///
/// The rules for stakes must be those of the network's nodes: other stakes give another set of signers, and
/// so another aggregated key, with which every signature looks false.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EigenLayerNetwork {
    /// The URL of the subgraph.
    pub subgraph_url: Cow<'static, str>,
    /// The ids, lower-case Ethereum addresses, of the operators whose stake counts in full.
    pub full_stake_operators: Cow<'static, [Cow<'static, str>]>,
    /// The most that the stake of any other operator counts, in atoms (10⁻¹⁸ of the staked token).
    pub stake_max: u128,
    /// The time of one block in seconds, if no slot stays empty: the chain never grows faster.
    pub block_s: u64,
}

impl EigenLayerNetwork {
    /// The network that Zellular's documentation names.
    ///
    /// Source: the Python package [`zellular` 0.2.10](https://pypi.org/project/zellular/0.2.10/). Its
    /// description has the subgraph's URL. Its file `zellular/networks/eigenlayer.py` has the operators with
    /// full stake (`EigenlayerNetwork.DEFAULT_NODES`) and caps the stake of all others at one token.
    pub const ZELLULAR: Self = Self {
        subgraph_url: Cow::Borrowed(
            "https://api.studio.thegraph.com/query/95922/avs-subgraph/v0.0.3",
        ),
        full_stake_operators: Cow::Borrowed(&[
            Cow::Borrowed("0x747b80a1c0b0e6031b389e3b7eaf9b5f759f34ed"),
            Cow::Borrowed("0x3eaa1c283dbf13357257e652649784a4cc08078c"),
            Cow::Borrowed("0x906585f83fa7d29b96642aa8f7b4267ab42b7b6c"),
            Cow::Borrowed("0x93d89ade53b8fcca53736be1a0d11d342d71118b"),
        ]),
        stake_max: 1_000_000_000_000_000_000,
        // Ethereum's slots.
        block_s: 12,
    };

    /// Returns the same network with another subgraph, for example one that the reader runs.
    #[must_use]
    pub fn with_subgraph(self, url: String) -> Self {
        Self { subgraph_url: Cow::Owned(url), ..self }
    }

    /// Returns how much of an operator's stake counts, in atoms.
    pub(super) fn counted_stake(&self, id: &str, stake: u128) -> u128 {
        let counts_in_full = self.full_stake_operators.iter().any(|operator| operator == id);
        if counts_in_full { stake } else { stake.min(self.stake_max) }
    }
}
