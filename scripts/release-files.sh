#!/bin/sh
# Everything that a release has (RELEASING.md), into build/release. Packages for distributions, where
# they are built, are put into the same folder before this runs.
set -eu
cd "$(dirname "$0")/.."
version=$(node -p 'require("./package.json").version')
out=build/release
mkdir -p "$out"
npm pack --silent --pack-destination "$out" >/dev/null
npm run --silent sbom
cp build/sbom.cdx.json "$out/apex-rtm-$version.cdx.json"
cp dist/*.sql apex-plugins/dist/*.sql "$out/"
cd "$out"
rm -f SHA256SUMS
sha256sum -- * > ../SHA256SUMS
mv ../SHA256SUMS .
cat SHA256SUMS
