/** The files of examples/cluster/ with ports and paths of the test: engine, three nodes, load balancer. */

import { once } from "node:events";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { WebSocket } from "ws";
import { type ServeProcess, serveProcess } from "../faults/serve-process.ts";
import { Authority } from "../support/certificates.ts";
import { documentedRights } from "../support/engine-rights.ts";
import { freePort } from "../support/free-port.ts";
import { expectWholePages, movingPages } from "../support/pages.ts";
import { has, Program, temporaryDirectory } from "../support/programs.ts";
import { ENGINE_MISSING, ENGINE_PROGRAM } from "../support/redis-server.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";
import { until } from "../support/until.ts";
import { World } from "../worker/support.ts";
import { runNginx } from "./nginx.ts";

const PATIENCE = 120_000;
const example = (name: string) => readFileSync(join("examples/cluster", name), "utf8");
const missing = ENGINE_MISSING || (has("openssl") ? "" : " (skipped: no openssl)");

/** Every address of the example that stands for a node, in order. */
function withPorts(text: string, ports: readonly number[]): string {
  let next = 0;
  return text.replace(/10\.0\.0\.1[123]:3000/g, () => `127.0.0.1:${ports[next++]}`);
}

/** The engine, as engine.conf and users.acl say. */
async function startEngine(directory: string): Promise<number> {
  const authority = new Authority(directory, "engine-ca");
  const { certFile, keyFile } = authority.issue("engine", "IP:127.0.0.1");
  const [port, aclFile] = [await freePort(), join(directory, "users.acl")];
  const paths: Readonly<Record<string, string>> = {
    "bind 10.0.0.20": "bind 127.0.0.1",
    "tls-port 6380": `tls-port ${port}`,
    "/etc/valkey/engine.pem": certFile,
    "/etc/valkey/engine.key": keyFile,
    "/etc/valkey/ca.pem": authority.certFile,
    "/etc/valkey/users.acl": aclFile,
    "dir /var/lib/valkey": `dir ${directory}`,
  };
  let conf = example("engine.conf");
  for (const [from, to] of Object.entries(paths)) {
    expect(conf).toContain(from);
    conf = conf.replace(from, to);
  }
  writeFileSync(join(directory, "engine.conf"), conf);
  writeFileSync(aclFile, example("users.acl").replace(">PASSWORD", ">p@ss"));
  const url = join(directory, "engine-url");
  writeFileSync(url, `rediss://rtm:${encodeURIComponent("p@ss")}@127.0.0.1:${port}/0\n`);
  chmodSync(url, 0o600);
  const engine = new Program(ENGINE_PROGRAM as string, [join(directory, "engine.conf")]);
  await engine.printed(/Ready to accept connections/i);
  return port;
}

interface Nodes {
  readonly nodes: readonly ServeProcess[];
  /** The way of the first node to the engine. */
  readonly way: TcpProxy;
}

async function startNodes(directory: string, world: World): Promise<Nodes> {
  const way = await TcpProxy.to(await startEngine(directory));
  onTestFinished(() => way.close());
  const url = readFileSync(join(directory, "engine-url"), "utf8");
  const other = join(directory, "engine-url-by-proxy");
  writeFileSync(other, url.replace(/:\d+\//, `:${way.port}/`), { mode: 0o600 });
  let config = example("rtm.json");
  for (const name of ["token-secret", "api-key"]) {
    const path = join(directory, name);
    writeFileSync(path, `${"0123456789abcdef".repeat(3)}\n`, { mode: 0o600 });
    config = config.replace(`"${name}"`, JSON.stringify(path));
  }
  for (const name of ["engine-url", "engine-ca.pem"]) {
    config = config.replace(`"${name}"`, JSON.stringify(join(directory, name)));
  }
  // The emulator in place of the database: the environment names it.
  const { database, ...rest } = JSON.parse(config.replace("10.0.0.10", "127.0.0.1"));
  expect(database).toHaveProperty("passwordFile");
  const file = join(directory, "rtm.json");
  writeFileSync(file, JSON.stringify(rest), { mode: 0o600 });
  const env = {
    RTM_CONFIG: file,
    RTM_RELAY_INSECURE: "false",
    RTM_RELAY_HOST: "127.0.0.1",
    RTM_RELAY_PUBLIC_CHANNELS: '["sales"]',
    RTM_SERVICE_STATE_DIRECTORY: directory,
  };
  const nodes = await Promise.all(
    Array.from({ length: 3 }, (_, index) =>
      serveProcess(world, index === 0 ? { ...env, RTM_RELAY_LOG_URL_FILE: other } : env, PATIENCE),
    ),
  );
  for (const node of nodes) {
    await until("it is ready", async () => (await node.ready()).status === 200, PATIENCE);
  }
  return { nodes, way };
}

const FRONTS = {
  nginx: async (directory: string, ports: readonly number[]) => {
    const [port, plainPort] = [await freePort(), await freePort()];
    const upstream = withPorts(example("nginx.conf"), ports);
    const vhost = readFileSync("nginx/rtm.conf", "utf8");
    mkdirSync(join(directory, "conf"));
    // The vhost's own locations, without its certificate.
    writeFileSync(
      join(directory, "conf/locations.inc"),
      vhost
        .slice(vhost.indexOf("    location = / {"), vhost.lastIndexOf("}"))
        .replaceAll("/etc/nginx/apex-rtm/", `${directory}/conf/`),
    );
    runNginx({
      directory,
      relayPort: 0,
      edit: (text) =>
        text
          .replace(/upstream apex_rtm \{[^}]*\}/, upstream)
          .replace("listen 80;", `listen 127.0.0.1:${plainPort};`),
      http: `include ${directory}/conf/rtm-http.conf; server { listen 127.0.0.1:${port};
        include ${directory}/conf/locations.inc; }`,
    });
    return port;
  },
  haproxy: async (directory: string, ports: readonly number[]) => {
    const port = await freePort();
    const text = withPorts(example("haproxy.cfg"), ports).replace(
      /bind .*/,
      `bind 127.0.0.1:${port}`,
    );
    const file = join(directory, "haproxy.cfg");
    writeFileSync(file, text);
    new Program("haproxy", ["-db", "-f", file]);
    return port;
  },
} as const;

describe.skipIf(missing !== "")(`examples/cluster${missing}`, () => {
  it("its user has the rights that docs/cluster.md lists, and the default user has none", () => {
    const [byDefault, rtm] = example("users.acl").trim().split("\n") as [string, string];
    expect(byDefault).toBe("user default off resetkeys resetchannels -@all");
    const rights = rtm.split(" ").slice(4);
    expect(rights.sort()).toEqual([...documentedRights(), "resetkeys", "resetchannels"].sort());
  });

  for (const [name, start] of Object.entries(FRONTS)) {
    const why = has(name) ? "" : ` (skipped: no ${name})`;
    it.skipIf(!has(name))(
      `pages behind ${name} move when a node is killed, leave another that is cut off from the engine, and new ones come in${why}`,
      { timeout: 4 * PATIENCE },
      async () => {
        const world = await World.start();
        onTestFinished(() => world[Symbol.asyncDispose]());
        const directory = temporaryDirectory();
        const { nodes, way } = await startNodes(directory, world);
        const [deaf, , killed] = nodes as [ServeProcess, ServeProcess, ServeProcess];
        const front = await start(
          directory,
          nodes.map(({ port }) => port),
        );
        const url = `http://127.0.0.1:${front}`;
        const status = (path: string, init?: RequestInit) =>
          fetch(`${url}${path}`, init).then(
            (response) => response.status,
            () => 0,
          );
        await until("it passes requests on", async () => (await status("/readyz")) === 200);
        const pages = movingPages(12, "sales", () => [front]);
        await until("all pages are there", () => pages.every((page) => page.refreshes() === 1));
        const allHave = (count: number) =>
          pages.every(({ client }) => client.stream.length >= count);
        await world.publish(1, 10);
        killed.process.kill("SIGKILL");
        await world.publish(11, 20);
        await until("all pages have everything", () => allHave(20), PATIENCE);
        expectWholePages(pages, 20);
        const send = {
          method: "POST",
          headers: {
            "content-type": "application/json",
            "x-api-key": "0123456789abcdef".repeat(3),
          },
          body: '{"channel":"other","payload":1}',
        };
        for (let n = 0; n < 6; n++) expect(await status("/api/broadcast", send)).toBe(200);

        way.swallow();
        await until(
          "the first node knows that it is cut off",
          async () => (await deaf.ready()).reasons.includes("log_lost"),
          PATIENCE,
        );
        await world.publish(21, 40);
        const later = movingPages(6, "sales", () => [front]);
        await until(
          "all pages have everything, and new ones are in",
          () => allHave(40) && later.every((page) => page.refreshes() === 1),
          PATIENCE,
        );
        expectWholePages(pages, 40);
        for (let n = 0; n < 6; n++) {
          const stream = await fetch(`http://127.0.0.1:${front}/sse?channel=sales`);
          const { value } = await stream.body!.getReader().read();
          expect([stream.status, Buffer.from(value!).toString()]).toEqual([
            200,
            expect.stringContaining('"op":"subscribed"'),
          ]);
        }
        // HAProxy learns it from its own checks, nginx from the answers alone.
        if (name === "haproxy") return;
        for (let n = 0; n < 20; n++) {
          const ws = new WebSocket(`ws://127.0.0.1:${front}/ws`, ["rtm.v1"]);
          onTestFinished(() => ws.terminate());
          await once(ws, "open");
          ws.send('{"op":"connect"}');
          const [first] = await once(ws, "message");
          expect(first.toString()).toContain('"op":"connected"');
          const polled = await fetch(`http://127.0.0.1:${front}/poll`, {
            method: "POST",
            body: '{"op":"connect","waitMs":0}',
          });
          expect(polled.status).toBe(200);
        }
      },
    );
  }
});
