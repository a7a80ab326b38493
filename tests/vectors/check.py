"""Checks docs/vectors/transactions.json by a second implementation of docs/protocol.md, sections 1 to 4.

Nothing here comes from the Rust code. Signatures are checked with three libraries that are strangers to it:
python-ecdsa, coincurve (libsecp256k1) and eth-account.

    pip install -r requirements.txt
    python check.py ../../docs/vectors/transactions.json

Prints one summary line and exits with 0, or prints each failure on a line and exits with 1.
"""

import hashlib
import json
import re
import sys

from coincurve import PrivateKey, PublicKey
from ecdsa import SECP256k1, SigningKey, VerifyingKey
from ecdsa.util import sigdecode_string, sigencode_string_canonize
from eth_account import Account
from eth_account.messages import _hash_eip191_message, encode_defunct

P = SECP256k1.curve.p()
N = SECP256k1.order
SCHEMES = ["raw", "eip191"]

# The fields of a kind in their order. [x] is optional; of x|y|z there is exactly one.
ORDER = ["market", "side", "quantity", "price", "time_in_force", "[expires]", "self_trade", "[client_id]"]
KINDS = {
    "order": ORDER,
    "replace": ["replaces_order|replaces_transaction|replaces_client_id", *ORDER],
    "cancel": ["order|transaction|client_id"],
    "cancel_all": ["[market]"],
    "cancel_all_after": ["time"],
    "transfer": ["token", "to", "amount"],
    "withdraw": ["token", "amount", "destination"],
    "deposit": ["token", "to", "amount", "reference"],
    "authorize_key": ["key", "expires", "[market]", "[spend_token]", "[spend_limit]"],
    "revoke_key": ["key"],
    "attest": ["batch", "root", "clock"],
}
KINDS = {
    kind: ["kind", "account", "[signer]", *own, "nonce", "[valid_until]"] for kind, own in KINDS.items()
}

# The keys of genesis in their order, level by level.
GENESIS = {
    "genesis": [
        *["version", "name", "app_name", "guide_orders", "tokens"],
        *["markets", "fee_account", "limits", "replicas"],
    ],
    "tokens": ["symbol", "decimals", "issuer", "[faucet]"],
    "markets": ["base", "quote", "tick_size", "lot_size", "notional_min", "maker_fee_bps", "taker_fee_bps"],
    "limits": ["open_orders_per_account_and_market", "makers_per_order", "session_keys_per_account"],
    "replicas": ["public_key", "weight"],
}


class Refused(Exception):
    """A transaction that is malformed (code 1) or has a signature that is not valid (code 2)."""

    def __init__(self, code, reason):
        super().__init__(f"code {code}: {reason}")
        self.code = code


def require(holds, reason):
    if not holds:
        raise Refused(1, reason)


# --- Values ---


def matches(pattern):
    return lambda text: re.fullmatch(pattern, text) is not None


def is_u64(text):
    return matches("0|[1-9][0-9]{0,19}")(text) and int(text) < 2**64


def is_decimal(text):
    digits = len(text.replace(".", ""))
    return digits <= 38 and matches(r"(0|[1-9][0-9]*)(\.[0-9]*[1-9])?")(text)


def is_public_key(text):
    if not matches("0[23][0-9a-f]{64}")(text):
        return False
    x = int(text[2:], 16)
    return x < P and pow(x**3 + 7, (P - 1) // 2, P) == 1  # x^3 + 7 is a square


is_symbol = matches("[A-Z0-9]{1,12}")
is_hash = matches("[0-9a-f]{64}")
is_client_id = matches("[A-Za-z0-9._:-]{1,36}")

FORMS = {
    "kind": lambda text: text in KINDS,
    "account": is_public_key,
    "signer": is_public_key,
    "market": matches("[A-Z0-9]{1,12}/[A-Z0-9]{1,12}"),
    "side": matches("buy|sell"),
    "quantity": is_decimal,
    "price": is_decimal,
    "time_in_force": matches("gtc|gtd|ioc|fok|post_only"),
    "expires": is_u64,
    "self_trade": matches("cancel_newest|cancel_oldest|cancel_both"),
    "client_id": is_client_id,
    "replaces_order": is_u64,
    "replaces_transaction": is_hash,
    "replaces_client_id": is_client_id,
    "order": is_u64,
    "transaction": is_hash,
    "time": is_u64,
    "token": is_symbol,
    "to": is_public_key,
    "amount": is_decimal,
    "destination": matches("[A-Za-z0-9._:/@+-]{1,128}"),
    "reference": matches("[A-Za-z0-9._:-]{1,64}"),
    "key": is_public_key,
    "spend_token": is_symbol,
    "spend_limit": is_decimal,
    "batch": is_u64,
    "root": is_hash,
    "clock": is_u64,
    "nonce": is_u64,
    "valid_until": is_u64,
    "scheme": matches("raw|eip191"),
    "signature": matches("[0-9a-f]{130}"),
}


# --- Reading ---


def unique_keys(pairs):
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key stands there twice")
    return dict(pairs)


def no_fraction(text):
    raise ValueError(f"a number that is not written as an integer: {text}")


def arrange(layout, present):
    """The names in `present`, in the order of the layout, if the layout allows just these."""
    names = []
    for entry in layout:
        choices = entry.strip("[]").split("|")
        found = [name for name in choices if name in present]
        optional = entry.startswith("[")
        require(len(found) == 1 or (optional and not found), f"there must be one of {entry}, found {found}")
        names += found
    require(set(present) == set(names), f"unknown keys {set(present) - set(names)}")
    return names


def network_id(genesis):
    def ordered(level, value):
        if isinstance(value, list):
            return [ordered(level, item) for item in value]
        if level not in GENESIS:
            return value
        present = {key: item for key, item in value.items() if (key, item) != ("faucet", None)}
        return {key: ordered(key, present[key]) for key in arrange(GENESIS[level], present)}

    # json.dumps escapes just as protocol.md asks for, once it may leave non-ASCII characters alone.
    compact = json.dumps(ordered("genesis", genesis), ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(compact.encode()).hexdigest()


def check_fields(fields):
    """Checks names, forms and what binds fields to each other. Gives the names in their order."""
    require(fields.get("kind") in KINDS, "no such kind")
    names = arrange(KINDS[fields["kind"]], fields)
    for name, value in fields.items():
        require(FORMS[name](value), f"form of {name}")
    if "time_in_force" in fields:
        require(("expires" in fields) == (fields["time_in_force"] == "gtd"), "expires goes with gtd")
    require(("spend_token" in fields) == ("spend_limit" in fields), "spend_token goes with spend_limit")
    require(fields.get("signer") != fields["account"], "signer is the account")
    require(fields.get("key") != fields["account"], "key is the account")
    return names


def text_of(network, fields):
    return "\n".join([f"Zellbook 1 {network}", *(f"{name}: {value}" for name, value in fields)])


def digest_of(scheme, text):
    if scheme == "raw":
        return hashlib.sha256(text.encode()).digest()
    return bytes(_hash_eip191_message(encode_defunct(text=text)))


def signature_parts(signature):
    return int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big"), signature[64]


def read_transaction(text, network):
    """Reads a transaction strictly, or raises Refused. Gives all keys and values in the order of the JSON."""
    text = text.strip(" \t\n\r")
    try:
        require(len(text.encode()) <= 4096, "more than 4096 bytes")
        members = json.loads(text, object_pairs_hook=unique_keys)
        require(isinstance(members, dict), "no object")
        require(len(members) <= 16, "more than 16 keys")
        require(all(isinstance(value, str) for value in members.values()), "a value is no string")
        "".join([*members, *members.values()]).encode()  # fails on a lone surrogate
    except (ValueError, RecursionError) as error:
        raise Refused(1, error) from error
    fields = dict(members)
    for name in ["scheme", "signature"]:
        require(name in fields and FORMS[name](fields.pop(name)), f"form of {name}")
    names = check_fields(fields)

    text = text_of(network, [(name, fields[name]) for name in names])
    signature = bytes.fromhex(members["signature"])
    r, s, v = signature_parts(signature)
    if not (1 <= r < N and 1 <= s <= (N - 1) // 2 and v in (0, 1)):
        raise Refused(2, "r, s or v out of range")
    try:
        key = PublicKey.from_signature_and_message(signature, digest_of(members["scheme"], text), hasher=None)
    except Exception as error:  # coincurve: r is no x of a point, or the key would be the point at infinity
        raise Refused(2, error) from error
    if key.format().hex() != fields.get("signer", fields["account"]):
        raise Refused(2, "of another key")
    return members


# --- Checks ---

failures = []
checks = 0


def check(where, what, expected, found):
    """Both may be functions. An error in one of them is a failure too, and not the end."""
    global checks
    checks += 1
    try:
        expected = expected() if callable(expected) else expected
        found = found() if callable(found) else found
    except Exception as error:
        expected, found = "no error", repr(error)
    if expected != found:
        failures.append(f"{where}: {what}: expected {expected!r}, found {found!r}")
    return expected == found


def public_key_of(secret):
    if not is_hash(secret):
        raise ValueError("a secret key is not of 64 digits")
    return PrivateKey(bytes.fromhex(secret)).public_key.format().hex()


def check_signed(case, scheme, network, text, fields):
    where = f"{case['name']} ({scheme})"
    signed = case[scheme]
    check(where, "keys", ["digest", "json", "signature"], sorted(signed))

    digest = digest_of(scheme, text)
    check(where, "digest", digest.hex(), signed["digest"])

    members = [*fields, ("scheme", scheme), ("signature", signed["signature"])]
    check(where, "json", members, lambda: list(read_transaction(signed["json"], network).items()))

    if not check(where, "signature form", True, lambda: FORMS["signature"](signed["signature"])):
        return
    signature = bytes.fromhex(signed["signature"])
    r, s, v = signature_parts(signature)
    check(where, "r in range", True, 1 <= r < N)
    check(where, "s in range", True, 1 <= s < N)
    check(where, "s low", True, s <= (N - 1) // 2)
    check(where, "v 0 or 1", True, v in (0, 1))

    secret = bytes.fromhex(case["secret_key"])
    signer = dict(fields).get("signer", dict(fields)["account"])
    deterministic = SigningKey.from_string(secret, SECP256k1).sign_digest_deterministic(
        digest, hashfunc=hashlib.sha256, sigencode=sigencode_string_canonize
    )
    check(where, "RFC 6979, ecdsa", deterministic.hex(), signature[:64].hex())
    check(
        where,
        "sign_recoverable, coincurve",
        PrivateKey(secret).sign_recoverable(digest, hasher=None).hex(),
        signature.hex(),
    )
    check(
        where,
        "recovered key, coincurve",
        signer,
        lambda: PublicKey.from_signature_and_message(signature, digest, hasher=None).format().hex(),
    )
    check(
        where,
        "verify, ecdsa",
        True,
        lambda: VerifyingKey.from_string(bytes.fromhex(signer), SECP256k1).verify_digest(
            signature[:64], digest, sigdecode=sigdecode_string
        ),
    )
    if scheme == "eip191":
        wallet_signature = signature[:64] + bytes([v + 27])
        check(
            where,
            "recover_message, eth-account",
            Account.from_key(secret).address,
            lambda: Account.recover_message(encode_defunct(text=text), signature=wallet_signature),
        )


def check_case(case, network):
    where = case["name"]
    check(where, "keys", sorted(["name", "secret_key", "fields", "text", "hash", *SCHEMES]), sorted(case))
    fields = [(name, value) for name, value in case["fields"]]
    values = dict(fields)
    check(where, "fields", lambda: check_fields(values), [name for name, _ in fields])
    signer = values.get("signer", values["account"])
    check(where, "secret key", lambda: public_key_of(case["secret_key"]), signer)
    text = text_of(network, fields)
    check(where, "text", text, case["text"])
    check(where, "hash", hashlib.sha256(text.encode()).hexdigest(), case["hash"])
    for scheme in SCHEMES:
        check_signed(case, scheme, network, text, fields)


def code_of(text, network):
    try:
        read_transaction(text, network)
    except Refused as refused:
        return refused.code
    return "no reason to refuse it"


def check_coverage(vectors):
    """So that a file that lost cases does not pass."""
    transactions = [dict(case["fields"]) for case in vectors["cases"]]
    for kind, layout in KINDS.items():
        seen = [values for values in transactions if values.get("kind") == kind]
        check("cases", f"a {kind}", True, seen != [])
        choices = [entry.strip("[]").split("|") for entry in layout if "[" in entry or "|" in entry]
        for name in sum(choices, []):
            check("cases", f"a {kind} with {name}", True, any(name in values for values in seen))
            check("cases", f"a {kind} without {name}", True, any(name not in values for values in seen))
    for scheme in SCHEMES:
        check("cases", f"scheme {scheme}", True, any(scheme in case for case in vectors["cases"]))
    check("invalid", "codes", [1, 2], sorted({case["code"] for case in vectors["invalid"]}))


def check_file(vectors):
    check("file", "keys", ["accounts", "cases", "genesis", "invalid", "network"], sorted(vectors))
    network = network_id(vectors["genesis"])
    check("genesis", "network id", network, vectors["network"])
    for number, account in enumerate(vectors["accounts"]):
        where = f"account {number}"
        check(where, "keys", ["public_key", "secret_key"], sorted(account))
        check(where, "public key", lambda: public_key_of(account["secret_key"]), account["public_key"])
    names = [case["name"] for case in [*vectors["cases"], *vectors["invalid"]]]
    check("file", "every name once", len(names), len(set(names)))
    for case in vectors["cases"]:
        check(case["name"], "can be checked", None, lambda: check_case(case, network))
    for case in vectors["invalid"]:
        where = f"{case['name']} (invalid)"
        check(where, "keys", ["code", "json", "name"], sorted(case))
        check(where, "code", lambda: code_of(case["json"], network), case["code"])
    check_coverage(vectors)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        text = file.read()
    vectors = {}

    def read_and_check():
        vectors.update(json.loads(text, object_pairs_hook=unique_keys, parse_float=no_fraction))
        check_file(vectors)

    check("file", "can be checked", None, read_and_check)
    if failures:
        print("\n".join(failures))
        sys.exit(1)
    print(f"ok: {len(vectors['cases'])} cases, {len(vectors['invalid'])} invalid, {checks} checks")


if __name__ == "__main__":
    main()
