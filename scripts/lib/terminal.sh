# shellcheck shell=bash
# Words to the person at the terminal. Standard output is kept for what
# another program may read; everything said to a person goes to standard error.

# say MESSAGE... - what is being done.
say() { printf '%s\n' "$*" >&2; }

# fail STATUS MESSAGE... - say why, and end with the exit code STATUS.
fail() {
  local status=$1
  shift
  printf '%s: %s\n' "${program:-cairn}" "$*" >&2
  exit "$status"
}

# whole_number TEXT - true when TEXT is a decimal number of at most six digits.
whole_number() { [[ $1 =~ ^[0-9]{1,6}$ ]]; }
