#!/bin/bash
# LocalStack's S3 on loopback, without Docker, from a virtual environment of its own: what it pins
# does not go together with aioboto3.
#
#   localstack.sh ready                  succeed if it is installed, else say what is missing
#   localstack.sh install                make the virtual environment
#   localstack.sh up DIR PORT [OWNER]    start it, print its URL; DIR takes all it writes.
#                                        It goes down with the process OWNER, where one is given.
#   localstack.sh down DIR               stop it and remove DIR
#
# The virtual environment is $XDG_CACHE_HOME/bookstore_y/localstack (~/.cache where that is unset).
# Any credentials do.
set -eu
here=$(dirname "$(realpath "$0")")
. "$here/lib.sh"

# 4.8.1 is the last that runs on Python 3.11 without an account; newer releases of the two that
# follow it break its import.
pins="localstack-core[runtime]==4.8.1 pyopenssl==25.1.0 cbor2==5.6.5 service_identity==24.2.0"
venv=${XDG_CACHE_HOME:-$HOME/.cache}/bookstore_y/localstack
stamp=$venv/installed

is_installed() {
  [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$pins" ]
}

install() {
  mkdir -p "$(dirname "$venv")"
  exec 9>"$venv.lock"
  flock 9
  is_installed && return 0
  rm -rf "$venv"
  python3 -m venv "$venv"
  # shellcheck disable=SC2086  # one word a pin
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check $pins
  echo "$pins" >"$stamp"
}

# LocalStack ignores the address in GATEWAY_LISTEN (its runtime/server/twisted.py takes the port
# alone) and would listen on every interface.
run_on_loopback='
import functools, runpy
from twisted.internet import endpoints

endpoints.TCP4ServerEndpoint = functools.partial(
    endpoints.TCP4ServerEndpoint, interface="127.0.0.1"
)
runpy.run_module("localstack.runtime.main", run_name="__main__")
'

healthy() {
  "$venv/bin/python" - "$1" <<'PYTHON' 2>/dev/null
import json, sys, urllib.request

url = f"http://127.0.0.1:{sys.argv[1]}/_localstack/health"
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
with opener.open(url, timeout=2) as answer:
    sys.exit(json.load(answer)["services"].get("s3") not in ("available", "running"))
PYTHON
}

healthy_or_ended() {
  healthy "$1" || ended "$2"
}

up() {
  local dir=$1 port=$2 pid
  is_installed || die "not installed; run $0 install"
  ! listening "$port" || die "port $port is taken"
  mkdir -p "$dir/tmp"
  env -u LOCALSTACK_VOLUME_DIR \
    SERVICES=s3 EAGER_SERVICE_LOADING=1 PERSISTENCE=0 GATEWAY_LISTEN="127.0.0.1:$port" \
    DNS_ADDRESS=0 DISABLE_EVENTS=1 SKIP_SSL_CERT_DOWNLOAD=1 \
    FILESYSTEM_ROOT="$dir/files" CONFIG_DIR="$dir/config" TMPDIR="$dir/tmp" \
    setsid "$venv/bin/python" -c "$run_on_loopback" >"$dir/log" 2>&1 </dev/null &
  pid=$!
  echo "$pid" >"$dir/pid"
  [ $# -lt 3 ] || down_with "$3" "$dir"
  if ! until_true 90 healthy_or_ended "$port" "$pid" || ended "$pid"; then
    log_tail "$dir/log"
    down "$dir"
    die "did not start"
  fi
  echo "http://127.0.0.1:$port"
}

down() {
  [ -f "$1/pid" ] || die "no LocalStack in $1"
  stop_process "$1/pid"
  rm -rf "$1"
}

case ${1:-} in
  ready) is_installed || die "not installed; run harness/servers/localstack.sh install" ;;
  install) install ;;
  up) up "${2:?DIR}" "${3:?PORT}" ${4:+"$4"} ;;
  down) down "${2:?DIR}" ;;
  *) usage ;;
esac
