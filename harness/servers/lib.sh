# Sourced by the server scripts beside it; bash.

# die MESSAGE: say what is wrong and fail.
die() {
  echo "$(basename "$0" .sh): $1" >&2
  exit 1
}

# listening PORT: whether something on loopback accepts connections there.
listening() {
  (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# until_true SECONDS COMMAND...: run COMMAND until it succeeds; fail when the seconds are over.
until_true() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.1
  done
}

# ended PID: whether the process is gone; one that nobody has waited for yet (a zombie) is.
ended() {
  ! kill -0 "$1" 2>/dev/null || grep -q "^State:[[:space:]]*Z" "/proc/$1/status" 2>/dev/null
}

# stop_process PIDFILE [SECONDS]: SIGTERM, then SIGKILL to what is left after the seconds.
stop_process() {
  local pid
  [ -s "$1" ] || return 0
  pid=$(cat "$1")
  kill "$pid" 2>/dev/null || true
  until_true "${2:-10}" ended "$pid" || kill -KILL "$pid" 2>/dev/null || true
  rm -f "$1"
}

# down_with OWNER DIR: bring the server in DIR down when the process OWNER is gone, however it went.
down_with() {
  setsid bash -c '
    while [ -d "$2" ] && kill -0 "$1" 2>/dev/null; do sleep 1; done
    [ ! -d "$2" ] || exec "$0" down "$2"
  ' "$(realpath "$0")" "$1" "$2" </dev/null >/dev/null 2>&1 &
}

# usage: the script's opening comment, on stderr.
usage() {
  sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2
  exit 2
}

# log_tail FILE: the end of a log, on stderr.
log_tail() {
  tail -n 20 "$1" >&2
}
