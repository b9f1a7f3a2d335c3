"""Looks at the dashboard by a headless Chromium while a node is killed. Started by scripts/check-dashboard, which says what is checked."""

import argparse
import base64
import json
import math
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

WIDTHS = {1280: 900, 390: 844}
LAG_LIMIT = 2.0

arguments = argparse.ArgumentParser()
for name in ("url", "world", "screenshots", "axe", "killed", "other", "cairn"):
    arguments.add_argument("--" + name, required=True)
arguments = arguments.parse_args()

problems = []
checks = 0


def check(holds, what):
    global checks
    checks += 1
    if not holds:
        problems.append(what)
        print("NOT so:", what, file=sys.stderr)
    return holds


def say(*words):
    print(*words, file=sys.stderr, flush=True)


# The API.

opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def get(path):
    with opener.open(arguments.url + path, timeout=20) as answer:
        return answer.headers, answer.read().decode()


def api(path):
    return json.loads(get(path)[1])


def task_of(fleet, task):
    return next(each for each in fleet["tasks"] if each["task"] == task)


def by_path(document, key):
    """What the API has for a page's key: totals.x, tasks.NAME.x, nodes.NAME.x."""
    head, _, rest = key.partition(".")
    value = document[head]
    if isinstance(value, list):
        name, _, rest = rest.rpartition(".")
        value = next(each for each in value if each.get("task", each.get("node")) == name)
    return value.get(rest)


# What people read, made from the API's number as the product makes it.


def significant(value, digits):
    if value == 0:
        return "0"
    text = f"{value:.{max(0, digits - 1 - math.floor(math.log10(abs(value))))}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def share(value):
    percent = value * 100
    if percent in (0, 100):
        return f"{int(percent)} %"
    if 99.9 < percent < 100:
        return f"{math.floor(percent * 1000) / 1000:.3f} %"
    return f"{percent:.{2 if abs(percent) < 10 else 1}f} %"


def whole(seconds):
    seconds = math.floor(seconds + 0.5)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min" + (f" {seconds % 60} s" if seconds % 60 else "")
    return None


def words(key, value):
    name = key.rpartition(".")[2]
    if name in ("progress", "probabilityMet"):
        return share(value)
    if name == "exposedSeconds":
        return whole(value)
    if name == "phi":
        return "over 300" if value >= 300 else f"{value:.{2 if value < 100 else 0}f}"
    if name == "failuresPerHour":
        return significant(value, 3)
    return str(value) if key.startswith("totals.") or name == "checkpoints" else None


# The browser.

options = Options()
options.binary_location = "/usr/bin/chromium"
profile = tempfile.TemporaryDirectory(prefix="cairn-browser-")
for argument in (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run", "--no-proxy-server", "--hide-scrollbars", "--lang=en", f"--user-data-dir={profile.name}",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
):
    options.add_argument(argument)
options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
browser = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
axe = open(arguments.axe).read()
requests = 0


def width(pixels):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": pixels, "height": WIDTHS[pixels], "deviceScaleFactor": 1, "mobile": pixels < 600})


def scheme(name):
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": name}]})


def shot(name):
    size = browser.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
    picture = browser.execute_cdp_cmd(
        "Page.captureScreenshot",
        {"captureBeyondViewport": True, "clip": {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 6000), "scale": 1}})
    with open(os.path.join(arguments.screenshots, name + ".png"), "wb") as file:
        file.write(base64.b64decode(picture["data"]))


def accessible(name):
    browser.execute_script(axe)
    found = browser.execute_async_script("const done = arguments[0]; axe.run(document).then(done, error => done({error: String(error)}));")
    check("error" not in found, f"axe ran on {name}: {found.get('error')}")
    for violation in found.get("violations", []):
        targets = ", ".join(" ".join(map(str, node["target"])) for node in violation["nodes"][:3])
        if violation["impact"] in ("serious", "critical"):
            check(False, f"{name}: axe: {violation['id']} ({violation['impact']}): {violation['help']}: {targets}")
        else:
            say(f"  {name}: axe notes {violation['id']} ({violation['impact']}): {targets}")
    check(len(found.get("passes", [])) > 10, f"axe checked something on {name}")


def quiet():
    """Nothing on the console, and nothing asked of anybody else."""
    global requests
    for entry in browser.get_log("browser"):
        check(entry["level"] not in ("SEVERE", "WARNING"), f"console: {entry['level']} {entry['message']}")
    for entry in browser.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            address = message["params"]["request"]["url"]
            if address.startswith(("data:", "about:", "chrome:")):
                continue
            requests += 1
            check(address.startswith(arguments.url + "/"), f"a request leaves the manager: {address}")


def wide():
    """Nothing hangs out of the page."""
    over = browser.execute_script("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
    check(over <= 0, f"{browser.current_url}: the page is {over} pixels wider than the screen")


def looked_at(name, at):
    """Pictures and the checker at each width and in each scheme. Whatever it checks is read where the page stands."""
    browser.get(arguments.url + at)
    for pixels in WIDTHS:
        width(pixels)
        for look in ("light", "dark"):
            scheme(look)
            time.sleep(0.5)
            accessible(f"{name} at {pixels}, {look}")
            wide()
            shot(f"{name}-{pixels}-{look}")
    width(1280)
    scheme("light")
    quiet()


def glimpse(name):
    """Pictures at each width, of a page that goes on."""
    for pixels in WIDTHS:
        width(pixels)
        time.sleep(0.3)
        wide()
        shot(f"{name}-{pixels}")
    width(1280)


SHOWN = """
const shown = {at: document.documentElement.dataset.at, values: {}, live: (document.getElementById("live") || {}).textContent};
for (const each of document.querySelectorAll("[data-key]")) { shown.values[each.dataset.key] = [each.dataset.value, each.textContent]; }
return shown;
"""


def shown():
    return browser.execute_script(SHOWN)


def equal(path, prefix=""):
    """The page beside the API, of the same moment."""
    for _ in range(40):
        document = api(path)
        page = shown()
        if page["at"] == document["at"]:
            break
        time.sleep(0.15)
    else:
        return check(False, f"the page and {path} are never of one moment")
    check(len(page["values"]) > 3, f"{path}: the page shows values")
    for key, (value, text) in page["values"].items():
        there = by_path(document, prefix + key)
        if isinstance(there, (int, float)) and not isinstance(there, bool):
            check(math.isclose(float(value), there, rel_tol=1e-12, abs_tol=1e-12), f"{path}: {key} is {there}, and {value} on the page")
            wanted = words(key, there)
            check(wanted is None or text == wanted, f"{path}: {key} is {there}, and reads {text} and not {wanted}")
        else:
            check(str(there) == value, f"{path}: {key} is {there}, and {value} on the page")
    return True


class Watch:
    """Follows the API and the page side by side: when each moment was first in the one, and then on the other."""

    def __init__(self):
        self.lags = []
        self.waiting = []
        self.seen = None
        self.story = []

    def look(self):
        now = time.monotonic()
        fleet = api("/v1/fleet")
        if fleet["at"] != self.seen:
            self.seen = fleet["at"]
            self.waiting.append((fleet["at"], now))
        page = shown()
        then = time.monotonic()
        while self.waiting and page["at"] >= self.waiting[0][0]:
            self.lags.append(then - self.waiting.pop(0)[1])
        state = {key: page["values"].get(key, ["?"])[0] for key in (f"tasks.{arguments.killed}.state", f"tasks.{arguments.killed}.node", "nodes.a.standing")}
        if not self.story or self.story[-1] != state:
            self.story.append(state)
            say("  the page:", ", ".join(f"{key.rpartition('.')[0].partition('.')[2]} {value}" for key, value in state.items()))
        return fleet

    def until(self, seconds, what, holds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            fleet = self.look()
            if holds(fleet):
                return fleet
            time.sleep(0.1)
        check(False, f"waited {seconds} s for {what}")
        return self.look()


def do(address, button_text):
    """An action: asked once more, then done. Returns the page's notice."""
    browser.get(arguments.url + address)
    check(button_text in browser.page_source, f"{address}: asks once more")
    browser.find_element(By.CSS_SELECTOR, "main form button").click()
    WebDriverWait(browser, 10).until(lambda each: each.find_elements(By.CSS_SELECTOR, ".notice"))
    return browser.find_element(By.CSS_SELECTOR, ".notice").text


def ledger(query, *values):
    connection = sqlite3.connect(f"file:{arguments.world}/state/ledger.db?mode=ro", uri=True)
    try:
        return connection.execute(query, values).fetchall()
    finally:
        connection.close()


def told(kind):
    return [json.loads(row[0])[kind] for row in ledger("SELECT payload_json FROM events WHERE kind = ? ORDER BY sequence", kind)]


def eventually(seconds, holds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.2)
    return False


def log_in(token):
    browser.find_element(By.ID, "token").send_keys(token)
    browser.find_element(By.CSS_SELECTOR, "main form button").click()


def token_of(role, name):
    command = [arguments.cairn, "token", "create", "--state", os.path.join(arguments.world, "state"), "--role", role, "--name", name]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def by_tokens():
    """Once there are tokens nobody sees anything without one, and each role may do what is its own."""
    browser.get(arguments.url + "/")
    viewer, operator = token_of("viewer", "vera"), token_of("operator", "otto")

    def asked_for_a_token():
        browser.get(arguments.url + "/policies/default/mode/Audit")
        return len(browser.find_elements(By.ID, "token")) == 1

    check(eventually(10, asked_for_a_token), "from the first token on, the page asks for one")
    log_in("no-such-token")
    # A click comes back before the answer does.
    check(eventually(10, lambda: "not known here" in browser.page_source), "a wrong token is refused, and that is said")
    log_in(viewer)
    check(eventually(10, lambda: "/policies/default/mode/Audit" in browser.current_url), "after the log-in it goes on where one wanted to be")
    check(not browser.find_elements(By.CSS_SELECTOR, "main form.choice"), "a viewer is asked nothing")
    browser.get(arguments.url + "/")
    check("vera" in browser.find_element(By.CSS_SELECTOR, ".who").text, "the page says who one is")
    check(arguments.killed in browser.page_source, "a viewer sees the tasks")
    check(not browser.find_elements(By.CSS_SELECTOR, "main a[href*='/drain']"), "a viewer is offered no action")
    forced = browser.execute_script(
        "return fetch('/policies/default/mode/Audit', { method: 'POST', headers: { 'Content-Type': 'application/x-www-form-urlencoded' } }).then(a => a.status)")
    check(forced == 403, f"what a viewer does all the same is refused: {forced}")
    # The browser's own word about that answer is no error of the page.
    browser.get_log("browser")
    browser.get(arguments.url + "/")
    browser.find_element(By.XPATH, "//button[.='Log out']").click()
    check(eventually(5, lambda: browser.find_elements(By.ID, "token")), "who logs out is asked for a token again")
    log_in(operator)
    do("/policies/default/mode/Audit", "Switch to Audit")
    check(eventually(5, lambda: told("policyModeSet")[-1].get("by", "").find("otto") >= 0), f"the ledger says which operator it was: {told('policyModeSet')[-1]}")
    accessible("fleet, logged in")
    glimpse("logged-in")


def main():
    headers, text = get("/")
    policy = headers.get("Content-Security-Policy", "")
    check("default-src 'none'" in policy and "unsafe" not in policy, f"the content policy is strict: {policy}")
    check("<script>" not in text and " style=" not in text and "onclick" not in text, "nothing is written into the page that the policy forbids")
    # It tells of one moment of the manager's loop, which has to turn once after a task was submitted.
    check(eventually(10, lambda: arguments.killed in get("/")[1]), "without any script the page names the tasks")

    width(1280)
    browser.get(arguments.url + "/")
    check(eventually(10, lambda: shown()["live"] == "live"), "the page says that it is live")
    watch = Watch()
    say("waiting for the task to be in the middle, with a checkpoint")
    ready = watch.until(
        240, "a checkpoint of the task that will be killed", lambda fleet: (
            lambda task: task["checkpoints"] > 0 and 0.35 < task["progress"] < 0.8 and task["state"] == "running")(task_of(fleet, arguments.killed)))
    check(task_of(ready, arguments.killed)["node"] == "a", "the task runs on node a")
    equal("/v1/fleet")
    quiet()

    say("*** asking for node a to be killed")
    open(os.path.join(arguments.world, "kill-a"), "w").close()
    watch.until(60, "node a to be lost", lambda fleet: next(each for each in fleet["nodes"] if each["node"] == "a")["standing"] == "lost")
    watch.until(3, "the loss on the page", lambda _: shown()["values"]["nodes.a.standing"][0] == "lost")
    shot("crash-1280-light")
    watch.until(
        120, "the task to run on node b", lambda fleet: (
            lambda task: task["state"] == "running" and task.get("node") == "b")(task_of(fleet, arguments.killed)))
    watch.until(3, "the recovery on the page", lambda _: shown()["values"][f"tasks.{arguments.killed}.node"][0] == "b")
    equal("/v1/fleet")
    quiet()

    say("a task's page while it runs again")
    accessible("fleet, running")
    glimpse("fleet-running")
    browser.get(f"{arguments.url}/tasks/{arguments.killed}")
    check(eventually(10, lambda: shown()["live"] == "live"), "the task's page says that it is live")
    equal(f"/v1/tasks/{arguments.killed}", "brief.")
    for kind, what in {
        "failure": "the failure", "again": "the resumption", "stop": "stops", "upload": "uploads", "forecast": "the forecast", "progress": "progress",
    }.items():
        check(len(browser.find_elements(By.CSS_SELECTOR, f".timeline svg .{kind}")) >= 1, f"the timeline shows {what}")
    check(len(browser.find_elements(By.CSS_SELECTOR, ".decision")) >= 3, "the task's page has its decisions")
    accessible("task, running")
    glimpse("task-running")
    # What was opened stays open while the page is kept up to date.
    opened = browser.execute_script("const each = document.querySelector('details'); each.open = true; each.querySelector('summary').focus(); return each.id")
    before = shown()["at"]
    check(eventually(10, lambda: shown()["at"] > before), "the page goes on being live")
    check(browser.execute_script("return document.getElementById(arguments[0]).open", opened), "what was opened stays open")

    schedule = api(f"/v1/tasks/{arguments.killed}")["brief"]["scheduleDecision"]
    say("what can be done")
    do("/policies/default/mode/Audit", "Switch to Audit")
    check(eventually(5, lambda: api("/v1/fleet")["policies"][0]["mode"] == "Audit"), "the policy is in Audit")
    do("/policies/default/mode/declared", "As its file says")
    check(eventually(5, lambda: api("/v1/fleet")["policies"][0]["mode"] == "Enforce"), "the policy is as its file says")
    modes = told("policyModeSet")
    check([each.get("mode") for each in modes] == ["Audit", None] and all(each["by"] for each in modes), f"the ledger says who set the mode: {modes}")
    do("/nodes/a/drain", "Drain the node")
    check(eventually(5, lambda: next(each for each in api("/v1/fleet")["nodes"] if each["node"] == "a")["isDraining"]), "node a is drained")
    do("/nodes/a/undrain", "End the drain")
    check(len(told("nodeDrainAsked")) == 1 and told("nodeDrainAsked")[0]["by"], "the ledger says who drained the node")
    running = [each["task"] for each in api("/v1/fleet")["tasks"] if each["state"] == "running" and not each["isCheckpointing"]]
    if check(len(running) > 0, "a task runs that can be checkpointed"):
        do(f"/tasks/{running[0]}/checkpoint", "Checkpoint now")
        asked = ledger("SELECT sentence FROM decisions WHERE task = ? AND sentence LIKE '%asked for it%'", running[0])
        check(len(asked) == 1, f"the ledger says who asked for the checkpoint: {asked}")
    quiet()

    browser.get(arguments.url + "/")
    check(eventually(10, lambda: shown()["live"] == "live"), "the page says that it is live again")
    watch.waiting.clear()
    watch.until(200, "the task to finish", lambda fleet: task_of(fleet, arguments.killed)["state"] == "finished")
    watch.until(3, "the end on the page", lambda _: shown()["values"][f"tasks.{arguments.killed}.state"][0] == "finished")
    equal("/v1/fleet")
    if task_of(api("/v1/fleet"), arguments.other)["isLive"]:
        do(f"/tasks/{arguments.other}/cancel", "Cancel the task")
        check(told("taskCancelled")[-1]["by"], "the ledger says who cancelled the task")

    say("each page, at each width, in light and dark")
    looked_at("fleet", "/")
    looked_at("task", f"/tasks/{arguments.killed}")
    looked_at("decision", f"/decisions/{schedule}")
    looked_at("confirmation", "/policies/default/mode/Audit")
    looked_at("login", "/login")

    standings = [each["nodes.a.standing"] for each in watch.story]
    states = [(each[f"tasks.{arguments.killed}.state"], each[f"tasks.{arguments.killed}.node"]) for each in watch.story]
    check("trusted" in standings and "lost" in standings, f"the page showed the node's loss: {standings}")
    check(("running", "a") in states and ("running", "b") in states and states[-1][0] == "finished", f"the page showed the task's way: {states}")
    lags = sorted(watch.lags)
    check(len(lags) > 30, f"updates were followed: {len(lags)}")
    if lags:
        late = lags[min(len(lags) - 1, int(len(lags) * 0.95))]
        say(f"{len(lags)} updates: half of them on the page within {lags[len(lags) // 2]:.2f} s, 95 % within {late:.2f} s, the slowest {lags[-1]:.2f} s")
        check(late <= LAG_LIMIT, f"95 % of updates are on the page within {LAG_LIMIT} s: {late:.2f} s")
    say("by tokens")
    by_tokens()
    say(f"{requests} requests, all to the manager")


try:
    main()
except Exception as error:  # What is found so far is told all the same.
    problems.append(f"{type(error).__name__}: {error}")
    try:
        shot("failure")
    except Exception:
        pass
    if not isinstance(error, (AssertionError,)):
        import traceback

        traceback.print_exc()
finally:
    browser.quit()
    profile.cleanup()
say(f"{checks} checks, {len(problems)} not so; pictures are in {arguments.screenshots}")
for problem in problems:
    say("  NOT so:", problem)
sys.exit(1 if problems else 0)
