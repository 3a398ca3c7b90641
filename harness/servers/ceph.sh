#!/bin/bash
# A Ceph object gateway on loopback, with the least of a cluster below it: one monitor, one manager,
# one object store in memory. From Debian's packages, and as root.
#
#   ceph.sh ready                  succeed if it can start here, else say what is missing
#   ceph.sh install                install Debian's packages
#   ceph.sh up DIR PORT [OWNER]    start it, print its URL; DIR takes all it writes.
#                                  It goes down with the process OWNER, where one is given.
#   ceph.sh down DIR               stop it and remove DIR
#   ceph.sh kill DIR               SIGKILL the gateway alone; what it stored stays
#   ceph.sh start DIR              start the gateway again, on the same port
#
# Access key "bookstore", secret key "bookstore-secret".
set -eu
here=$(dirname "$(realpath "$0")")
. "$here/lib.sh"

programs="radosgw radosgw-admin ceph ceph-authtool ceph-mgr ceph-mon ceph-osd monmaptool"
packages="radosgw ceph-common ceph-mgr ceph-mon ceph-osd"

missing() {
  local program
  for program in $programs; do
    command -v "$program" >/dev/null || { echo "$program"; return; }
  done
}

ready() {
  [ -z "$(missing)" ] || die "$(missing) is not installed; run harness/servers/ceph.sh install"
  [ "$(id -u)" = 0 ] || die "needs root"
}

install() {
  [ "$(id -u)" = 0 ] || die "needs root"
  [ -n "$(missing)" ] || return 0
  command -v apt-get >/dev/null || die "$(missing) is missing, and there is no apt-get to install it"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  # shellcheck disable=SC2086  # one word a package
  apt-get install -y -qq --no-install-recommends $packages
}

free_ports() {
  python3 - "$1" <<'PYTHON'
import socket, sys

sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*(s.getsockname()[1] for s in sockets))
PYTHON
}

configure() {
  local dir=$1 port=$2 fsid=$3 monitor=$4
  cat >"$dir/ceph.conf" <<CONF
[global]
fsid = $fsid
mon_host = $monitor
mon_initial_members = a
keyring = $dir/keyring
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_ipv6 = false
mon_data = $dir/mon
mgr_data = $dir/mgr
osd_data = $dir/osd
run_dir = $dir/run
pid_file = $dir/run/\$name.pid
admin_socket = $dir/run/\$name.asok
log_file = $dir/log/\$name.log

# One copy of everything, in memory, and no complaint about it.
osd_objectstore = memstore
memstore_device_bytes = 4294967296
osd_memory_target = 1073741824
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 8
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_warn_on_pool_no_redundancy = false
mon_max_pg_per_osd = 1000
mon_data_avail_warn = 2
mon_data_avail_crit = 1

[client.rgw]
rgw_data = $dir/rgw
rgw_dns_name = 127.0.0.1
rgw_frontends = beast endpoint=127.0.0.1:$port
CONF
}

osd_is_up() {
  ceph osd stat | grep -q "1 up"
}

start_cluster() {
  local dir=$1 fsid=$2 monitor=$3 osd all="allow *"
  osd=$(cat /proc/sys/kernel/random/uuid)
  ceph-authtool --create-keyring "$dir/keyring" --gen-key -n mon. --cap mon "$all"
  ceph-authtool "$dir/keyring" --gen-key -n client.admin --cap mon "$all" --cap mgr "$all" --cap osd "$all"
  ceph-authtool "$dir/keyring" --gen-key -n mgr.x --cap mon "allow profile mgr" --cap osd "$all"
  ceph-authtool "$dir/keyring" --gen-key -n osd.0 --cap mon "allow profile osd" --cap mgr "allow profile osd" --cap osd "$all"
  ceph-authtool "$dir/keyring" --gen-key -n client.rgw --cap mon "allow rw" --cap mgr "allow rw" --cap osd "allow rwx"

  monmaptool --create --fsid "$fsid" --addv a "$monitor" "$dir/monmap"
  ceph-mon -i a --mkfs --monmap "$dir/monmap" --keyring "$dir/keyring"
  ceph-mon -i a --public-addr 127.0.0.1
  timeout 30 ceph status
  ceph auth import -i "$dir/keyring"
  ceph-mgr -i x

  ceph osd new "$osd"
  ceph-osd -i 0 --mkfs --osd-uuid "$osd"
  ceph-osd -i 0
  until_true 60 osd_is_up
}

start_gateway() {
  radosgw -n client.rgw
  until_true 60 listening "$(cat "$CEPH_DIR/port")"
}

up_in() {
  local fsid ports monitor
  fsid=$(cat /proc/sys/kernel/random/uuid)
  read -r -a ports <<<"$(free_ports 2)"
  monitor="[v2:127.0.0.1:${ports[0]},v1:127.0.0.1:${ports[1]}]"
  configure "$CEPH_DIR" "$1" "$fsid" "$monitor"
  start_cluster "$CEPH_DIR" "$fsid" "$monitor"
  start_gateway
  # 0 buckets: as many as there are tests.
  radosgw-admin user create --uid=bookstore --display-name=bookstore --max-buckets=0 \
    --access-key=bookstore --secret-key=bookstore-secret
}

up() {
  ready
  ! listening "$2" || die "port $2 is taken"
  mkdir -p "$1/mon" "$1/mgr" "$1/osd" "$1/rgw" "$1/run" "$1/log"
  in_dir "$1"
  echo "$2" >"$1/port"
  [ $# -lt 3 ] || down_with "$3" "$CEPH_DIR"
  # In a shell of its own: `set -e` does not act in a function that `||` or `if` asks.
  if ! "$0" up-in "$CEPH_DIR" "$2" >"$1/log/up.log" 2>&1 </dev/null; then
    log_tail "$1/log/up.log"
    down
    die "did not start"
  fi
  echo "http://127.0.0.1:$2"
}

down() {
  local name
  for name in client.rgw osd.0 mgr.x mon.a; do
    stop_process "$CEPH_DIR/run/$name.pid" 0 # nothing of it is kept, so it need not end in order
  done
  rm -rf "$CEPH_DIR"
}

kill_gateway() {
  local pid
  pid=$(cat "$CEPH_DIR/run/client.rgw.pid")
  kill -KILL "$pid"
  until_true 10 ended "$pid"
}

in_dir() {
  CEPH_DIR=$(realpath "$1")
  export CEPH_CONF=$CEPH_DIR/ceph.conf
}

in_cluster() {
  [ -f "$1/port" ] || die "no Ceph in $1"
  in_dir "$1"
}

case ${1:-} in
  ready) ready ;;
  install) install ;;
  up) up "${2:?DIR}" "${3:?PORT}" ${4:+"$4"} ;;
  up-in) in_dir "$2"; up_in "$3" ;;
  down) in_cluster "${2:?DIR}"; down ;;
  kill) in_cluster "${2:?DIR}"; kill_gateway ;;
  start) in_cluster "${2:?DIR}"; start_gateway >>"$CEPH_DIR/log/up.log" 2>&1 </dev/null ;;
  *) usage ;;
esac
