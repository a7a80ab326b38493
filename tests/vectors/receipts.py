"""Checks docs/vectors/receipts.json by a second implementation of docs/protocol.md, section 22: what a client
does that was given a receipt.

    pip install -r requirements.txt
    python receipts.py ../../docs/vectors/receipts.json

Prints one summary line and exits with 0, or prints each failure on a line and exits with 1.
"""

import hashlib
import json
import re
import sys

from coincurve import PrivateKey, PublicKey
from ecdsa import SECP256k1

N = SECP256k1.order
FORMS = {
    "network": "[0-9a-f]{64}",
    "transaction": "[0-9a-f]{64}",
    "received_ms": "0|[1-9][0-9]{0,19}",
    "replica": "0[23][0-9a-f]{64}",
    "signature": "[0-9a-f]{130}",
}


def text_of(receipt):
    return (
        f"Zellbook receipt 1 {receipt['network']}\n"
        f"transaction: {receipt['transaction']}\n"
        f"received: {receipt['received_ms']}"
    )


def holds(receipt):
    """Whether the replica that it names signed it."""
    if receipt.keys() != FORMS.keys():
        return False
    if not all(re.fullmatch(form, receipt[name]) for name, form in FORMS.items()):
        return False
    signature = bytes.fromhex(receipt["signature"])
    r, s, v = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big"), signature[64]
    if not (1 <= r < N and 1 <= s <= (N - 1) // 2 and v in (0, 1) and int(receipt["received_ms"]) < 2**64):
        return False
    digest = hashlib.sha256(text_of(receipt).encode()).digest()
    try:
        key = PublicKey.from_signature_and_message(signature, digest, hasher=None)
    except Exception:  # coincurve: r is no x of a point
        return False
    return key.format().hex() == receipt["replica"]


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        vectors = json.load(file)
    failures = []

    def check(where, expected, found):
        if expected != found:
            failures.append(f"{where}: expected {expected!r}, found {found!r}")

    check("cases", True, len(vectors["cases"]) >= 5)
    check("invalid", True, len(vectors["invalid"]) >= 9)
    for case in vectors["cases"]:
        receipt, secret = case["receipt"], PrivateKey(bytes.fromhex(case["secret_key"]))
        digest = hashlib.sha256(case["text"].encode()).digest()
        check(f"{case['name']}: text", text_of(receipt), case["text"])
        check(f"{case['name']}: digest", digest.hex(), case["digest"])
        check(f"{case['name']}: replica", secret.public_key.format().hex(), receipt["replica"])
        check(f"{case['name']}: signature", secret.sign_recoverable(digest, hasher=None).hex(), receipt["signature"])
        check(f"{case['name']}: holds", True, holds(receipt))
    for case in vectors["invalid"]:
        check(f"{case['name']} (invalid): holds", False, holds(case["receipt"]))
    if failures:
        print("\n".join(failures))
        sys.exit(1)
    print(f"ok: {len(vectors['cases'])} receipts, {len(vectors['invalid'])} that prove nothing")


if __name__ == "__main__":
    main()
