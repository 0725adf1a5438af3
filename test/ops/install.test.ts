/**
 * systemd/install.sh as root on a host: this machine's files under an overlay, so that nothing of the
 * machine changes. pack.test.ts has the rest, below --root. Needs root: RTM_TEST_PACKAGES=1.
 */
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { VERSION } from "../../cli/version.ts";
import { temporaryDirectory } from "../support/programs.ts";

const OPTED_IN = process.env.RTM_TEST_PACKAGES === "1";
const why = OPTED_IN ? "" : " (skipped: long and needs root; RTM_TEST_PACKAGES=1)";

/** A `systemctl` that says how it was called; before any other on the path. */
const SYSTEMCTL = `#!/bin/sh\necho "systemctl $*" >>/opt/systemctl-calls\n`;

/** A host whose files are this machine's until it writes them. */
class Host {
  readonly #directory = temporaryDirectory();
  readonly #tarball: string;

  constructor(tarball: string) {
    for (const name of ["upper", "work", "root"]) mkdirSync(join(this.#directory, name));
    this.#tarball = join(this.#directory, "apex-rtm.tgz");
    copyFileSync(tarball, this.#tarball);
    this.run(`
      [ -x /usr/bin/node ] || ln -s "$(command -v node)" /usr/bin/node
      cat >/usr/local/bin/systemctl <<'END'\n${SYSTEMCTL}END
      chmod 755 /usr/local/bin/systemctl`);
  }

  /** A script on the host. @throws it failed @param systemd whether one runs (sd_booted(3)) */
  run(script: string, { systemd = false } = {}): string {
    const root = join(this.#directory, "root");
    const setUp = `
      mount -t overlay overlay -o lowerdir=/,upperdir=${this.#directory}/upper,workdir=${this.#directory}/work ${root}
      mount --rbind /dev ${root}/dev
      mount -t proc proc ${root}/proc
      mount -t tmpfs tmpfs ${root}/run
      ${systemd ? `mkdir -p ${root}/run/systemd/system` : ""}
      mkdir -p ${root}${this.#directory}
      mount --bind ${this.#directory} ${root}${this.#directory}
      chroot ${root} sh -euc "$1"`;
    const args = ["--mount", "--pid", "--fork", "sh", "-euc", setUp, "sh", script];
    const { status, stdout, stderr } = spawnSync("unshare", args, { encoding: "utf8" });
    if (status !== 0) throw new Error(`${script}: ${stderr}${stdout}`);
    expect(stderr).toBe("");
    return stdout;
  }

  install(options: { systemd?: boolean } = {}): string {
    const script = join(process.cwd(), "systemd/install.sh");
    // A registry is not reached, and no cache is used.
    const npm = "npm_config_registry=http://127.0.0.1:9 HOME=/opt/home";
    return this.run(`${npm} sh ${script} ${this.#tarball}`, options);
  }
}

describe.skipIf(!OPTED_IN)(`install.sh${why}`, () => {
  let directory: string;
  let tarball: string;

  beforeAll(() => {
    if (process.getuid?.() !== 0) throw new Error("RTM_TEST_PACKAGES needs root");
    directory = mkdtempSync(join(tmpdir(), "rtm-test-"));
    const packed = spawnSync("npm", ["pack", "--pack-destination", directory]);
    expect(packed.status).toBe(0);
    tarball = join(directory, `apex-rtm-${VERSION}.tgz`);
  }, 600_000);

  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  it("installs where no systemd runs, as while an image is built, with the rights of the service", {
    timeout: 600_000,
  }, () => {
    const host = new Host(tarball);
    expect(host.install()).toContain("user apex-rtm created");
    const calls = "cat /opt/systemctl-calls 2>&1 || true";
    expect(host.run(calls)).toContain("No such file");
    const owners = host.run("stat -c '%n %U:%G %a' /etc/apex-rtm /etc/apex-rtm/*");
    expect(owners.trim().split("\n")).toEqual([
      "/etc/apex-rtm root:apex-rtm 750",
      "/etc/apex-rtm/api-key root:apex-rtm 640",
      "/etc/apex-rtm/rtm.json root:apex-rtm 640",
      "/etc/apex-rtm/token-secret root:apex-rtm 640",
    ]);
    const asService = "setpriv --reuid apex-rtm --regid apex-rtm --clear-groups";
    expect(host.run(`${asService} /usr/bin/rtm check-config --role relay`)).toContain(
      "configuration is valid (/etc/apex-rtm/rtm.json)",
    );
    // Nobody else reads a secret.
    const asNobody = "setpriv --reuid nobody --regid nogroup --clear-groups";
    expect(host.run(`${asNobody} cat /etc/apex-rtm/token-secret 2>&1 || true`)).toContain("denied");
  });

  it("tells a systemd that runs, keeps the previous version and removes older ones", {
    timeout: 600_000,
  }, () => {
    const host = new Host(tarball);
    host.run(`
      mkdir -p /opt/apex-rtm/versions/0.0.1 /opt/apex-rtm/versions/0.0.2
      ln -s versions/0.0.2 /opt/apex-rtm/current`);
    const first = host.install({ systemd: true });
    expect(first).toContain("removed version 0.0.1");
    expect(host.run("cat /opt/systemctl-calls")).toBe("systemctl daemon-reload\n");
    expect(host.run("ls /opt/apex-rtm/versions; readlink /opt/apex-rtm/current")).toBe(
      `0.0.2\n${VERSION}\nversions/${VERSION}\n`,
    );
    // The same version again is no reason to lose the one before it.
    const again = host.install({ systemd: true });
    expect(again).not.toContain("removed version");
    expect(again).toContain("kept    /etc/apex-rtm/rtm.json");
    expect(host.run("ls /opt/apex-rtm/versions")).toBe(`0.0.2\n${VERSION}\n`);
    const unit = host.run("cat /etc/systemd/system/rtm.service");
    expect(unit).toBe(readFileSync("systemd/rtm.service", "utf8"));
  });
});
