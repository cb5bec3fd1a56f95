#!/usr/bin/env bash
# Sets everything up once, then runs the chat page and its API in the foreground.
#
#   ./start.sh [options of app.py]   set up what is missing, then run     (./start.sh --help lists the options)
#   ./start.sh setup [options]       set up and stop before running
#   ./start.sh stop                  stop the running app; answers being written may finish
#   ./start.sh status                running? pid, port, model, health
#   ./start.sh logs                  follow server.log
#
# Exit codes: 0 stopped as asked, 2 a bad option or the port is taken, 3 the model's files are missing or damaged,
# 4 no network or no disk space, 5 the model does not fit the device, 6 no Python 3.11 or newer, 70 the GPU failed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

readonly VENV=.venv
readonly PYTHON="$VENV/bin/python"
readonly STAMP="$VENV/requirements.sha256"
readonly LOG=server.log
readonly NEED_KB=12000000 # PyTorch with CUDA and the rest, unpacked

say() { printf '%s\n' "$*" | tee -a "$LOG" >&2; }

fail() { # fail CODE SENTENCE
  say "$2"
  exit "$1"
}

not_yet() { # for commands that only look, and so write no log
  printf '%s Start with: ./start.sh\n' "$1" >&2
  exit 1
}

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

requirements_hash() { sha256sum requirements.txt constraints.txt | sha256sum | cut -d ' ' -f 1; }

installed() { [[ -x "$PYTHON" && -f "$STAMP" && "$(<"$STAMP")" == "$(requirements_hash)" ]]; }

install() {
  installed && return
  local python free_kb
  if [[ ! -x "$PYTHON" ]]; then
    python="$(find_python)"
    say "Making the virtual environment $VENV with $python ..."
    "$python" -m venv "$VENV" ||
      fail 6 "The virtual environment could not be made. On Debian and Ubuntu: apt-get install python3-venv"
  fi
  free_kb="$(df -Pk . | awk 'NR == 2 { print $4 }')"
  if ((free_kb < NEED_KB)) && [[ ! -f "$STAMP" ]]; then
    fail 4 "Not enough disk space: $((NEED_KB / 1000000)) GB are needed here, $((free_kb / 1000000)) GB are free."
  fi
  say "Installing requirements.txt (several minutes the first time) ..."
  "$PYTHON" -m pip install --disable-pip-version-check --no-input -r requirements.txt -c constraints.txt ||
    fail 4 "pip could not install requirements.txt; its message is above. Check the network and the disk, then run this again."
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

without_proxy_for_loopback() { # a proxy that is asked for this machine's own address breaks the start
  local hosts=localhost,127.0.0.1,0.0.0.0,::1
  export no_proxy="${no_proxy:+$no_proxy,}$hosts"
  export NO_PROXY="$no_proxy"
}

run() {
  install
  say "Starting the chat page; it says below where it opens. Stop it with Ctrl+C or ./start.sh stop."
  exec "$PYTHON" app.py "$@"
}

main() {
  without_proxy_for_loopback
  case "${1:-}" in
    setup)
      shift
      install
      prepare_model "$@"
      say "Everything is set up. Run it with: ./start.sh"
      ;;
    stop | status)
      [[ -x "$PYTHON" ]] || not_yet "Nothing is set up here yet."
      exec "$PYTHON" -m qwen_app.serve.pidfile "$1"
      ;;
    logs)
      [[ -f "$LOG" ]] || not_yet "There is no $LOG yet."
      exec tail -n 100 -F "$LOG"
      ;;
    -h | --help)
      sed -n '2,/^set -e/{/^set -e/d;s/^# \{0,1\}//;p}' "$0"
      [[ -x "$PYTHON" ]] && exec "$PYTHON" app.py --help
      ;;
    *) run "$@" ;;
  esac
}

main "$@"
