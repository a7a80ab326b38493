//! Checks a genesis and derives what the engine needs from it.
//!
//! All checks happen here, once, so that the engine can rely on them: every index fits its type, every price
//! times quantity is a whole number of quote atoms, and the work for one transaction is bounded. The first
//! problem is reported with its place in the file, what was found there and what would be valid.

use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt::Display;

use serde_json::Value;

use super::genesis::{Genesis, MarketSpec, Token};
use super::genesis_error::{GenesisError, in_range, range};
use super::listing::{InvalidMarket, ListedToken, Listing};
use crate::types::limits::{
    GENESIS_BYTES_MAX, MAKERS_PER_ORDER_MAX, MARKETS_MAX, OPEN_ORDERS_MAX, REPLICAS_MAX,
    SESSION_KEYS_MAX, SUPPLY_MAX, SYMBOL_LENGTH_MAX, TOKEN_DECIMALS_MAX, TOKENS_MAX,
};
use crate::types::{Decimal, NetworkId, PublicKey, TokenIndex};

/// A checked genesis, with everything that is derived from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The genesis as it was read.
    pub genesis: Genesis,
    /// The hash of the genesis. Every signature names it.
    pub network: NetworkId,
    /// The tokens and markets, with the conversion factors between decimals and engine units.
    pub listing: Listing,
}

/// Checks that every object of a genesis is written as an object. Serde's derived readers also take an array
/// with the values in the order of the fields, and then names would not count.
fn check_objects(genesis: &Value) -> Result<(), GenesisError> {
    let is_object = |place: &dyn Display, value: &Value| {
        let error = || GenesisError::Json(alloc::format!("{place} must be a JSON object"));
        if value.is_object() { Ok(()) } else { Err(error()) }
    };
    is_object(&"genesis", genesis)?;
    for list in ["tokens", "markets", "replicas"] {
        let items = genesis.get(list).and_then(Value::as_array);
        for (index, item) in items.into_iter().flatten().enumerate() {
            is_object(&format_args!("{list}[{index}]"), item)?;
        }
    }
    genesis.get("limits").map_or(Ok(()), |limits| is_object(&"limits", limits))
}

impl Genesis {
    /// Reads and checks a genesis file of at most 1 MiB.
    ///
    /// Fails if the file is not JSON of this shape, has an unknown key, or breaks a rule of [`Self::check`].
    pub fn read(json: &[u8]) -> Result<Rules, GenesisError> {
        // Before parsing, which allocates in proportion to the file.
        if json.len() > GENESIS_BYTES_MAX {
            return Err(GenesisError::TooLarge(json.len()));
        }
        let invalid = |error: serde_json::Error| GenesisError::Json(error.to_string());
        let genesis: Self = serde_json::from_slice(json).map_err(invalid)?;
        check_objects(&serde_json::from_slice(json).map_err(invalid)?)?;
        genesis.check()
    }

    /// Checks every rule of a genesis and derives what the engine needs: see *Genesis* in `docs/protocol.md`.
    ///
    /// Fails with the first rule that is broken.
    pub fn check(self) -> Result<Rules, GenesisError> {
        // The version comes first: in another version the other values could have another meaning.
        if self.version != 1 {
            return Err(GenesisError::Version(self.version));
        }
        // Characters and not bytes, as in section 2: the name is for people and may have any script.
        let name_length = self.name.chars().count();
        in_range(name_length, 1, 64, "name", "use 1 to 64 characters")?;
        // The name is part of the path at a gateway and of the text that the network's nodes sign, so it has
        // nothing that either would escape.
        let app_is_plain = self
            .app_name
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'));
        if !app_is_plain || self.app_name.is_empty() || self.app_name.len() > 64 {
            return Err(range("app_name", &self.app_name, "use 1 to 64 of a-z, 0-9, _ and -"));
        }
        in_range(self.tokens.len(), 1, TOKENS_MAX, "tokens", "give 1 to 256 tokens")?;
        in_range(self.markets.len(), 1, MARKETS_MAX, "markets", "give 1 to 256 markets")?;
        let valid = "give 1 to 64 replicas; without their clocks no order could expire";
        in_range(self.replicas.len(), 1, REPLICAS_MAX, "replicas", valid)?;
        self.check_limits()?;
        for (index, token) in self.tokens.iter().enumerate() {
            self.check_token(index, token)?;
        }
        for (index, replica) in self.replicas.iter().enumerate() {
            // A replica without weight could never influence a certified root or the time.
            if replica.weight == 0 {
                return Err(range(
                    &alloc::format!("replicas[{index}].weight"),
                    &0,
                    "use 1 or more",
                ));
            }
            // An attestation counts for the first replica with its key. The weight of a second one would be in
            // the total, and could never vote.
            if self.replicas.iter().take(index).any(|other| other.public_key == replica.public_key)
            {
                return Err(GenesisError::Duplicate {
                    place: alloc::format!("replicas[{index}].public_key"),
                    found: replica.public_key.to_string(),
                });
            }
        }
        let listing = self.list()?;
        Ok(Rules { network: self.network_id(), genesis: self, listing })
    }

    /// Builds the listing. A market is checked while it is derived, because its rules are about the derived
    /// numbers.
    fn list(&self) -> Result<Listing, GenesisError> {
        let listed =
            |token: &Token| ListedToken { symbol: token.symbol.clone(), decimals: token.decimals };
        let mut listing = Listing {
            tokens: self.tokens.iter().map(listed).collect(),
            markets: Vec::with_capacity(self.markets.len()),
            limits: self.limits,
        };
        for (index, spec) in self.markets.iter().enumerate() {
            let market = listing
                .derive_market(index, spec)
                .map_err(|invalid| self.market_error(index, spec, invalid))?;
            // Transactions name a market by its name, so they could never reach the second one.
            if listing.market(&market.name).is_some() {
                return Err(GenesisError::Duplicate {
                    place: alloc::format!("markets[{index}]"),
                    found: market.name,
                });
            }
            listing.markets.push(market);
        }
        Ok(listing)
    }

    fn check_limits(&self) -> Result<(), GenesisError> {
        let limits = &self.limits;
        // Genesis bounds orders by market, but one `cancel_all` cancels those of all markets: so the product
        // counts.
        let open_orders =
            usize::try_from(limits.open_orders_per_account_and_market).unwrap_or(usize::MAX);
        let in_all = open_orders.saturating_mul(self.markets.len());
        if in_all == 0 || !u32::try_from(in_all).is_ok_and(|in_all| in_all <= OPEN_ORDERS_MAX) {
            let valid = "use 1 or more, and at most 5000 divided by the number of markets";
            return Err(range("limits.open_orders_per_account_and_market", &open_orders, valid));
        }
        // With 0, no order could ever trade.
        if !(1..=MAKERS_PER_ORDER_MAX).contains(&limits.makers_per_order) {
            return Err(range(
                "limits.makers_per_order",
                &limits.makers_per_order,
                "use 1 to 1000",
            ));
        }
        if limits.session_keys_per_account > SESSION_KEYS_MAX {
            let found = &limits.session_keys_per_account;
            return Err(range("limits.session_keys_per_account", found, "use 0 to 64"));
        }
        Ok(())
    }

    fn check_token(&self, index: usize, token: &Token) -> Result<(), GenesisError> {
        let place = |field: &str| alloc::format!("tokens[{index}].{field}");
        let is_plain = token.symbol.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9'));
        if !is_plain || token.symbol.is_empty() || token.symbol.len() > SYMBOL_LENGTH_MAX {
            return Err(range(&place("symbol"), &token.symbol, "use 1 to 12 of A-Z and 0-9"));
        }
        if self.tokens.iter().take(index).any(|other| other.symbol == token.symbol) {
            return Err(GenesisError::Duplicate {
                place: place("symbol"),
                found: token.symbol.clone(),
            });
        }
        if token.decimals > TOKEN_DECIMALS_MAX {
            return Err(range(&place("decimals"), &token.decimals, "use 0 to 18"));
        }
        // The state ignores the faucet. A replica signs deposits of this amount, and an invalid one would be
        // rejected each time.
        if let Some(faucet) = token.faucet
            && !faucet
                .in_steps_of(Decimal::one_atom(token.decimals))
                .is_ok_and(|atoms| (1..=SUPPLY_MAX).contains(&atoms))
        {
            let valid = "use more than zero, less than 10^38 atoms, and no more decimals than the token has";
            return Err(range(&place("faucet"), &faucet, valid));
        }
        Ok(())
    }

    /// Describes an invalid market with its place in the file, which the listing does not know.
    fn market_error(
        &self,
        index: usize,
        spec: &MarketSpec,
        invalid: InvalidMarket,
    ) -> GenesisError {
        let place = |field: &str| alloc::format!("markets[{index}].{field}");
        let decimals = |symbol: &str| {
            let token = self.tokens.iter().find(|token| token.symbol == symbol);
            token.map_or(0, |token| token.decimals)
        };
        let step = |field: &str, step: Decimal| {
            let valid = "use more than zero, and at most 18446744073709551615 without the point";
            range(&place(field), &step, valid)
        };
        let fee = |field: &str, bps: u16| range(&place(field), &bps, "use 0 to 1000 basis points");
        let unknown = |field: &str, symbol: &str| GenesisError::UnknownToken {
            place: place(field),
            found: symbol.to_string(),
        };
        match invalid {
            InvalidMarket::UnknownBase => unknown("base", &spec.base),
            InvalidMarket::UnknownQuote => unknown("quote", &spec.quote),
            InvalidMarket::OneToken => {
                range(&place("quote"), &spec.quote, "name another token than the base")
            }
            InvalidMarket::TickSize => step("tick_size", spec.tick_size),
            InvalidMarket::LotSize => step("lot_size", spec.lot_size),
            InvalidMarket::LotNotWhole => GenesisError::LotNotWhole {
                market: index,
                lot: spec.lot_size,
                base: spec.base.clone(),
                decimals: decimals(&spec.base),
            },
            InvalidMarket::TickTimesLot => GenesisError::TickTimesLot {
                market: index,
                tick: spec.tick_size,
                lot: spec.lot_size,
                quote: spec.quote.clone(),
                decimals: decimals(&spec.quote),
            },
            InvalidMarket::NotionalMinNotWhole => {
                let valid = "use no more decimals than the quote token has";
                range(&place("notional_min"), &spec.notional_min, valid)
            }
            InvalidMarket::NoNotionalMin => {
                let valid = "use more than zero, so that dust cannot fill the book";
                range(&place("notional_min"), &spec.notional_min, valid)
            }
            InvalidMarket::MakerFee => fee("maker_fee_bps", spec.maker_fee_bps),
            InvalidMarket::TakerFee => fee("taker_fee_bps", spec.taker_fee_bps),
            // Not reached, since `check` counts the markets first. A listing that a replica reports has no such
            // check.
            InvalidMarket::TooMany => range(&place("base"), &index, "give at most 256 markets"),
        }
    }
}

impl Rules {
    /// The key that signs deposits of a token; `None` if genesis has no such token.
    pub fn issuer(&self, token: TokenIndex) -> Option<PublicKey> {
        self.genesis.tokens.get(usize::from(token.0)).map(|token| token.issuer)
    }

    /// Whether genesis names this key: as an issuer, as the fee account or as a replica.
    pub fn has_role(&self, key: &PublicKey) -> bool {
        let Genesis { tokens, fee_account, replicas, .. } = &self.genesis;
        fee_account == key
            || tokens.iter().any(|token| token.issuer == *key)
            || replicas.iter().any(|replica| replica.public_key == *key)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::types::SecretKey;

    fn valid() -> Value {
        let issuer = SecretKey::from_bytes(&[1; 32]).unwrap().public_key().to_string();
        json!({
            "version": 1, "name": "Test", "app_name": "zellbook", "guide_orders": true,
            "tokens": [
                {"symbol": "ETH", "decimals": 18, "issuer": issuer, "faucet": "10"},
                {"symbol": "USDT", "decimals": 6, "issuer": issuer},
            ],
            "markets": [{"base": "ETH", "quote": "USDT", "tick_size": "0.01",
                "lot_size": "0.0001", "notional_min": "1", "maker_fee_bps": 0, "taker_fee_bps": 5}],
            "fee_account": issuer,
            "limits": {"open_orders_per_account_and_market": 200, "makers_per_order": 100,
                "session_keys_per_account": 8},
            "replicas": [{"public_key": issuer, "weight": 1}],
        })
    }

    fn check(pointer: &str, value: Value, expected: &str) {
        let mut genesis = valid();
        *genesis.pointer_mut(pointer).unwrap() = value;
        let error = Genesis::read(genesis.to_string().as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expected), "{pointer}: {error}");
    }

    #[test]
    fn conversion_factors_of_a_valid_genesis_are_whole_numbers_of_atoms() {
        let rules = Genesis::read(valid().to_string().as_bytes()).unwrap();
        let market = rules.listing.market("ETH/USDT").unwrap();
        assert_eq!(market.atoms_per_lot, 10_u128.pow(14));
        assert_eq!(market.atoms_per_tick_lot, 1);
        assert_eq!(market.notional_min_atoms, crate::types::Atoms(1_000_000));
    }

    #[test]
    fn network_id_depends_on_values_but_not_on_white_space() {
        let compact = Genesis::read(valid().to_string().as_bytes()).unwrap();
        let pretty = serde_json::to_string_pretty(&compact.genesis).unwrap();
        assert_eq!(Genesis::read(pretty.as_bytes()).unwrap().network, compact.network);
        let mut other = compact.genesis.clone();
        other.guide_orders = false;
        assert_ne!(other.network_id(), compact.network);
    }

    #[test]
    fn an_invalid_value_is_reported_with_its_place_in_the_file() {
        check("/version", json!(2), "version 2; this program reads version 1");
        check("/name", json!(""), "name: 0");
        check("/app_name", json!("Zell book"), "app_name");
        check("/tokens", json!([]), "tokens: 0");
        check("/tokens/0/symbol", json!("eth"), "tokens[0].symbol: eth");
        check("/tokens/1/symbol", json!("ETH"), "tokens[1].symbol: ETH is listed a second time");
        check("/tokens/1/decimals", json!(19), "tokens[1].decimals: 19");
        check("/tokens/0/faucet", json!("0"), "tokens[0].faucet");
        check("/tokens/0/issuer", json!("02ff"), "66 lower-case hex digits");
        check("/markets", json!([]), "markets: 0");
        check("/markets/0/base", json!("DOGE"), "there is no token DOGE");
        check("/markets/0/quote", json!("ETH"), "another token than the base");
        check("/markets/0/tick_size", json!("0"), "markets[0].tick_size: 0");
        check("/markets/0/tick_size", json!("0.010"), "needless zeros");
        check("/markets/0/tick_size", json!("0.001"), "one tick (0.001) times one lot (0.0001)");
        check(
            "/markets/0/lot_size",
            json!("0.0000000000000000001"),
            "not a whole number of atoms of ETH",
        );
        check("/markets/0/notional_min", json!("0.0000001"), "markets[0].notional_min");
        check("/markets/0/notional_min", json!("0"), "markets[0].notional_min: 0");
        check("/tokens/0/faucet", json!("9".repeat(38)), "tokens[0].faucet");
        check(
            "/limits/open_orders_per_account_and_market",
            json!(0),
            "limits.open_orders_per_account_and_market: 0",
        );
        check(
            "/limits/open_orders_per_account_and_market",
            json!(5001),
            "5000 divided by the number",
        );
        check("/limits/makers_per_order", json!(0), "limits.makers_per_order: 0");
        check("/limits/makers_per_order", json!(1001), "limits.makers_per_order: 1001");
        check("/limits/session_keys_per_account", json!(65), "session_keys_per_account: 65");
        check("/markets/0/maker_fee_bps", json!(1001), "markets[0].maker_fee_bps: 1001");
        check("/markets/0/taker_fee_bps", json!(1001), "markets[0].taker_fee_bps: 1001");
        check("/markets/0/taker_fee_bps", json!(-1), "expected u16");
        check("/fee_account", json!("02"), "66 lower-case hex digits");
        check("/replicas", json!([]), "replicas: 0");
        check("/replicas/0/weight", json!(0), "replicas[0].weight: 0");
        check("/guide_orders", json!("yes"), "expected a boolean");
    }

    #[test]
    fn unknown_keys_repeated_entries_and_oversized_files_are_refused() {
        let mut genesis = valid();
        genesis["colour"] = json!("red");
        let error = Genesis::read(genesis.to_string().as_bytes()).unwrap_err().to_string();
        assert!(error.contains("unknown field `colour`"), "{error}");
        for list in ["markets", "replicas"] {
            let mut genesis = valid();
            let first = genesis[list][0].clone();
            genesis[list].as_array_mut().unwrap().push(first);
            let error = Genesis::read(genesis.to_string().as_bytes()).unwrap_err().to_string();
            assert!(error.contains(&alloc::format!("{list}[1]")), "{error}");
        }
        assert!(matches!(
            Genesis::read(&[b' '; GENESIS_BYTES_MAX + 1]),
            Err(GenesisError::TooLarge(_))
        ));
    }
}
