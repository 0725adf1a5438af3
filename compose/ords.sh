#!/bin/bash
# The passwords that the image wants in its environment.
set -euo pipefail
if [ ! -f /opt/oracle/apex/apxsilentins.sql ]; then
  echo "compose/apex holds no APEX: see compose/apex.md" >&2
  exit 1
fi
ORACLE_PWD="$(cat /run/rtm/oracle-password)"
ORACLE_USER_PWD="$(cat /run/rtm/apex-password)"
export ORACLE_PWD ORACLE_USER_PWD
# The entry point of the image, by its documentation.
exec /entrypoint.sh
