//! Reads the answers of an EigenLayer subgraph.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::OperatorsError;
use super::network::EigenLayerNetwork;
use crate::bls::BlsPublicKey;
use crate::nodes::{Node, NodeList};

#[derive(Deserialize)]
struct Answer<'a, D> {
    data: Option<D>,
    #[serde(borrow, default)]
    errors: Option<&'a RawValue>,
}

fn read_answer<'a, D: Deserialize<'a>>(json: &'a [u8]) -> Result<D, OperatorsError> {
    let start = |text: &str| text.chars().take(200).collect::<String>();
    let answer: Answer<'a, D> = serde_json::from_slice(json)
        .map_err(|error| OperatorsError::Json(start(&error.to_string())))?;
    // GraphQL can give data and errors at once. A part of the operators would give another aggregated key,
    // with which every signature looks false.
    match (answer.data, answer.errors) {
        (Some(data), None) => Ok(data),
        (_, errors) => Err(OperatorsError::Refused(start(errors.map_or("no data", RawValue::get)))),
    }
}

#[derive(Deserialize)]
struct HeadData {
    _meta: Meta,
}

#[derive(Deserialize)]
struct Meta {
    block: Block,
}

#[derive(Deserialize)]
struct Block {
    number: u64,
}

pub(super) fn read_head(json: &[u8]) -> Result<u64, OperatorsError> {
    read_answer::<HeadData>(json).map(|data| data._meta.block.number)
}

#[derive(Deserialize)]
struct OperatorsData<'a> {
    #[serde(borrow)]
    operators: Vec<RawOperator<'a>>,
}

#[derive(Deserialize)]
struct RawOperator<'a> {
    id: String,
    socket: String,
    #[serde(borrow)]
    stake: &'a RawValue,
    #[serde(borrow, rename = "pubkeyG2_X")]
    x: [&'a RawValue; 2],
    #[serde(borrow, rename = "pubkeyG2_Y")]
    y: [&'a RawValue; 2],
}

/// Atoms of stake that count as one in a node list. The network's nodes compute with floats of whole tokens,
/// where ratios are the same to some fifteen digits. With this unit, stakes of up to 18 billion tokens fit
/// 64 bits.
const STAKE_UNIT: u128 = 1_000_000_000;

/// Returns the digits of a whole number, which is a JSON string or integer. Stakes and coordinates have more
/// digits than a JSON library keeps in numbers.
fn digits(raw: &RawValue) -> Option<&str> {
    let text = raw.get();
    let text = text.strip_prefix('"').map_or(Some(text), |text| text.strip_suffix('"'))?;
    let is_whole = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (is_whole && (text == "0" || !text.starts_with('0'))).then_some(text)
}

/// Reads the operators at a block as a node list, with the stakes that count.
pub(super) fn read_operators<'a>(
    network: &EigenLayerNetwork,
    json: &'a [u8],
) -> Result<NodeList, OperatorsError> {
    let data: OperatorsData<'a> = read_answer(json)?;
    let mut nodes = Vec::new();
    for operator in data.operators {
        let id: String = operator.id.chars().take(64).collect();
        let error = |field, error: &str| OperatorsError::Operator {
            id: id.clone(),
            field,
            error: error.into(),
        };
        let stake = digits(operator.stake).and_then(|digits| digits.parse::<u128>().ok());
        let stake = stake.ok_or_else(|| error("stake", "it is not a whole number below 2^128"))?;
        let counts = network.counted_stake(&operator.id, stake);
        if counts == 0 {
            // It neither signs nor counts, and its key may be invalid.
            continue;
        }
        // At least one unit: any stake makes an operator a signer, and its key must be in the sum.
        let counts = u64::try_from((counts / STAKE_UNIT).max(1))
            .map_err(|_| error("stake", "it is more than can be counted"))?;
        let coordinates = |pair: [&'a RawValue; 2]| {
            let [imaginary, real] = pair.map(digits);
            Some([imaginary?, real?])
        };
        let (x, y) = coordinates(operator.x)
            .zip(coordinates(operator.y))
            .ok_or_else(|| error("pubkeyG2", "its coordinates are not whole numbers"))?;
        let public_key =
            BlsPublicKey::from_decimal(x, y).map_err(|bls| error("pubkeyG2", &bls.to_string()))?;
        nodes.push(Node { id: operator.id, socket: operator.socket, stake: counts, public_key });
    }
    Ok(NodeList::new(nodes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NETWORK: EigenLayerNetwork = EigenLayerNetwork::ZELLULAR;
    const FULL_STAKE: &str = "0x747b80a1c0b0e6031b389e3b7eaf9b5f759f34ed";

    const KEY: &str = r#""pubkeyG2_X":["11633492373796688333891670101778793766174427687395983187851066684257834555524","6399560207126626204118171292628198785299721344014392706766163623225231934411"],"pubkeyG2_Y":["15882337343627909688550304664944540392736952410793012715397012039728701545699","18788775059225111222164060048785458077862696772855519502574717139373425767977"]"#;

    fn operators(operators: &[String]) -> Result<NodeList, OperatorsError> {
        read_operators(
            &NETWORK,
            format!(r#"{{"data":{{"operators":[{}]}}}}"#, operators.join(",")).as_bytes(),
        )
    }

    fn operator(id: &str, stake: &str) -> String {
        format!(r#"{{"id":"{id}","socket":"http://localhost:1","stake":{stake},{KEY}}}"#)
    }

    #[test]
    fn stakes_count_as_the_networks_nodes_count_them() {
        let list = operators(&[
            operator("small", r#""1500000000""#),
            operator("dust", "1"),
            operator("none", r#""0""#),
            operator("large", r#""40000000000000000000""#),
            operator(FULL_STAKE, r#""40000000000000000000""#),
        ])
        .unwrap();
        let stake = |id: &str| list.get(id).map(|node| node.stake);
        assert_eq!(["small", "dust", "none"].map(stake), [Some(1), Some(1), None]);
        assert_eq!(stake("large"), Some(1_000_000_000));
        assert_eq!(stake(FULL_STAKE), Some(40_000_000_000));
    }

    #[test]
    fn keys_are_read_to_the_last_digit() {
        let list = operators(&[operator("a", "1")]).unwrap();
        let ([x, _], _) = list.get("a").unwrap().public_key.to_decimal();
        assert!(x.ends_with("6684257834555524"), "{x}");
    }

    #[test]
    fn hostile_answers_end_in_an_error_that_says_what_is_wrong() {
        let good = operator("a", "1");
        let long = "9".repeat(5000);
        let many: Vec<String> = (0..1025).map(|n| operator(&format!("n{n}"), "1")).collect();
        let cases: Vec<(Vec<String>, &str)> = vec![
            (vec![operator("a", "1.5")], "stake"),
            (vec![operator("a", "1e18")], "stake"),
            (vec![operator("a", "-1")], "stake"),
            (vec![operator("a", "\"\"")], "stake"),
            (vec![operator("a", "\"01\"")], "stake"),
            (vec![operator("a", "null")], "stake"),
            (vec![operator("a", &long)], "stake"),
            (vec![operator(FULL_STAKE, "340282366920938463463374607431768211455")], "counted"),
            (vec![operator("a", "0")], "at least one"),
            (vec![], "at least one"),
            (vec![good.clone(), good.clone()], "twice"),
            (vec![good.replace("524\"", "525\"")], "pubkeyG2"),
            (vec![good.replace("\"11633492373796688333891670101778793766174427687395983187851066684257834555524\"", "1.1633492373796688e75")], "pubkeyG2"),
            (vec![good.replace("pubkeyG2_Y", "pubkeyG2_Z")], "missing field"),
            (vec![good.replace("\"id\":\"a\"", "\"id\":\"a\",\"id\":\"b\"")], "duplicate field"),
            (many, "1024"),
        ];
        for (list, expected) in cases {
            let error = operators(&list).unwrap_err().to_string();
            assert!(error.contains(expected), "{expected}: {error}");
            assert!(error.len() < 600, "{error}");
        }
        for (answer, expected) in [
            ("", "not valid JSON"),
            ("<html>", "not valid JSON"),
            (r#"{"data":null}"#, "no data"),
            (r#"{"errors":[{"message":"block is not there"}]}"#, "block is not there"),
            (r#"{"data":{"operators":[]},"errors":[{"message":"half"}]}"#, "half"),
        ] {
            let error = read_operators(&NETWORK, answer.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{expected}: {error}");
        }
        assert!(read_head(br#"{"data":{"_meta":{"block":{"number":17}}}}"#).is_ok_and(|n| n == 17));
        for number in ["-1", "1.0", "\"17\"", "null", "18446744073709551616"] {
            let answer = format!(r#"{{"data":{{"_meta":{{"block":{{"number":{number}}}}}}}}}"#);
            assert!(read_head(answer.as_bytes()).is_err(), "{number}");
        }
    }
}
