"""The Zellular SDK (PyPI) against our nodes: it reads and verifies batches from the embedded sequencer and
from the emulated network, and sends to them.

    pip install -r requirements.txt
    python check.py ../../target/release/zellbook

The SDK is as its authors published it; only the native library under its module `mcl` is replaced, by
mcl.py beside this file. That stand-in is first checked itself, against what the real one signed. Prints one
summary line and exits with 0, or says what is wrong and exits with 1.
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
PATIENCE_S = 60
checks = 0


def check(what, condition):
    global checks
    if not condition:
        sys.exit(f"sdk: not so: {what}")
    checks += 1


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(url, process):
    for _ in range(PATIENCE_S * 20):
        try:
            return urllib.request.urlopen(url, timeout=5)
        except OSError:
            if process.poll() is not None:
                sys.exit(f"sdk: {process.args} ended with {process.returncode}")
            time.sleep(0.05)
    sys.exit(f"sdk: {url} does not answer")


def put(url, body):
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="PUT")
    check("a bulk call is taken", urllib.request.urlopen(request, timeout=PATIENCE_S).status == 200)


def stop(process):
    process.send_signal(signal.SIGTERM)
    process.wait(PATIENCE_S)


def check_stand_in():
    """What the real library signed is valid, and nothing else is."""
    trace = json.loads((VECTORS / "equal4/verify_trace.json").read_text())
    nodes = json.loads((VECTORS / "equal4/nodes.json").read_text())
    case = trace["finalized"][0]
    network = StaticNetwork(nodes, threshold_percent=67)
    verify = network.verify_signature
    check("the stand-in takes a captured signature",
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
    """All batches from the first on until all of these came, in their order; others may be between them."""
    left = list(wanted)
    for batch, _, _ in client.batches():
        if left and batch == left[0]:
            left.pop(0)
        if not left:
            return True


def check_refusal(app, nodes, other_nodes, gateway):
    """With another network's keys, the SDK must refuse what the gateway shows."""
    keys = [{**node, **{name: other[name] for name in ("pubkeyG2_X", "pubkeyG2_Y")}}
            for node, other in zip(nodes.values(), list(other_nodes.values()) * len(nodes))]
    client = Zellular(app, StaticNetwork({node["id"]: node for node in keys}), gateway=gateway)
    try:
        client.get_last_finalized()
    except ValueError:
        check("a signature of other keys is refused", True)
    else:
        sys.exit("sdk: a signature of other keys was taken")


def check_embedded(binary, folder, strangers):
    port = free_port()
    data = folder / "sequencer"
    process = subprocess.Popen([binary, "sequencer", "--data", data, "--app", "orderbook",
                                "--listen", f"127.0.0.1:{port}"], stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(f"{url}/node/ready", process)
        nodes = json.loads((data / "nodes.json").read_text())
        # The SDK avoids the leader, which the only node of a network is: it is named.
        client = Zellular("orderbook", StaticNetwork(nodes), gateway=url)
        check("there is nothing yet", client.get_last_finalized() is None)
        check("what is sent and waited for has its index", client.send("one", blocking=True) == 1)
        bodies = ["[]", "umlauts äöü and \U0001f512", "three\nlines\tand \\ \" quotes"]
        # At once, so that one signature covers all three: the SDK waits for ever where it begins behind a batch
        # with a signature of its own, and nothing more comes.
        put(f"{url}/node/batches", {"orderbook": bodies})
        check("all comes back in order, verified", take(client, 0, 4) == ["one", *bodies])
        check("and from a place in between", take(client, 2, 2) == bodies[1:])
        check("the last is the last", client.get_last_finalized()["index"] == 4)
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
        said = json.loads(line)
        nodes = json.loads(Path(said["node_list"]).read_text())
        network = StaticNetwork(nodes)
        client = Zellular("zellbook", network)
        gateway = client._loop.run_until_complete(client._zellular.get_gateway())
        check("the SDK finds a gateway by itself", gateway in said["nodes"])
        bodies = ['["from the SDK"]', "[]", "[1]"]
        index = client.send(bodies[0], blocking=True)
        check("what is sent and waited for has its index", index >= 1)
        for body in bodies[1:]:
            client.send(body)
        check("all comes back in order, verified", take_all(client, bodies))
        other = Zellular("zellbook", network, gateway=next(url for url in said["nodes"] if url != gateway))
        check("another gateway has the same", take_all(other, bodies))
        check_refusal("zellbook", nodes, strangers, gateway)
        status = json.load(wait_for(f"{said['replicas'][0]}/v1/status", process))
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
