#!/usr/bin/env bash
# Healthy is a server that serves: only then does `srvr` name its mode. (`ruok` is answered as soon as the port is open.)
# bash opens the socket itself; the image holds no other client.
set -uo pipefail
port=$(sed -n 's/^clientPort=//p' /conf/zoo.cfg)
exec 3<>"/dev/tcp/127.0.0.1/${port:-2181}" || exit 1
printf srvr >&3
[[ $(timeout 2 cat <&3) == *Mode:* ]]
