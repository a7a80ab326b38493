"""The integration guide's client: signs five values joined by commas and posts them as a form.

Only the URL is specific to Zellbook. Prints each response as [status, body].
"""

import base64
import json
import sys

import requests
from ecdsa import SECP256k1, SigningKey

URL = sys.argv[1]


def place_order(key, order_type, base_token, quote_token, quantity, price, tamper=False):
    order = {
        "order_type": order_type,
        "base_token": base_token,
        "quote_token": quote_token,
        "quantity": quantity,
        "price": price,
    }
    message = ",".join(order.values())
    order["public_key"] = base64.b64encode(key.verifying_key.to_string()).decode()
    order["signature"] = base64.b64encode(key.sign(message.encode("utf-8"))).decode()
    if tamper:
        order["quantity"] = "9"
    answer = requests.post(f"{URL}/order", data=order, timeout=30)
    print(json.dumps([answer.status_code, answer.json()]))


buyer = SigningKey.from_string(b"\x11" * 32, curve=SECP256k1)
seller = SigningKey.from_string(b"\x22" * 32, curve=SECP256k1)
place_order(seller, "sell", "ETH", "USDT", "1.0", "2000.00")
place_order(buyer, "buy", "ETH", "USDT", "1", "2000")
place_order(buyer, "buy", "ETH", "USDT", "1", "2000", tamper=True)
