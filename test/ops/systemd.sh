# A machine of its own for test/ops/systemd.test.ts: systemd as process 1 of its own namespaces, with our
# units and nothing else of this machine's. What it changes in /etc, /run, /opt and /var/lib ends with it.
# usage: systemd.sh <directory of the package> <node>
set -e
package=$1
node=$2
if [ "$3" != inside ]; then
  group=/sys/fs/cgroup/systemd/rtm-test-$$
  if [ -d /sys/fs/cgroup/systemd ]; then
    mkdir "$group"
    echo $$ > "$group/cgroup.procs"
  fi
  exec unshare --mount --pid --fork --kill-child --uts --ipc --cgroup sh "$0" "$package" "$node" inside
fi
mount --make-rprivate /
mount -t proc proc /proc
mount -t tmpfs tmpfs /run
mkdir /run/etc /run/work
mount -t overlay -o lowerdir=/etc,upperdir=/run/etc,workdir=/run/work overlay /etc
for private in /etc/systemd /usr/lib/systemd/system /usr/lib/systemd/system-generators /var/lib /opt; do
  mount -t tmpfs tmpfs "$private"
done
if [ -d /sys/fs/cgroup/systemd ]; then
  umount -R /sys/fs/cgroup
  mount -t tmpfs tmpfs /sys/fs/cgroup
  mkdir /sys/fs/cgroup/systemd
  mount -t cgroup -o none,name=systemd,xattr cgroup /sys/fs/cgroup/systemd
fi
home=/opt/apex-rtm/current/node_modules/apex-rtm
mkdir -p "$home" /etc/apex-rtm /etc/systemd/system
mount --bind "$package" "$home"
[ "$node" = /usr/bin/node ] || mount --bind "$node" /usr/bin/node
echo 'apex-rtm:x:64999:64999::/nonexistent:/usr/sbin/nologin' >> /etc/passwd
echo 'apex-rtm:x:64999:' >> /etc/group
cp "$package"/systemd/*.service /etc/systemd/system
for target in sysinit basic shutdown umount multi-user network-online rtm-test; do
  printf '[Unit]\nDefaultDependencies=no\n' > /etc/systemd/system/$target.target
done
for unit in rtm rtm-relay rtm-worker@; do
  mkdir /etc/systemd/system/$unit.service.d
  printf '[Service]\nStandardOutput=append:/run/rtm.log\nStandardError=append:/run/rtm.log\nWatchdogSec=4s\n' \
    > /etc/systemd/system/$unit.service.d/test.conf
done
exec env container=rtm-test /usr/lib/systemd/systemd --system --unit=rtm-test.target --show-status=no
