# shellcheck shell=bash
# The Python environment that the other scripts share. Sourced, not run; bash 3.2 is enough.
#
#   source environment.sh
#   prepare_environment base|test|dev    # afterwards $venv holds the package, editable, with that extra
#
# $venv is .venv at the repository root, or LIGHTNING_GAN_VENV. What these scripts know about it lies in
# $venv/.lightning-gan: `made` (they made it, so they may make it anew), `installing` (the process at work),
# `complete*` (what was installed, from which pyproject.toml, for which interpreter), `pip.log`.

unset CDPATH PYTHONHOME
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
venv="${LIGHTNING_GAN_VENV:-$root/.venv}"
case "$venv" in /*) ;; *) venv="$PWD/$venv" ;; esac
state="$venv/.lightning-gan"

say() { printf '%s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}

prepare_environment() {
  local extra="$1" started=$SECONDS
  if is_complete "$extra"; then return 0; fi
  refuse_if_another_is_at_work
  clear_what_cannot_be_used
  if [ ! -x "$venv/bin/python" ]; then make_environment; fi
  install_packages "$extra"
  write_stamps "$extra"
  say "The environment is ready after $((SECONDS - started)) s."
}

# --- is it there already? ---------------------------------------------------------------------------

fingerprint() { # what the installed packages depend on: this place, the requirements, the interpreter
  local interpreter
  interpreter="$("$venv/bin/python" -c 'import sys; print(sys.version)' 2>/dev/null)" || return 1
  printf '%s\n%s\n' "$root" "$interpreter"
  cksum <"$root/pyproject.toml"
}

is_complete() {
  local stamp="$state/complete-$1"
  [ -f "$stamp" ] && [ ! -e "$state/installing" ] && [ -x "$venv/bin/lightning-gan" ] &&
    [ "$(cat "$stamp")" = "$(fingerprint)" ]
}

write_stamps() { # an extra holds the smaller ones
  local name
  for name in base test dev; do
    fingerprint >"$state/complete-$name"
    if [ "$name" = "$1" ]; then break; fi
  done
  rm -f "$state/installing"
}

# --- what to do with what is there ------------------------------------------------------------------

refuse_if_another_is_at_work() {
  local process
  process="$(cat "$state/installing" 2>/dev/null)" || return 0
  if [ -n "$process" ] && kill -0 "$process" 2>/dev/null; then
    die "Another installation into $venv is at work (process $process): wait for it to end, or delete $state/installing if it is none."
  fi
}

clear_what_cannot_be_used() {
  [ -d "$venv" ] || return 0
  local reason=""
  if [ -e "$state/installing" ]; then
    reason="an installation was interrupted"
  elif ! is_new_enough "$venv/bin/python"; then
    reason="its Python does not run or is older than 3.10"
  fi
  if [ -e "$state/made" ]; then
    if [ -n "$reason" ]; then
      say "Making the environment in $venv anew: $reason."
      rm -rf "$venv"
    fi
  elif [ ! -e "$venv/pyvenv.cfg" ] && [ -n "$(ls -A "$venv")" ]; then
    die "$venv holds something else than a Python environment: set LIGHTNING_GAN_VENV to another folder."
  elif [ -e "$venv/pyvenv.cfg" ] && ! is_new_enough "$venv/bin/python"; then
    die "The Python of the environment in $venv does not run or is older than 3.10: delete that folder, or set LIGHTNING_GAN_VENV to another one."
  fi
}

# --- a new one --------------------------------------------------------------------------------------

is_new_enough() {
  "$1" -c 'import sys; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1
}

find_python() { # sets $python
  local candidate without_venv=""
  if [ -n "${PYTHON:-}" ]; then
    is_new_enough "$PYTHON" ||
      die "PYTHON is set to '$PYTHON', which is no Python 3.10 or newer: set it to one, or unset it."
    set -- "$PYTHON"
  else
    set -- python3.13 python3.12 python3.11 python3.10 python3 python
  fi
  for candidate in "$@"; do
    is_new_enough "$candidate" || continue
    if "$candidate" -c 'import venv, ensurepip' >/dev/null 2>&1; then
      python="$candidate"
      return 0
    fi
    without_venv="${without_venv:-$candidate}"
  done
  if [ -n "$without_venv" ]; then
    die "The venv module of '$without_venv' is missing: install it (on Debian and Ubuntu the package python3-venv), or set PYTHON to a Python that has it."
  fi
  die "Python 3.10 or newer was not found: install it, or set PYTHON to where it is (tried: $*)."
}

check_disk() { # the packages' own size; on Linux PyTorch brings its CUDA libraries
  local folder="$venv" needed=8 free
  if [ "$(uname -s)" = Darwin ]; then needed=3; fi
  while [ ! -d "$folder" ]; do folder="$(dirname "$folder")"; done
  free="$(df -Pk "$folder" 2>/dev/null | awk 'NR == 2 { print int($4 / 1048576) }')"
  if [ -n "$free" ] && [ "$free" -lt "$needed" ]; then
    die "Too little disk: $free GB are free in $folder and the packages need $needed GB, so free some, or set LIGHTNING_GAN_VENV to a folder on a larger disk."
  fi
}

make_environment() {
  find_python
  check_disk
  mkdir -p "$state" 2>/dev/null ||
    die "$venv cannot be written: set LIGHTNING_GAN_VENV to a folder that can."
  echo $$ >"$state/installing"
  : >"$state/made"
  say "Making a Python environment in $venv."
  if ! "$python" -m venv "$venv" >"$state/venv.log" 2>&1; then
    tail -n 8 "$state/venv.log" >&2
    die "'$python -m venv' failed (its last lines are above): set PYTHON to another Python, or LIGHTNING_GAN_VENV to another folder."
  fi
}

# --- the packages -----------------------------------------------------------------------------------

install_packages() {
  local target="$root" log="$state/pip.log" process
  if [ "$1" != base ]; then target="${root}[$1]"; fi
  mkdir -p "$state"
  echo $$ >"$state/installing"
  say "Installing lightning-gan and what it needs, PyTorch included (once; some minutes and several GB)."
  : >"$log"
  bring_pip >>"$log" 2>&1 || explain_failure "$log"
  "$venv/bin/python" -m pip install --disable-pip-version-check --no-input --progress-bar off \
    --editable "$target" >>"$log" 2>&1 </dev/null &
  process=$!
  # a background process ignores Ctrl-C, so that it must be ended by name
  trap 'kill "$process" 2>/dev/null; trap - INT TERM; die "Interrupted: the next start begins the environment anew."' INT TERM
  follow "$process" "$log"
  wait "$process" || explain_failure "$log"
  trap - INT TERM
}

bring_pip() { # editable installs without a setup.py need pip 21.3
  "$venv/bin/python" -m pip --version >/dev/null 2>&1 || "$venv/bin/python" -m ensurepip || return 1
  "$venv/bin/python" -c 'import pip, sys
sys.exit(tuple(int(part) for part in pip.__version__.split(".")[:2]) < (21, 3))' ||
    "$venv/bin/python" -m pip install --upgrade pip
}

follow() { # says what process $1, which writes log $2, is doing: one moving line, or a line every 15 s
  local began=$SECONDS spoken=-15 line
  while kill -0 "$1" 2>/dev/null; do
    line="$(grep -E '^ *(Collecting|Downloading|Using cached|Building|Installing|WARNING: Retrying)' "$2" |
      tail -n 1 | sed -e 's/^ *//; s/ (from .*//; s/collected packages.*/the packages/; s/: started$//' \
      -e 's/-cp3[^ ]*\.whl/.whl/; s/-py[23][^ ]*\.whl/.whl/' || true)"
    if [ -t 2 ]; then
      printf '\r\033[K%4d s  %.65s' $((SECONDS - began)) "$line" >&2
    elif [ -n "$line" ] && [ $((SECONDS - spoken)) -ge 15 ]; then
      say "$((SECONDS - began)) s  $line"
      spoken=$SECONDS
    fi
    sleep 0.2
  done
  if [ -t 2 ]; then printf '\r\033[K' >&2; fi
}

explain_failure() { # pip ends cleanly, so that what is there can be used by the next try
  rm -f "$state/installing"
  { grep -vE '^ *(note:|[×│╰]|$)' "$1" || true; } | tail -n 8 >&2
  if grep -qi 'no space left' "$1"; then
    die "The disk filled up during the installation: free some, or set LIGHTNING_GAN_VENV (and TMPDIR) to folders on a larger disk."
  elif grep -qiE 'NewConnectionError|Connection(Timeout|Refused|Reset)?Error|Connection refused|ConnectTimeout|ReadTimeout|name resolution|Max retries|ProxyError|SSLError|unreachable' "$1"; then
    die "The package registry could not be reached: connect this machine to the network, or set PIP_INDEX_URL to a registry that it reaches."
  elif grep -q 'No matching distribution found' "$1"; then
    die "The package registry has no fitting build for $("$venv/bin/python" -V 2>&1) on $(uname -sm) (pip's last lines are above): delete $venv and set PYTHON to another Python, 3.10 to 3.13."
  fi
  die "pip could not install the packages: its last lines are above, all of them in $1."
}
