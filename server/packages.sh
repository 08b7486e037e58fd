#!/usr/bin/env bash
# Installs Debian packages that are missing: packages.sh PACKAGE...
# Where all are there, nothing is asked of the network. Where they cannot be installed, it says what to do, and fails.
set -uo pipefail

missing=()
for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
[ ${#missing[@]} != 0 ] || exit 0

as_root=()
if [ "$(id -u)" != 0 ]; then
    # -n: a question for a password would wait for an answer where nobody is.
    if [ -t 0 ]; then as_root=(sudo); else as_root=(sudo -n); fi
fi
install() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null
}

echo "installing ${missing[*]}" >&2
# The package lists may be new enough, or there for no network to renew them.
install 2>/dev/null || { "${as_root[@]}" apt-get -qq update && install; } || {
    echo "could not install ${missing[*]}; as root: apt-get install ${missing[*]}" >&2
    exit 1
}
