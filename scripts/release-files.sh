#!/bin/sh
# Everything that a release has (RELEASING.md), into build/release: npm run release:files -- [kinds].
# The kinds are those of `npm run package`; without one, what this machine has the programs for.
set -eu
cd "$(dirname "$0")/.."
version=$(node -p 'require("./package.json").version')
out=build/release
rm -rf "$out"
npm run --silent package -- "$@"
mkdir -p "$out"
for file in build/packages/*; do
  case $file in
  */SHA256SUMS) ;;
  *) cp "$file" "$out/" ;;
  esac
done
npm run --silent sbom
cp build/sbom.cdx.json "$out/apex-rtm-$version.cdx.json"
cp dist/*.sql apex-plugins/dist/*.sql "$out/"
cd "$out"
sha256sum -- * >../SHA256SUMS
mv ../SHA256SUMS .
cat SHA256SUMS
