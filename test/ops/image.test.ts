/**
 * The container image: built by buildah on a base of this machine's Node.js (no registry is needed), and
 * run by runc as the archive's own configuration says, with a read-only root, without capabilities, as
 * a user without rights. Needs root: RTM_TEST_PACKAGES=1.
 */
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { VERSION } from "../../cli/version.ts";
import { RtmSchema, startEmulator } from "../../emulator/index.ts";
import { built } from "../support/build.ts";
import { freePort } from "../support/free-port.ts";
import { has, Program, temporaryDirectory } from "../support/programs.ts";
import { ready } from "./installed.ts";

const OPTED_IN = process.env.RTM_TEST_PACKAGES === "1";
const TOOLS = ["buildah", "runc"].filter((program) => !has(program));
const SKIP = !OPTED_IN || TOOLS.length > 0;
const why = !OPTED_IN
  ? " (skipped: long and needs root; RTM_TEST_PACKAGES=1)"
  : TOOLS.length > 0
    ? ` (skipped: no ${TOOLS.join(", no ")})`
    : "";

/** What is added to a base: dependencies, worker, relay, plug-ins, SQL. */
const OWN_MIB_LIMIT = 20;
const PASSWORD = "emulator-password";
const USER = 65_532;

function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8", env });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${stderr}${stdout}`);
  return stdout;
}

/** A storage of the test's own: nothing of it stays, and nothing of the machine's is touched. */
function ownStorage(directory: string): NodeJS.ProcessEnv {
  const file = join(directory, "storage.conf");
  const places = `graphroot = "${directory}/images"\nrunroot = "${directory}/run"\n`;
  writeFileSync(file, `[storage]\ndriver = "vfs"\n${places}`);
  return { ...process.env, CONTAINERS_STORAGE_CONF: file };
}

/** Node.js of this machine with the libraries that it loads, where distroless has it. */
function makeBase(directory: string, env: NodeJS.ProcessEnv): string {
  const root = join(directory, "base");
  const copy = (from: string, to = from) => {
    mkdirSync(dirname(join(root, to)), { recursive: true });
    copyFileSync(from, join(root, to));
  };
  copy(process.execPath, "/nodejs/bin/node");
  chmodSync(join(root, "nodejs/bin/node"), 0o755);
  const libraries = run("ldd", [process.execPath]).matchAll(/(\/\S+)\s+\(0x/g);
  for (const [, path] of libraries) {
    copy(path!);
    chmodSync(join(root, path!), 0o755);
  }
  mkdirSync(join(root, "etc"));
  writeFileSync(join(root, "etc/passwd"), `nonroot:x:${USER}:${USER}::/:/sbin/nologin\n`);
  writeFileSync(join(directory, "Base"), "FROM scratch\nCOPY base/ /\n");
  run(
    "buildah",
    ["build", "--tag", "localhost/base", "--file", join(directory, "Base"), directory],
    env,
  );
  return "localhost/base";
}

interface ImageConfig {
  readonly User: string;
  readonly Env: readonly string[];
  readonly Entrypoint: readonly string[];
  readonly Cmd: readonly string[];
  readonly StopSignal: string;
  readonly Healthcheck: { readonly Test: readonly string[] };
  readonly ExposedPorts: object;
}

/** The archive that is shipped, as a root directory and its configuration. */
function unpack(archive: string, directory: string): { root: string; config: ImageConfig } {
  const parts = join(directory, "archive");
  const root = join(directory, "root");
  for (const path of [parts, root]) mkdirSync(path);
  run("tar", ["-xf", archive, "-C", parts]);
  const json = (name: string) => JSON.parse(readFileSync(join(parts, name), "utf8"));
  const [{ Config, Layers, RepoTags }] = json("manifest.json");
  // The manifests of Kubernetes name the second one.
  expect(RepoTags.sort()).toEqual([
    `docker.io/library/apex-rtm:${VERSION}`,
    `localhost/apex-rtm:${VERSION}`,
  ]);
  for (const layer of Layers) run("tar", ["-xpf", join(parts, layer), "-C", root]);
  return { root, config: json(Config).config };
}

function mib(folder: string): number {
  let bytes = 0;
  for (const file of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    const found = lstatSync(join(folder, file));
    if (found.isFile()) bytes += found.size;
  }
  return bytes / 1024 / 1024;
}

/** A container of `image`, run by runc as an engine does when it is told to give it nothing. */
class Container {
  readonly id = `rtm-test-${process.pid}-${Math.trunc(performance.now())}`;
  readonly #config: ImageConfig;
  readonly #bundle: string;
  readonly #state: string;

  constructor(
    root: string,
    config: ImageConfig,
    directory: string,
    configuration: string,
    command: readonly string[],
    env: readonly string[],
  ) {
    this.#config = config;
    this.#bundle = join(directory, "bundle");
    this.#state = join(directory, "runc");
    mkdirSync(this.#bundle);
    run("runc", ["spec", "--bundle", this.#bundle]);
    const file = join(this.#bundle, "config.json");
    const spec = JSON.parse(readFileSync(file, "utf8"));
    const [uid, gid] = config.User.split(":").map(Number);
    spec.process = {
      ...spec.process,
      terminal: false,
      user: { uid, gid },
      args: [...config.Entrypoint, ...command],
      // Its loopback is the machine's here. Of two settings of a variable the first one counts.
      env: [...env, "RTM_RELAY_HOST=127.0.0.1", ...config.Env],
      noNewPrivileges: true,
    };
    for (const set of Object.keys(spec.process.capabilities)) spec.process.capabilities[set] = [];
    spec.root = { path: root, readonly: true };
    const bind = (destination: string, source: string) => ({
      ...{ destination, source, type: "bind" },
      options: ["bind", "ro", "nosuid", "nodev", "noexec"],
    });
    spec.mounts.push(bind("/etc/apex-rtm", configuration), {
      ...{ destination: "/var/lib/apex-rtm", source: "tmpfs", type: "tmpfs" },
      options: ["nosuid", "nodev", "noexec", "mode=700", `uid=${uid}`, `gid=${gid}`],
    });
    // The emulator and this test are on the loopback of the machine.
    const { namespaces } = spec.linux;
    spec.linux.namespaces = namespaces.filter(({ type }: { type: string }) => type !== "network");
    writeFileSync(file, JSON.stringify(spec));
  }

  start(): Program {
    onTestFinished(() => {
      spawnSync("runc", ["--root", this.#state, "delete", "--force", this.id]);
    });
    const args = ["--root", this.#state, "run", "--bundle", this.#bundle, this.id];
    return new Program("runc", args);
  }

  /** What an engine does for the health check: the command in the container, as its user. */
  health(): number | null {
    const [kind, ...command] = this.#config.Healthcheck.Test;
    expect(kind).toBe("CMD");
    return spawnSync("runc", ["--root", this.#state, "exec", this.id, ...command]).status;
  }

  stop(): void {
    run("runc", ["--root", this.#state, "kill", this.id, this.#config.StopSignal]);
  }
}

describe.skipIf(SKIP)(`container image${why}`, () => {
  beforeAll(() => {
    if (process.getuid?.() !== 0) throw new Error("RTM_TEST_PACKAGES needs root");
  });

  it("is small, serves with nothing but a user id, is healthy, and stops on SIGTERM", {
    timeout: 900_000,
  }, async () => {
    const directory = temporaryDirectory();
    const env = ownStorage(directory);
    const base = makeBase(directory, env);
    run(process.execPath, [built("scripts/packages/main.js"), "image"], {
      ...env,
      RTM_IMAGE_BASE: base,
    });
    const archive = `build/packages/apex-rtm-${VERSION}-image.tar`;
    const { root, config } = unpack(archive, directory);
    expect(config).toMatchObject({
      User: `${USER}:${USER}`,
      StopSignal: "SIGTERM",
      ExposedPorts: { "3000/tcp": {} },
      Cmd: ["serve"],
      Env: expect.arrayContaining(["RTM_RELAY_HOST=0.0.0.0"]),
    });
    const own = mib(root) - mib(join(directory, "base"));
    console.log(`image: ${own.toFixed(1)} MiB above its base, ${mib(root).toFixed(1)} in all`);
    expect(own).toBeLessThan(OWN_MIB_LIMIT);
    const state = statSync(join(root, "var/lib/apex-rtm"));
    expect(state).toMatchObject({ uid: USER, gid: USER });
    expect(state.mode & 0o777).toBe(0o700);
    const parent = statSync(join(root, "var/lib"));
    expect(parent).toMatchObject({ uid: 0, gid: 0 });
    expect(parent.mode & 0o777).toBe(0o755);

    await using emulator = await startEmulator({ users: { RTM: PASSWORD } });
    const schema = new RtmSchema(emulator);
    const etc = join(directory, "etc");
    const [port, adminPort] = [await freePort(), await freePort()];
    mkdirSync(etc);
    chmodSync(directory, 0o755);
    writeFileSync(join(etc, "db-password"), PASSWORD);
    writeFileSync(
      join(etc, "rtm.json"),
      JSON.stringify({
        database: {
          connectString: emulator.connectString,
          user: "RTM",
          passwordFile: "/etc/apex-rtm/db-password",
        },
        worker: { queues: [{ name: schema.queueName }] },
        relay: { port, insecure: true },
      }),
    );
    const container = new Container(root, config, directory, etc, config.Cmd, [
      `RTM_SERVICE_ADMIN_PORT=${adminPort}`,
    ]);
    const program = container.start();
    const relay = `http://127.0.0.1:${port}`;
    const ended = program.exited.then((code) => {
      throw new Error(`it ended with ${code}: ${program.output}`);
    });
    await Promise.race([ready(relay), ended]);
    ended.catch(() => {});
    expect(container.health()).toBe(0);

    program.output = "";
    container.stop();
    expect(await program.exited, program.output).toBe(0);
  });
});
