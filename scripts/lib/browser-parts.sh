# shellcheck shell=bash
# The browser that the dashboard is tested with, and what drives it. Needs terminal.sh.

browser_packages=(chromium chromium-driver fonts-dejavu-core)
# By name and version; the second one brings axe-core, the accessibility checker, and only its file is wanted.
browser_driver=selenium==4.51.0
browser_checker=axe-playwright-python==0.1.8

browser_cache() { printf '%s\n' "${CAIRN_CACHE:-$HOME/.cache/cairn}/browser"; }

browser_cache_is_whole() {
  [[ $(cat "$(browser_cache)/parts" 2>/dev/null) == "$browser_driver $browser_checker" && -x $(browser_cache)/venv/bin/python ]]
}

# browser_axe - where axe-core's file is.
browser_axe() { find "$(browser_cache)/venv" -name axe.min.js -print -quit; }

# browser_make_parts - a Python of its own with what drives the browser.
browser_make_parts() {
  ! browser_cache_is_whole || return 0
  local cache python=/usr/bin/python3
  cache=$(browser_cache)
  [[ -x $python ]] || python=python3
  say "fetching what drives the browser"
  rm -rf "$cache"
  mkdir -p "$cache"
  "$python" -m venv "$cache/venv" || fail 1 "$python cannot make a virtual environment (package python3-venv)"
  "$cache/venv/bin/pip" install --quiet --disable-pip-version-check "$browser_driver" >&2 || fail 1 "pip could not fetch $browser_driver"
  "$cache/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps "$browser_checker" >&2 || fail 1 "pip could not fetch $browser_checker"
  [[ -n $(browser_axe) ]] || fail 1 "$browser_checker does not hold axe.min.js"
  printf '%s\n' "$browser_driver $browser_checker" >"$cache/parts"
}
