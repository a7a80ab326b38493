"""Tests the Zellular SDK from PyPI against the embedded sequencer and the emulated network: the SDK posts
batches to them, and reads and verifies their batches.

    pip install -r requirements.txt
    python check.py ../../target/release/zellbook

The SDK is used as its authors published it, except for its module `mcl`, which needs a native library: mcl.py
in this folder replaces it. That stand-in is itself checked first, against captured signatures of the real
library. Prints one summary line and exits with 0, or prints the failed check and exits with 1.
"""

import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from zellular import StaticNetwork, Zellular

VECTORS = Path(__file__).parents[2] / "zellular/tests/vectors"
TIMEOUT_S = 60
checks = 0


def check(what, condition):
    global checks
    if not condition:
        sys.exit(f"sdk: failed: {what}")
    checks += 1


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(url, process):
    for _ in range(TIMEOUT_S * 20):
        try:
            return urllib.request.urlopen(url, timeout=5)
        except OSError:
            if process.poll() is not None:
                sys.exit(f"sdk: {process.args} exited with {process.returncode}")
            time.sleep(0.05)
    sys.exit(f"sdk: {url} does not respond")


def put(url, body):
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="PUT")
    check("a bulk call is accepted", urllib.request.urlopen(request, timeout=TIMEOUT_S).status == 200)


def stop(process):
    process.send_signal(signal.SIGTERM)
    process.wait(TIMEOUT_S)


def check_stand_in():
    """Signatures of the real library are valid, and other messages or signers are not."""
    trace = json.loads((VECTORS / "equal4/verify_trace.json").read_text())
    nodes = json.loads((VECTORS / "equal4/nodes.json").read_text())
    case = trace["finalized"][0]
    network = StaticNetwork(nodes, threshold_percent=67)
    verify = network.verify_signature
    check("the stand-in accepts a captured signature",
          verify(case["message"], case["signature"], case["nonsigners"]))
    check("the stand-in refuses another message",
          not verify(case["message"].replace('"index": ', '"index": 1'), case["signature"], case["nonsigners"]))
    check("the stand-in refuses another set of signers", not verify(case["message"], case["signature"], []))


def take(client, after, count):
    """The next batches after an index, verified by the SDK."""
    taken = []
    for batch, timestamp, index in client.batches(after=after):
        check("a batch has a time and its index", timestamp > 0 and index == after + len(taken) + 1)
        taken.append(batch)
        if len(taken) == count:
            return taken


def take_all(client, wanted):
    """Reads batches from the first one until all of `wanted` came in their order, possibly with others between."""
    left = list(wanted)
    for batch, _, _ in client.batches():
        if left and batch == left[0]:
            left.pop(0)
        if not left:
            return True


def check_refusal(app, nodes, other_nodes, gateway):
    """With another network's keys, the SDK must refuse the gateway's signatures."""
    keys = [{**node, **{name: other[name] for name in ("pubkeyG2_X", "pubkeyG2_Y")}}
            for node, other in zip(nodes.values(), list(other_nodes.values()) * len(nodes))]
    client = Zellular(app, StaticNetwork({node["id"]: node for node in keys}), gateway=gateway)
    try:
        client.get_last_finalized()
    except ValueError:
        check("a signature of other keys is refused", True)
    else:
        sys.exit("sdk: failed: a signature of other keys was accepted")


def check_embedded(binary, folder, strangers):
    port = free_port()
    data = folder / "sequencer"
    process = subprocess.Popen([binary, "sequencer", "--data", data, "--app", "orderbook",
                                "--listen", f"127.0.0.1:{port}"], stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(f"{url}/node/ready", process)
        nodes = json.loads((data / "nodes.json").read_text())
        # The SDK avoids the leader, and the only node is the leader, so the gateway is set.
        client = Zellular("orderbook", StaticNetwork(nodes), gateway=url)
        check("there is no batch at first", client.get_last_finalized() is None)
        check("a blocking post returns the index", client.send("one", blocking=True) == 1)
        bodies = ["[]", "umlauts äöü and \U0001f512", "three\nlines\tand \\ \" quotes"]
        # All at once, so that one signature covers the three batches: the SDK waits for ever if it starts after a
        # batch that has its own signature and no batch follows.
        put(f"{url}/node/batches", {"orderbook": bodies})
        check("all batches are read in order and verified", take(client, 0, 4) == ["one", *bodies])
        check("reading can start at any index", take(client, 2, 2) == bodies[1:])
        check("the last finalized batch is known", client.get_last_finalized()["index"] == 4)
        check_refusal("orderbook", nodes, strangers, url)
    finally:
        stop(process)


def check_devnet(binary, folder, strangers):
    process = subprocess.Popen([binary, "devnet", "--json", "--replicas", "1", "--nodes", "4", "--port", "0",
                                "--node-port", "0", "--stakes", "10,20,30,40", "--data", folder / "devnet"],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        line = process.stdout.readline()
        if not line:
            sys.exit("sdk: the devnet did not start")
        printed = json.loads(line)
        nodes = json.loads(Path(printed["node_list"]).read_text())
        network = StaticNetwork(nodes)
        client = Zellular("zellbook", network)
        gateway = client._loop.run_until_complete(client._zellular.get_gateway())
        check("the SDK finds a gateway", gateway in printed["nodes"])
        bodies = ['["from the SDK"]', "[]", "[1]"]
        index = client.send(bodies[0], blocking=True)
        check("a blocking post returns the index", index >= 1)
        for body in bodies[1:]:
            client.send(body)
        check("all batches are read in order and verified", take_all(client, bodies))
        other = Zellular("zellbook", network, gateway=next(url for url in printed["nodes"] if url != gateway))
        check("another gateway has the same batches", take_all(other, bodies))
        check_refusal("zellbook", nodes, strangers, gateway)
        status = json.load(wait_for(f"{printed['replicas'][0]}/v1/status", process))
        check("the replica has applied them", int(status["batch"]) >= index)
    finally:
        stop(process)


def main():
    binary = Path(sys.argv[1]).resolve()
    strangers = json.loads((VECTORS / "equal4/nodes.json").read_text())
    check_stand_in()
    with tempfile.TemporaryDirectory() as folder:
        check_embedded(binary, Path(folder), strangers)
        check_devnet(binary, Path(folder), strangers)
    print(f"sdk: {checks} checks passed with zellular 0.2.10")


main()
