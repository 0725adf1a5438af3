#!/bin/sh
# Installs or upgrades apex-rtm from the packed tarball. Can be run again at any time.
#   sudo sh install.sh apex-rtm-0.1.0.tgz
#
# What it does: a system user apex-rtm; the package under /opt/apex-rtm/versions/<version> with the
# link /opt/apex-rtm/current switched in one step; the units; and, only where they do not exist yet,
# /etc/apex-rtm with a sample rtm.json, a token secret and an API key. It never changes a file in
# /etc/apex-rtm that is there, needs no network, and does not start or restart the service.
#
# --root <dir> installs below another root (images, tests): no user, no owner, no systemctl.
set -eu
umask 022

say() { printf '%s\n' "$*"; }
die() {
  printf 'install.sh: %s\n' "$*" >&2
  exit 2
}

root=
if [ "${1-}" = --root ]; then
  [ -d "${2-}" ] || die "--root: ${2-} is not a directory"
  root=$2
  shift 2
fi
[ $# -eq 1 ] || die "usage: install.sh [--root <dir>] apex-rtm-<version>.tgz"
[ -f "$1" ] || die "$1: no such file; make it with npm pack, or take the one of the release"
tarball=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
[ -n "$root" ] || [ "$(id -u)" -eq 0 ] || die "needs root (sudo)"

for program in node npm tar; do
  command -v "$program" >/dev/null || die "$program is missing; see docs/install-oracle-linux.md"
done
if ! node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)'; then
  die "Node.js $(node --version) is too old; 20.19 or later is needed"
fi
if [ -z "$root" ] && [ ! -x /usr/bin/node ]; then
  die "the units start /usr/bin/node, but node is $(command -v node); install Node.js by its package"
fi

version=$(tar -xzOf "$tarball" package/package.json |
  node -e 'const p = JSON.parse(require("fs").readFileSync(0, "utf8")); if (p.name !== "apex-rtm") process.exit(1); console.log(p.version)') ||
  die "$1 is not a packed apex-rtm"

home=$root/opt/apex-rtm
units=$root/etc/systemd/system
package=node_modules/apex-rtm

if [ -z "$root" ] && ! getent passwd apex-rtm >/dev/null; then
  useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /sbin/nologin apex-rtm
  say "user apex-rtm created"
fi

# The package carries its dependencies, so npm needs no registry.
mkdir -p "$home/versions"
staging=$home/versions/.staging
rm -rf "$staging"
mkdir "$staging"
trap 'rm -rf "$staging"' EXIT
npm install --prefix "$staging" --offline --ignore-scripts --no-audit --no-fund --omit=dev \
  --loglevel=error --cache "$staging/.npm" "$tarball" >/dev/null
rm -rf "$staging/.npm"
node "$staging/$package/build/cli/rtm.js" --version >/dev/null
rm -rf "$home/versions/$version.old"
if [ -e "$home/versions/$version" ]; then mv "$home/versions/$version" "$home/versions/$version.old"; fi
mv "$staging" "$home/versions/$version"
rm -rf "$home/versions/$version.old"
previous=$(readlink "$home/current" || true)
ln -sfn "versions/$version" "$home/current.new"
mv -T "$home/current.new" "$home/current"
# The previous version stays, for a way back.
if [ -n "$previous" ] && [ "$previous" != "versions/$version" ]; then
  for old in "$home"/versions/*; do
    case versions/${old##*/} in
    "versions/$version" | "$previous") ;;
    *) rm -rf "$old" && say "removed version ${old##*/}" ;;
    esac
  done
fi
say "apex-rtm $version is in /opt/apex-rtm/current"

mkdir -p "$root/usr/local/bin"
cat >"$root/usr/local/bin/rtm" <<'EOF'
#!/bin/sh
exec /usr/bin/node /opt/apex-rtm/current/node_modules/apex-rtm/build/cli/rtm.js "$@"
EOF
chmod 755 "$root/usr/local/bin/rtm"
# sudo of Oracle Linux looks in /usr/bin and not in /usr/local/bin (secure_path).
mkdir -p "$root/usr/bin"
if [ ! -e "$root/usr/bin/rtm" ] && [ ! -L "$root/usr/bin/rtm" ]; then
  ln -s /usr/local/bin/rtm "$root/usr/bin/rtm"
fi

mkdir -p "$units"
for unit in rtm.service rtm-relay.service rtm-worker@.service; do
  install -m 644 "$home/current/$package/systemd/$unit" "$units/$unit"
done
# A sample configuration and secrets, where they are not there yet. It says what to do next.
node "$home/current/$package/build/cli/rtm.js" init --root "${root:-/}"
if [ -z "$root" ]; then
  if command -v restorecon >/dev/null; then restorecon -RF /opt/apex-rtm /etc/apex-rtm >/dev/null; fi
  # While an image is built no systemd runs (sd_booted(3)).
  if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
fi
say "      and: systemctl enable --now rtm; after an upgrade: systemctl restart rtm"
