#!/usr/bin/env python3
"""Puts what the steps of `scripts/lab xen test` left in a directory together, as Markdown and as JSON.

usage: report.py RESULTS OUTPUT          writes OUTPUT.md and OUTPUT.json; exit code 1 unless all that is to be shown was shown
       report.py --check-use-case RESULTS   exit code 1 unless the use case held
"""
import datetime
import json
import os
import re
import statistics
import sys

STEPS = ("conformance", "pauses", "unions", "use-case")
LIVE_SHARE = 0.2  # of save and restore, on guests with a virtualised processor
WAYS = {
    "liveSuspend": "live: libxl live suspend and resume in place",
    "suspendResume": "libxl suspend and resume in place",
    "saveRestore": "libvirt save and restore",
}
GUESTS = {"pv": "PV", "pvh": "PVH"}


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def lines_of_json(path):
    return [json.loads(line) for line in read(path).splitlines() if line.strip()]


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def suite(results, guest):
    log = read(f"{results}/conformance-{guest}.log")
    ended = re.findall(r"Test run with (\d+) tests? in \d+ suites? (passed|failed) after ([\d.]+) seconds", log)
    if not ended:
        return None
    tests = re.findall(r"[✔✘] Test \"(.+?)\" (?:with (\d+) test cases? )?(passed|failed) after ([\d.]+) seconds", log)
    stood = re.findall(r"^(\w+) by (\w+): stood still for ([\d.]+) s of ([\d.]+) s", log, re.M)
    return {
        "guest": guest,
        "outcome": ended[-1][1],
        "testCount": int(ended[-1][0]),
        "caseCount": sum(int(cases or 1) for _, cases, _, _ in tests),
        "seconds": float(ended[-1][2]),
        "tests": [
            {"name": name, "caseCount": int(cases or 1), "outcome": outcome, "seconds": float(seconds)}
            for name, cases, outcome, seconds in tests
        ],
        "captures": [{"guest": g, "way": w, "stopSeconds": float(s), "elapsedSeconds": float(e)} for g, w, s, e in stood],
    }


def pauses(results):
    table = {}
    for one in lines_of_json(f"{results}/pauses.jsonl"):
        table.setdefault((one["guest"], one["way"]), []).append(one)
    found = []
    for (guest, way), rounds in table.items():
        found.append(
            {
                "guest": guest,
                "way": way,
                "memoryBytes": rounds[0]["memoryBytes"],
                "seenSeconds": [r["seenSeconds"] for r in rounds],
                "medianSeenSeconds": statistics.median(r["seenSeconds"] for r in rounds),
                "medianToldSeconds": statistics.median(r["toldSeconds"] for r in rounds),
                "medianElapsedSeconds": statistics.median(r["elapsedSeconds"] for r in rounds),
                "medianImageBytes": statistics.median(r["imageBytes"] for r in rounds),
                "tickSeconds": statistics.median(r["tickSeconds"] for r in rounds),
            }
        )
    medians = {(p["guest"], p["way"]): p["medianSeenSeconds"] for p in found}
    live, saved = medians.get(("pvh", "liveSuspend")), medians.get(("pvh", "saveRestore"))
    share = live / saved if live and saved else None
    return found, share


def use_case(results):
    if not os.path.exists(f"{results}/task.json"):
        return None
    task = json.loads(read(f"{results}/task.json"))["tasks"][0]
    expected = read(f"{results}/expected").strip()
    killed = float(read(f"{results}/killed-at"))
    console = read(f"{results}/console-b.log")
    failures = [f for f in task["failures"] if f["cause"] == "nodeLost"]
    lives = task["lives"]
    committed = [c for c in task["checkpoints"] if c["status"] in ("committed", "pruned")]
    found = {
        "result": task["happened"].get("result"),
        "expected": expected,
        "nodes": [life["node"] for life in lives],
        "checksAfterResumption": len(re.findall(r"^CAIRN CHECK ok", console, re.M)),
        "beganAnew": "CAIRN PROGRESS 0/" in console,
        "corrupt": "CORRUPT" in console,
        "checkpointsBefore": sum(moment(c["committedAt"]) < killed for c in committed if "committedAt" in c),
        "checkpoints": [
            {k: c.get(k) for k in ("checkpoint", "node", "way", "stopSeconds", "latencySeconds", "memoryBytes", "sentBytes", "replication") if k in c}
            for c in committed
        ],
    }
    if failures:
        failure = failures[0]
        found["resumedFrom"] = failure.get("checkpoint")
        found["lostWorkSeconds"] = failure.get("lostWorkSeconds")
        for key, name in (("detectedAt", "detectedSeconds"), ("resumedAt", "resumedSeconds")):
            if key in failure:
                found[name] = moment(failure[key]) - killed
        for life in lives:
            if life["node"] == failure.get("resumedOn"):
                found.update({k: life[k] for k in ("fetchSeconds", "restoreSeconds", "fetchedBytes") if k in life})
        if "endedAt" in task["happened"]:
            found["finishedSeconds"] = moment(task["happened"]["endedAt"]) - killed
    found["problems"] = [
        problem
        for holds, problem in (
            (found["result"] == expected, f"the result is {found['result']}, an undisturbed run's is {expected}"),
            (found["nodes"] == ["a", "b"], f"it lived on {found['nodes']} instead of on a and then on b"),
            (len(failures) == 1, f"{len(failures)} nodes were lost instead of one"),
            (found["checkpointsBefore"] >= 2, "there were no two checkpoints before the loss"),
            (bool(found.get("resumedFrom")), "it did not go on from a checkpoint"),
            (not found["beganAnew"], "it began anew"),
            (found["checksAfterResumption"] > 0 and not found["corrupt"], "the guest did not find itself whole after it was resumed"),
        )
        if not holds
    ]
    return found


def table(head, rows):
    return "\n".join(["| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head)] + rows])


def mebibytes(count):
    return f"{count / 2**20:.0f} MiB"


def render(report):
    lab = report["lab"]
    missing = [step for step in STEPS if step not in [s["step"] for s in report["steps"]]]
    total = lab["seconds"]
    source = "from nothing" if lab["fromNothing"] else "with a root file system or builds that were there"
    out = [
        "# The Xen lab",
        "",
        f"Made by `scripts/lab xen test` on {lab['at'][:10]}; it took {total // 60} min {total % 60} s, {source}. "
        + (f"Not run: {', '.join(missing)}. " if missing else "")
        + f"[What it shows and how](../xen-lab.md); the same as [JSON](xen-lab.json).",
        "",
        f"Two hosts with Xen {lab['xen']}, each with a dom0 of Debian 12 ({lab['dom0Kernel']}, libvirt {lab['libvirt']}), of "
        f"{mebibytes(lab['hostMemoryBytes'])} with {mebibytes(lab['dom0MemoryBytes'])} for dom0, emulated by QEMU {lab['qemu']} (no KVM) on "
        f"{lab['cores']} cores of a {lab['processor']}. The guests' kernel is {lab['guestKernel']}. Times are those of an emulation: how they compare "
        "to each other means something, how long they are does not.",
        "",
        table(["step", "outcome", "time"], [[s["step"], s["outcome"], f"{s['seconds']} s"] for s in report["steps"]]),
    ]
    if report["conformance"]:
        out += ["", "## The hypervisor's conformance suite", ""]
        out.append("The suite that runs on QEMU runs on Xen as well; PV on one host while PVH runs on the other.")
        out.append("")
        names = []
        for ran in report["conformance"]:
            names += [t["name"] for t in ran["tests"] if t["name"] not in names]
        cells = {(r["guest"], t["name"]): f"{t['outcome']} ({t['caseCount']})" for r in report["conformance"] for t in r["tests"]}
        out.append(
            table(
                ["test (cases)"] + [GUESTS.get(r["guest"], r["guest"]) for r in report["conformance"]],
                [[name] + [cells.get((r["guest"], name), "-") for r in report["conformance"]] for name in names],
            )
        )
        out += ["", "Frozen by each way, gone on in place and restored elsewhere, with the guest's own check of its memory and disk and the undisturbed result:", ""]
        out.append(
            table(
                ["guest", "way", "outcome", "stood still (as told)", "whole capture"],
                [
                    [GUESTS.get(c["guest"], c["guest"]), WAYS.get(c["way"], c["way"]), r["outcome"], f"{c['stopSeconds']:.2f} s", f"{c['elapsedSeconds']:.2f} s"]
                    for r in report["conformance"]
                    for c in r["captures"]
                ],
            )
        )
    if report["pauses"]:
        out += ["", "## The pause of each way, seen from outside", ""]
        first = report["pauses"][0]
        out.append(
            f"A guest of {mebibytes(first['memoryBytes'])} that dirties 2 MiB/s prints a tick every 20 ms, or as soon after as it is given a processor; a process in dom0 "
            "notes when each arrives on the console. The pause is the longest time between two; no tick is missing or comes twice. Medians of "
            f"{len(first['seenSeconds'])}, the range in brackets."
        )
        out.append("")
        out.append(
            table(
                ["guest", "way", "pause seen", "pause as told", "whole capture", "image"],
                [
                    [
                        GUESTS.get(p["guest"], p["guest"]),
                        WAYS.get(p["way"], p["way"]),
                        f"**{p['medianSeenSeconds']:.2f} s** ({min(p['seenSeconds']):.2f}–{max(p['seenSeconds']):.2f})",
                        f"{p['medianToldSeconds']:.2f} s",
                        f"{p['medianElapsedSeconds']:.2f} s",
                        mebibytes(p["medianImageBytes"]),
                    ]
                    for p in report["pauses"]
                ],
            )
        )
        if report["liveShare"] is not None:
            out += ["", f"On PVH the live way's pause is {report['liveShare']:.3f} of save and restore's (wanted: at most {LIVE_SHARE})."]
    if report["unions"]:
        out += ["", "## Unions", "", "A guest with each union that its kernel offers, captured on PVH and gone on from elsewhere, to the undisturbed result:", ""]
        out.append(table(["union", "outcome"], [[u["union"], u["outcome"]] for u in report["unions"]]))
    case = report["useCase"]
    if case:
        out += ["", "## The use case", ""]
        out.append(
            "The manager runs outside, an agent in the dom0 of a and of b; checkpoints go to a real HDFS of three DataNodes, three copies of each part. "
            "In the middle of the task host a's QEMU and one DataNode are killed (SIGKILL) at the same moment."
        )
        out.append("")

        def seconds(key):
            return f"{case[key]:.1f} s" if case.get(key) is not None else "-"

        rows = [
            ["host a and a DataNode killed", "0.0 s"],
            ["a declared lost", seconds("detectedSeconds")],
            ["task runs again on b" + (f" from {case['resumedFrom']}" if case.get("resumedFrom") else ""), seconds("resumedSeconds")],
            ["task finished on b", seconds("finishedSeconds")],
        ]
        out.append(table(["what", "after"], rows))
        out.append("")
        if case.get("fetchedBytes") is not None:
            out.append(
                f"Fetched from HDFS: {mebibytes(case['fetchedBytes'])} in {seconds('fetchSeconds')}; restored in {seconds('restoreSeconds')}. "
                f"Work done again: {seconds('lostWorkSeconds')}."
            )
            out.append("")
        out.append(
            table(
                ["checkpoint", "on", "way", "stood still", "durable after", "sent"],
                [
                    [c["checkpoint"], c["node"], c.get("way", "-"), f"{c['stopSeconds']:.2f} s", f"{c['latencySeconds']:.1f} s", mebibytes(c["sentBytes"])]
                    for c in case["checkpoints"]
                ],
            )
        )
        out.append("")
        if case["problems"]:
            out += ["It did **not** hold: " + "; ".join(case["problems"]) + "."]
        else:
            out += [
                f"The result on b, `{case['result']}`, is that of an undisturbed run, and the guest found its memory and disk whole "
                "after it was resumed (its checks found nothing wrong)."
            ]
    return "\n".join(out) + "\n"


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "--check-use-case":
        case = use_case(sys.argv[2])
        problems = case["problems"] if case else ["it did not come to its end"]
        for problem in problems:
            print(problem, file=sys.stderr)
        return 1 if problems else 0
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    results, output = sys.argv[1:]
    steps = sorted(lines_of_json(f"{results}/steps.jsonl"), key=lambda step: STEPS.index(step["step"]))
    measured, share = pauses(results)
    unions = []
    for name in sorted(os.listdir(results)):
        if name.startswith("union-") and name.endswith(".log"):
            passed = re.search(r"Test run with [1-9]\d* tests? in \d+ suites? passed", read(f"{results}/{name}"))
            unions.append({"union": name[len("union-") : -len(".log")], "outcome": "passed" if passed else "failed"})
    report = {
        "schema": "cairn.xen-lab/v1",
        "lab": json.loads(read(f"{results}/lab.json")),
        "steps": steps,
        "conformance": [ran for ran in (suite(results, guest) for guest in GUESTS) if ran],
        "pauses": measured,
        "liveShare": share,
        "liveShareWanted": LIVE_SHARE,
        "unions": unions,
        "useCase": use_case(results),
    }
    held = all(step["outcome"] == "passed" for step in steps)
    if measured and (share is None or share > LIVE_SHARE):
        print(f"the live way's pause is {share} of save and restore's, wanted is at most {LIVE_SHARE}", file=sys.stderr)
        held = False
    with open(output + ".json", "w", encoding="utf-8") as file:
        json.dump(report, file, indent=2, sort_keys=True, ensure_ascii=False)
        file.write("\n")
    with open(output + ".md", "w", encoding="utf-8") as file:
        file.write(render(report))
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
