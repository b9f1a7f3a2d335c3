#!/usr/bin/env python3
"""Asks a Prometheus what the dashboards ask it, and holds counters against a report. For scripts/check-metrics.

check-dashboards.py URL BEGUN TASK DASHBOARDS PAGE REPORT
check-dashboards.py --counts-on PAGE LATER-PAGE
"""
import json, math, pathlib, re, sys, time
import urllib.error, urllib.parse, urllib.request

problems = []


def check(holds, problem):
    if not holds:
        problems.append(problem)
        print(f"check-metrics: {problem}", file=sys.stderr)


def samples(path):
    """Series to value of a page."""
    found = {}
    for line in pathlib.Path(path).read_text().splitlines():
        if line and not line.startswith("#"):
            series, value = line.rsplit(" ", 1)
            check(series not in found, f"{series} is there twice")
            found[series] = float(value)
    return found


def total(page, name, **labels):
    """Sum over the series of a metric that have these labels."""
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    return sum(value for series, value in page.items() if series.split("{")[0] == name and all(pair in series for pair in wanted))


def counts_on(before, after):
    """A manager that was killed goes on counting where it was. What it counts of itself begins anew."""
    earlier, later = samples(before), samples(after)
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", pathlib.Path(before).read_text(), re.M))
    compared = 0
    for series, value in earlier.items():
        name = series.split("{")[0]
        family = re.sub(r"_(bucket|sum|count)$", "", name)
        if family == "cairn_manager_cycle_seconds" or not (kinds.get(name) == "counter" or kinds.get(family) == "histogram"):
            continue
        compared += 1
        check(later.get(series, -1) >= value, f"{series} was {value} and is {later.get(series)} after the manager was started again")
    check(compared > 50, f"only {compared} counters could be compared")
    print(f"check-metrics: {compared} counters go on where they were", file=sys.stderr)


class Prometheus:
    def __init__(self, url, begun):
        self.url, self.begun = url, begun
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def get(self, path, **parameters):
        try:
            with self.opener.open(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}", timeout=20) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            return {"error": json.load(error).get("error", str(error)), "result": []}

    def range(self, query):
        """Finite values of all series, over the whole run."""
        data = self.get("query_range", query=query, start=self.begun, end=time.time(), step=1)
        if "error" in data:
            check(False, f"{query}: {data['error']}")
        return [value for series in data["result"] for _, text in series["values"] if math.isfinite(value := float(text))]


def main(url, begun, task, dashboards, page_file, report_file):
    prometheus = Prometheus(url, float(begun))
    elapsed = int(time.time() - float(begun)) + 1
    variables = {"$__rate_interval": "15s", "$__range": f"{elapsed}s", "$task": task, "$policy": ".*", "$node": ".*"}

    def resolved(query):
        for name, value in variables.items():
            query = query.replace(name, value)
        check("$" not in query, f"{query}: a variable that is not known here")
        return query

    asked = 0
    for file in sorted(pathlib.Path(dashboards).glob("*.json")):
        board = json.loads(file.read_text())
        check(len({panel["id"] for panel in board["panels"]}) == len(board["panels"]), f"{file.name}: two panels have one id")
        for panel in board["panels"]:
            if panel["type"] == "row":
                continue
            check(panel.get("targets"), f"{file.name}: {panel['title']} asks nothing")
            for target in panel.get("targets", []):
                asked += 1
                check(prometheus.range(resolved(target["expr"])), f"{file.name}: {panel['title']}: no data for {resolved(target['expr'])}")
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                asked += 1
                metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["definition"]).groups()
                values = prometheus.get(f"label/{label}/values", **{"match[]": metric})
                check(isinstance(values, list) and values, f"{file.name}: nothing to choose for {variable['name']}")
    check(asked > 50, f"only {asked} queries were found")
    print(f"check-metrics: {asked} queries of dashboards have data", file=sys.stderr)

    rules = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
    check(len(rules) > 20, f"only {len(rules)} rules are loaded")
    for rule in rules:
        check(rule["health"] == "ok", f"rule {rule['name']}: {rule['health']} {rule.get('lastError', '')}")
    for name in sorted({rule["name"] for rule in rules if rule["type"] == "recording"}):
        # Where nothing was unsuccessful there is a ratio all the same, and money owed is 0 and not absent.
        check(prometheus.range(name), f"the recording rule {name} has recorded nothing")
    check(prometheus.range('ALERTS{alertname="CairnNodeLost"}'), "no alert of the lost node")
    check(not prometheus.range('ALERTS{alertstate="firing",alertname=~"CairnStore.*|CairnManager.*"}'), "an alert of a store or a manager that were well")

    page = samples(page_file)
    reported = json.loads(pathlib.Path(report_file).read_text())["tasks"]
    told = {
        "committedCheckpoints": total(page, "cairn_checkpoints_total", outcome="committed"),
        "sentBytes": total(page, "cairn_checkpoint_sent_bytes_total"),
        "stopSeconds": total(page, "cairn_checkpoint_stop_seconds_sum"),
        "lostWorkSeconds": total(page, "cairn_lost_work_seconds_sum"),
    }
    for name, counted in told.items():
        told_by_report = sum(entry["cost"][name] for entry in reported)
        check(abs(counted - told_by_report) < 1e-3, f"{name}: {counted} by the counters, {told_by_report} by the report")
    kept = total(page, "cairn_sla_promises_total", outcome="kept")
    standings = [promise["standing"] for entry in reported for promise in entry["promises"]]
    check(kept == standings.count("kept"), f"{kept} promises kept by the counters, {standings} by the report")
    check(total(page, "cairn_resumptions_total", **{"from": "checkpoint"}) >= 1, "no resumption was counted")
    check(not any('task="' in series for series in page), "a task that has ended still has series")


if sys.argv[1] == "--counts-on":
    counts_on(*sys.argv[2:])
else:
    main(*sys.argv[1:])
sys.exit(1 if problems else 0)
