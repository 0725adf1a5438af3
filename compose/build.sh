#!/bin/bash
# Copies the sources into the volume and builds them there: the clone stays as it is.
set -euo pipefail
cd /src
tar --exclude=./node_modules --exclude=./build --exclude=./.git --exclude=./compose/apex -cf - . | tar -xf - -C /app
cd /app
npm ci --no-audit --no-fund
npm run build
