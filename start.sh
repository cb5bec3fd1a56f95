#!/usr/bin/env bash
# Sets everything up once, then runs the chat page and its API in the foreground.
#
#   ./start.sh [options of app.py]   set up what is missing, then run     (./start.sh --help lists the options)
#   ./start.sh setup [options]       set up and stop before running
#   ./start.sh stop                  stop the running app; answers being written may finish
#   ./start.sh status                running? pid, port, model, health
#   ./start.sh logs                  follow server.log
#   ./start.sh sessions              who is logged in; sessions end NAME, sessions link NAME
#
# An app that crashed (exit code 70, or a signal such as SEGV or KILL) is started again after 1, 2, 4, ... seconds, five
# times in ten minutes at most. START_RESTARTS=N changes five to N; with 0 this script becomes the app.
#
# It may be called from anywhere: relative paths among the options are the caller's, those in variables the app folder's.
#
# Exit codes: 0 stopped as asked, 2 a bad option, or the port or this folder is taken, 3 the model's files are missing or
# damaged, 4 no network, no disk space or a folder that cannot be written, 5 the model does not fit the device, 6 no Python
# 3.11 or newer that makes virtual environments, 70 the GPU failed or the engine hung, 130 and 143 ended at once by a signal.
set -euo pipefail
SELF="$(readlink -f "${BASH_SOURCE[0]}")"
readonly SELF CALLER="$PWD"
cd "$(dirname "$SELF")"
# Whoever starts this with streams closed, as some daemons do, would have files opened in their places, and no word logged.
[[ -e /dev/fd/0 ]] || exec </dev/null
[[ -e /dev/fd/1 ]] || exec >/dev/null
[[ -e /dev/fd/2 ]] || exec 2>/dev/null

readonly VENV=.venv
readonly PYTHON="$VENV/bin/python"
readonly STAMP="$VENV/requirements.sha256"
readonly UNFINISHED="$VENV/unfinished" # there as long as the environment is being made
readonly LOG=server.log
readonly NOTE=run/start.pid   # of the process that restarts the app: its id, and when it began
readonly RESTARTS="${START_RESTARTS:-5}"
readonly RESTARTS_WITHIN_S=600
readonly STOP_WAIT_S=45 # as in qwen_app/serve/pidfile.py
readonly KILL_WAIT_S=5
readonly PIP_FLAGS=(--disable-pip-version-check --no-input)
readonly NEED_KB=12000000 # PyTorch with CUDA and the rest, unpacked

log_format="${QWEN_LOG_FORMAT:-plain}" # a flag may change it

say() { as_line "$*" | tee -a "$LOG" 1>&2 2>/dev/null || true; } # a log that cannot be written is no reason to end

as_line() { # as_line SENTENCE: in the form of the app's own lines
  local text="${1//\\/\\\\}"
  text="${text//\"/\\\"}" text="${text//[[:cntrl:]]/ }"
  if [[ "$log_format" == json ]]; then
    TZ=UTC0 printf '{"time": "%(%FT%T)T+00:00", "level": "info", "logger": "start.sh", "message": "%s"}\n' -1 "$text"
  else
    printf '%s\n' "$1"
  fi
}

fail() { # fail CODE SENTENCE
  say "$2"
  exit "$1"
}

refuse() { # refuse CODE SENTENCE: for what only looks, and so writes no log
  printf '%s\n' "$2" >&2
  exit "$1"
}

not_yet() { refuse 1 "$1 Start with: ./start.sh"; }

find_python() {
  local candidate
  for candidate in "${PYTHON_BIN:-python3}" python3 python3.13 python3.12 python3.11 python; do
    if command -v "$candidate" >/dev/null &&
      "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
  fail 6 "Python 3.11 or newer is needed and was not found. Install it, or name it with PYTHON_BIN=/path/to/python."
}

# The environment's Python runs and still is the one whose packages lie in it: a folder outlives the system it was made on.
has_its_python() {
  local check='import os, sys, sysconfig; ours = os.path.isdir(sysconfig.get_path("purelib"))
sys.exit(not ours or sys.version_info < (3, 11))'
  [[ -x "$PYTHON" ]] && "$PYTHON" -c "$check" 2>/dev/null
}

environment_made() { # whole, and with something that installs packages into it
  [[ ! -e "$UNFINISHED" ]] && has_its_python || return 1
  command -v uv >/dev/null || "$PYTHON" -m pip --version >/dev/null 2>&1
}

make_environment() {
  local python
  python="$(find_python)" || exit $?
  "$python" -c 'import ensurepip, venv' 2>/dev/null ||
    fail 6 "$python makes no virtual environments. On Debian and Ubuntu: apt-get install python3-venv"
  say "Making the virtual environment $VENV with $python ..."
  { mkdir -p "$VENV" && touch "$UNFINISHED"; } 2>/dev/null ||
    fail 4 "$PWD/$VENV cannot be written. Free disk space, or run this as the user whom the folder belongs to."
  rm -rf "$STAMP" "$VENV"/{bin,include,lib,lib64,pyvenv.cfg}
  "$python" -m venv "$VENV" ||
    fail 4 "The virtual environment could not be made; the message is above. Mend that, then run this again."
  rm "$UNFINISHED"
}

requirements_hash() { sha256sum requirements.txt requirements-pip.txt constraints.txt | sha256sum | cut -d ' ' -f 1; }

# Only files whose hash constraints.txt has: by uv where it is there, which takes a seventh of the time, else by pip.
install_packages() {
  local wanted=(--require-hashes --only-binary :all: -r requirements.txt -c constraints.txt)
  if command -v uv >/dev/null; then
    uv pip install --python "$PYTHON" "${wanted[@]}" && return
    say "uv could not install them. Trying pip ..."
  fi
  "$PYTHON" -m pip install "${PIP_FLAGS[@]}" --require-hashes -r requirements-pip.txt && install_torch &&
    "$PYTHON" -m pip install "${PIP_FLAGS[@]}" "${wanted[@]}"
}

# PyTorch comes from where pip is told to look: PyPI's has CUDA, a wheel without it lies elsewhere and is a tenth of the size.
# Hashes in a list would make pip take PyPI's wherever it finds both, so this one's is compared here.
install_torch() {
  local wheels="$VENV/wheels" pin version wheel sum
  pin="$(grep -o '^torch==[^ ]*' constraints.txt)" || return 0
  version="${pin#*==}"
  ! compgen -G "$VENV/lib/python3*/site-packages/torch-$version*.dist-info" >/dev/null || return 0
  rm -rf "$wheels"
  "$PYTHON" -m pip download "${PIP_FLAGS[@]}" --no-deps --only-binary :all: --dest "$wheels" "$pin" || return
  for wheel in "$wheels"/*.whl; do
    sum="$(sha256sum "$wheel")" || return
    if ! grep -q "sha256:${sum%% *}" constraints.txt; then
      say "$(basename "$wheel") is not one that constraints.txt knows."
      return 1
    fi
    "$PYTHON" -m pip install "${PIP_FLAGS[@]}" --no-deps "$wheel" || return
  done
  rm -rf "$wheels"
}

installed() {
  [[ ! -e "$UNFINISHED" && -f "$STAMP" && "$(<"$STAMP")" == "$(requirements_hash)" ]] && has_its_python
}

wait_for_others() { # two that made one environment at once would spoil it
  command -v flock >/dev/null && exec {setting_up}<requirements.txt || return 0
  flock -n -E 75 "$setting_up" || [[ $? != 75 ]] || # otherwise this file system has no locks
    { say "Another ./start.sh sets up this folder. Waiting for it ..." && flock "$setting_up"; }
}

install() {
  installed && return
  local setting_up=
  wait_for_others
  installed || install_anew
  [[ -z "$setting_up" ]] || exec {setting_up}<&-
}

install_anew() {
  local free_kb
  if ! environment_made; then make_environment; fi
  free_kb="$(df -Pk . | awk 'NR == 2 { print $4 }')"
  if ((free_kb < NEED_KB)) && [[ ! -f "$STAMP" ]]; then
    fail 4 "Not enough disk space: $((NEED_KB / 1000000)) GB are needed here, $((free_kb / 1000000)) GB are free."
  fi
  say "Installing requirements.txt (several minutes the first time) ..."
  install_packages || fail 4 "requirements.txt could not be installed; the message is above. Check the network and the disk, then run this again."
  requirements_hash >"$STAMP"
}

prepare_model() { # prepare_model [options]: only where the model runs here, and silently when it is complete
  local argument
  for argument in "$@"; do
    [[ "$argument" == remote || "$argument" == --engine=remote ]] && return
  done
  [[ "${QWEN_ENGINE:-local}" == remote ]] && return
  "$PYTHON" download_model.py "$@" >/dev/null || exit $?
}

began() { awk '$3 != "Z" { print $22 }' "/proc/$1/stat" 2>/dev/null; } # when process $1 did, in ticks since boot

restarter() { # the id of the process that restarts the app of this folder, if one does
  local pid when
  [[ -f "$NOTE" ]] && read -r pid when <"$NOTE" && [[ -n "$when" && "$(began "$pid")" == "$when" ]] && echo "$pid"
}

crashed() { # crashed CODE: would another try help?
  (($1 == 70 || ($1 > 128 && $1 != 130 && $1 != 143)))
}

run_once() { # run_once [options]: the app, in a process group of its own, so that it gets each signal once: from here
  set -m
  "$PYTHON" app.py "$@" &
  app=$!
  set +m
  [[ -z "$stopping" ]] || kill -TERM "$app" # asked to stop a moment ago
  while :; do
    code=0 signalled=
    wait "$app" || code=$?
    [[ -n "$signalled" ]] || break # otherwise it was the signal that ended the wait
  done
}

pass_on() { # a signal, to what keep_running waits for
  signalled=1 stopping=1
  [[ -z "$app" ]] || kill -TERM "$app" 2>/dev/null || true
}

keep_running() { # keep_running [options]: exits with the code of the last try
  local app= code=0 signalled= stopping= tries=() now pause # app: what is waited for, the app or a pause
  trap pass_on INT TERM
  trap '[[ -n "$stopping" ]] && signalled=1 || pass_on' HUP # a terminal that closes says so twice: that is no hurry
  restarter >/dev/null || { mkdir -p run && echo "$$ $(began $$)" >"$NOTE"; } 2>/dev/null || true
  while [[ -z "$stopping" ]]; do
    run_once "$@"
    [[ -z "$stopping" ]] && crashed "$code" || break
    printf -v now '%(%s)T' -1
    while ((${#tries[@]} && tries[0] <= now - RESTARTS_WITHIN_S)); do tries=("${tries[@]:1}"); done
    if ((${#tries[@]} >= RESTARTS)); then
      fail "$code" "The app crashed (exit code $code), $RESTARTS restarts in $((RESTARTS_WITHIN_S / 60)) minutes did not help. $LOG says why."
    fi
    pause=$((1 << ${#tries[@]}))
    tries+=("$now")
    say "The app crashed (exit code $code). It is started again in $pause s."
    sleep "$pause" &
    app=$!
    [[ -z "$stopping" ]] || kill "$app" 2>/dev/null || true # asked to stop before there was anything to end
    wait "$app" || true
    kill "$app" 2>/dev/null || true
    app=
    [[ -z "$stopping" ]] || code=0
  done
  exit "$code"
}

status() {
  [[ -x "$PYTHON" ]] || not_yet "Nothing is set up here yet."
  exec "$PYTHON" -m qwen_app.serve.pidfile status "$(restarter)"
}

logs() {
  [[ -f "$LOG" ]] || not_yet "There is no $LOG yet."
  exec tail -n 100 -F "$LOG"
}

stop() {
  local pid
  [[ -x "$PYTHON" ]] || not_yet "Nothing is set up here yet."
  pid="$(restarter)" || exec "$PYTHON" -m qwen_app.serve.pidfile stop
  printf 'Stopping; running answers may finish ...\n'
  kill -TERM "$pid" 2>/dev/null || ! restarter >/dev/null || refuse 1 "It belongs to another user, who has to stop it."
  if ! ends_within "$STOP_WAIT_S"; then # it does by itself in that time, unless it cannot even do that
    "$PYTHON" -m qwen_app.serve.pidfile kill
    ends_within "$KILL_WAIT_S" || refuse 1 "Process $pid, which restarts the app, does not end."
  fi
  printf 'Stopped.\n'
}

ends_within() { # ends_within SECONDS: whether the process that restarts the app does
  local until=$((SECONDS + $1))
  while restarter >/dev/null; do
    ((SECONDS < until)) || return 1
    sleep 0.1
  done
}

options() { # all of them, as the README lists them: the app's own list needs its packages
  sed -n 's/^| `\(--[a-z-]*\)` | \(.*\) | \(.*\) |$/  \1\n      \3 (default: \2)/p' README.md 2>/dev/null || true
}

check_names() { # check_names [options]: before packages are installed for minutes; the app checks all else
  local argument name known
  ! installed && known="$(options | grep -o -- '--[a-z-]* *$')" || return 0
  for argument in "$@"; do
    name="${argument%%=*}"
    [[ "$name" != --?* || "$name" == --verify || "$name" == --help ]] && continue
    grep -qxF -e "$name" -e "--${name#--no-}" <<<"$known" ||
      refuse 2 "There is no option $name.$(suggestion "$name" $known) See all options with: ./start.sh --help"
  done
}

suggestion() { # suggestion WORD KNOWN...
  local near find='import difflib, sys; print(*difflib.get_close_matches(sys.argv[1], sys.argv[2:], 1))'
  near="$(python3 -c "$find" "$@" 2>/dev/null)" || true
  printf '%s' "${near:+ Did you mean $near?}"
}

run() {
  install
  say "Starting the chat page; it says below where it opens. Stop it with Ctrl+C or ./start.sh stop."
  [[ "$RESTARTS" =~ ^(0|[1-9][0-9]*)$ ]] || fail 2 "START_RESTARTS=$RESTARTS is not possible: it takes 0, 1, 2 and so on."
  ((RESTARTS > 0)) || exec "$PYTHON" app.py "$@"
  keep_running "$@"
}

# Flags show in the list of processes, to everybody on the machine; variables do not. So secrets among the flags become
# variables, and this script begins anew without them.
hide_secrets() { # hide_secrets [options]
  local shown=() found='' name value
  while (($#)); do
    name="${1%%=*}"
    case "$name" in
      --auth | --database-url | --base-url | --api-key | --api-keys | --embeddings-url | --embeddings-key)
        [[ "$1" == *=* || $# -gt 1 ]] || break
        if [[ "$1" == *=* ]]; then value="${1#*=}"; else value="$2"; shift; fi
        name="${name#--}" name="${name//-/_}" found=1
        export "QWEN_${name^^}=$value"
        ;;
      *) shown+=("$1") ;;
    esac
    shift
  done
  [[ -z "$found" ]] || exec bash "$SELF" "${shown[@]}" "$@"
}

is_relative() { # is_relative OPTION VALUE: whether the value is a path of the caller's folder
  [[ "$2" != [/~]* ]] || return 1
  case "$1" in
    --api-keys-file | --auth-file | --data-dir | --models-dir) [[ -n "$2" ]] ;;
    --model) [[ "$2" != auto && "$2" != builtin ]] && [[ "$2" == .* || "$2" == *.gguf || -d "$CALLER/$2" ]] ;;
    *) return 1 ;;
  esac
}

read_arguments() { # read_arguments [options]: sets arguments, the options with whole paths, and log_format
  local argument value before=
  for argument in "$@"; do
    value="${argument#*=}"
    [[ "$before" != --log-format && "$argument" != --log-format=* ]] || log_format="$value"
    if [[ "$CALLER" == "$PWD" ]]; then
      : # they are as they should be
    elif [[ "$argument" == --*=* ]] && is_relative "${argument%%=*}" "$value"; then
      argument="${argument%%=*}=$CALLER/$value"
    elif is_relative "$before" "$argument"; then
      argument="$CALLER/$argument"
    fi
    arguments+=("$argument")
    before="$argument"
  done
}

asks_for_help() { # asks_for_help [options]
  local argument
  for argument in "$@"; do [[ "$argument" != -h && "$argument" != --help ]] || return 0; done
  return 1
}

main() {
  local arguments=()
  read_arguments "$@"
  set -- "${arguments[@]}"
  hide_secrets "$@"
  [[ "${1:-}" == sessions ]] || ! asks_for_help "$@" || set -- --help
  case "${1:-}" in
    setup)
      shift
      check_names "$@"
      install
      prepare_model "$@"
      say "Everything is set up. Run it with: ./start.sh"
      ;;
    stop | status | logs)
      (($# == 1)) || refuse 2 "$2 is not understood: ./start.sh $1 takes nothing more."
      "$1"
      ;;
    sessions)
      shift
      [[ -x "$PYTHON" ]] || not_yet "Nothing is set up here yet."
      exec "$PYTHON" -m qwen_app.web.owner_door "$@"
      ;;
    -h | --help)
      sed -n '2,/^set -e/{/^set -e/d;s/^# \{0,1\}//;p}' "$SELF"
      "$PYTHON" app.py --help 2>/dev/null || options
      ;;
    '' | -*)
      check_names "$@"
      run "$@"
      ;;
    *) refuse 2 "There is no command $1. See all with: ./start.sh --help" ;;
  esac
}

main "$@"
