"""What must be true of a task after a crash, read from its world: the report, the store's manifests, the guests seen.

usage: crash-checks.py WORLD TASK EXPECTED-RESULT      exit status 0: all is true
"""

import json
import pathlib
import sys

# Silence until a node is declared lost at a heartbeat a second (6 to 7 s), and a heartbeat and a turn of the loop.
DETECTION_SECONDS = 9.0


def problems(world: pathlib.Path, task: str, expected: str, report: dict):
    found = next((entry for entry in report["tasks"] if entry["task"] == task), None)
    if found is None:
        yield "the report does not know the task"
        return
    result = found["happened"].get("result")
    if result != expected:
        yield f"the result is {result}, and an undisturbed run's is {expected}"

    limit = found["promised"].get("lostWorkSeconds")
    for failure in found["failures"]:
        lost = failure.get("lostWorkSeconds")
        if lost is not None and limit is not None and lost > limit + DETECTION_SECONDS and not failure.get("foretold"):
            yield f"{lost:.1f} s of work were lost where {limit:.0f} s are the limit, and nothing had foretold it"

    epochs = [life["epoch"] for life in found["lives"]]
    if len(epochs) != len(set(epochs)):
        yield f"it was started twice in one epoch: {epochs}"

    known = {checkpoint["checkpoint"] for checkpoint in found["checkpoints"] if checkpoint["status"] in ("committed", "pruned")}
    seen_file = world / "seen"
    if seen_file.exists():
        missing = {line.strip() for line in seen_file.read_text().splitlines() if line.strip()} - known
        if missing:
            yield f"committed in the store and unknown to the ledger: {sorted(missing)}"
        if epochs != [1]:
            yield f"the death of a process without its guest made it start again: epochs {epochs}"
        if not known:
            yield "there was no checkpoint at all: nothing was tested"

    guests_file = world / "guests"
    if guests_file.exists():
        most = max((len(line.split()) for line in guests_file.read_text().splitlines()), default=0)
        if most != 1:
            yield f"{most} guests ran at one time"


def main() -> int:
    world, task, expected = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    report_file = world / "report.json"
    if not report_file.exists():
        print("  WRONG: there is no report")
        return 1
    report = json.loads(report_file.read_text())
    wrong = list(problems(world, task, expected, report))
    for entry in report["tasks"]:
        failures = ", ".join(
            f"{failure['cause']}: lost {failure.get('lostWorkSeconds', float('nan')):.1f} s, "
            f"recovered in {failure.get('recoverySeconds', float('nan')):.1f} s"
            for failure in entry["failures"]
        )
        committed = sum(1 for checkpoint in entry["checkpoints"] if checkpoint["status"] in ("committed", "pruned"))
        print(f"  {entry['task']}: {entry['state']}, {committed} checkpoints, {failures or 'no failure'}")
    for line in wrong:
        print(f"  WRONG: {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
