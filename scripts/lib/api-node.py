"""A node's agent that has no guests: it reports every half second, with its certificate, and starts what it is told to start.

usage: api-node.py URL NODE PKI
"""

import http.client
import json
import ssl
import sys
import time
import urllib.parse

url, node, pki = sys.argv[1:4]
context = ssl.create_default_context(cafile=f"{pki}/ca.pem")
context.load_cert_chain(f"{pki}/node-{node}.pem", f"{pki}/node-{node}-key.pem")
place = urllib.parse.urlsplit(url)

incarnation = f"api-{time.time()}"
events, tasks, number = [], {}, 0


def tell(event):
    global number
    number += 1
    source = {"agent": {"node": node, "incarnation": incarnation, "number": number}}
    events.append({"sequence": 0, "at": time.time(), "source": source, "event": event})


while True:
    report = {
        "node": node,
        "incarnation": incarnation,
        "capabilities": {
            "uri": "none", "driver": "none", "version": "0", "acceleration": "emulation", "captureWays": ["liveSnapshot"], "mergesLayers": True,
        },
        "processes": {"agent": {"pid": 0, "startTicks": 0}, "guests": [], "directory": "/nowhere"},
        "sentAt": time.time(),
        "tasks": [{"task": task, "epoch": epoch, "state": "running"} for task, epoch in tasks.items()],
        "events": events,
    }
    connection = http.client.HTTPSConnection(place.hostname, place.port, context=context, timeout=5)
    try:
        connection.request("POST", f"/v1/nodes/{node}/report", json.dumps(report), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            print(answer.status, body.decode(), file=sys.stderr, flush=True)
        else:
            orders = json.loads(body)
            events = [e for e in events if e["source"]["agent"]["number"] > orders["acknowledged"]]
            for order in orders["orders"]:
                if "start" in order["action"] and order["task"] not in tasks:
                    tasks[order["task"]] = order["epoch"]
                    tell({"taskStarted": {"task": order["task"], "epoch": order["epoch"], "node": node}})
                elif "stop" in order["action"]:
                    tasks.pop(order["task"], None)
    except OSError as error:
        print(error, file=sys.stderr, flush=True)
    finally:
        connection.close()
    time.sleep(0.5)
