#!/bin/bash
# JupyterLab with jupyter-server-documents, the real-time collaboration of Jupyter AI, in a virtual
# environment of its own: it switches jupyter-collaboration off wherever both are installed.
#
#   server_documents.sh ready      succeed if it is installed, else say what is missing
#   server_documents.sh install    make the virtual environment, with what bookstore_y needs
#   server_documents.sh python     print the path of its Python
#
# The virtual environment is $XDG_CACHE_HOME/bookstore_y/server-documents (~/.cache where that is
# unset).
set -eu
here=$(dirname "$(realpath "$0")")
. "$here/lib.sh"

pins="jupyter-server-documents==0.3.3 jupyterlab>=4.6,<5"
repository=$(realpath "$here/../..")
venv=${XDG_CACHE_HOME:-$HOME/.cache}/bookstore_y/server-documents
stamp=$venv/installed

wanted() {
  echo "$pins"
  cksum <"$repository/pyproject.toml"
}

is_installed() {
  [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(wanted)" ]
}

install() {
  mkdir -p "$(dirname "$venv")"
  exec 9>"$venv.lock"
  flock 9
  is_installed && return 0
  rm -rf "$venv"
  python3 -m venv "$venv"
  # Editable, so that its dependencies come without the extension being built. The tests run the
  # checkout that they are in: PYTHONPATH comes first.
  # shellcheck disable=SC2086  # one word a pin
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check $pins --editable "$repository"
  wanted >"$stamp"
}

case ${1:-} in
  ready) is_installed || die "not installed; run harness/servers/server_documents.sh install" ;;
  install) install ;;
  python) echo "$venv/bin/python" ;;
  *) usage ;;
esac
