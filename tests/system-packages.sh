#!/bin/sh
# Installs what the full test suite needs from the system: a PC/SC service with a virtual reader, the
# headers that pyscard is built with, a PostgreSQL server, strace for fault injection, a browser with Chinese type, and a
# spreadsheet program that opens what is exported.
set -eu
packages="pcscd vsmartcard-vpcd libpcsclite-dev swig gcc python3-dev postgresql strace iproute2 chromium fonts-noto-cjk"
packages="$packages libreoffice-calc-nogui"

missing=""
for package in $packages; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -z "$missing" ] && exit 0

command -v apt-get >/dev/null || {
  echo "The full test suite needs:$missing. This machine has no apt-get; install them by hand," >&2
  echo "or run 'make test-quick', which needs no system package." >&2
  exit 1
}
as_root=""
if [ "$(id -u)" != 0 ]; then
  as_root="sudo -n"
  $as_root true 2>/dev/null || {
    echo "The full test suite needs:$missing" >&2
    echo "Run 'sudo apt-get install$missing', or 'make test-quick', which needs no system package." >&2
    exit 1
  }
fi
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -qq
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
