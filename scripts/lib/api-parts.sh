# shellcheck shell=bash
# schemathesis, which tests the API by its OpenAPI document: a Python program in an environment of its own, in the cache.

api_tester_version=4.32.5

# api_home - where it is.
api_home() { printf '%s\n' "${CAIRN_CACHE:-$HOME/.cache/cairn}/schemathesis-$api_tester_version"; }
api_tester() { printf '%s\n' "$(api_home)/bin/schemathesis"; }

# api_make_tester - installs it, if it is not there.
api_make_tester() {
  local home
  home=$(api_home)
  [[ ! -e $home/complete ]] || return 0
  say "installing schemathesis $api_tester_version"
  rm -rf "$home"
  mkdir -p "$(dirname "$home")"
  python3 -m venv "$home"
  "$home/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$api_tester_version"
  touch "$home/complete"
}
