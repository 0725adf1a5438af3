/** The service as it is installed: `rtm serve` in a process of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { built } from "../support/build.ts";
import { freePort } from "../support/free-port.ts";
import { PASSWORD } from "../worker/support.ts";
import type { NodeOptions, ServiceNode } from "./node.ts";

async function untilReady(port: number, child: ChildProcess, output: string[]): Promise<void> {
  const deadline = performance.now() + 60_000;
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined);
    await answer?.arrayBuffer();
    if (answer?.status === 200) return;
    if (child.exitCode !== null || performance.now() > deadline) {
      throw new Error(`rtm serve is not ready:\n${output.join("")}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

export async function startProcess(options: NodeOptions): Promise<ServiceNode> {
  const { world, stateDirectory, worker } = options;
  const port = options.port === 0 ? await freePort() : options.port;
  const file = join(stateDirectory, "rtm.json");
  const config = {
    log: { level: "warn" },
    database: { connectString: world.emulator.connectString, user: "RTM", password: PASSWORD },
    service: { admin: { enabled: false }, stateDirectory },
    worker,
    relay: {
      port,
      insecure: true,
      drain: { window: "0s", grace: "50ms" },
    },
  };
  await writeFile(file, JSON.stringify(config), { mode: 0o600 });
  const child = spawn(process.execPath, [built("cli/rtm.js"), "serve", "--config", file], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (bytes: Buffer) => output.push(bytes.toString()));
  }
  const ended = once(child, "exit");
  const end = async (signal: NodeJS.Signals) => {
    child.kill(signal);
    return (await ended) as [number | null, NodeJS.Signals | null];
  };
  try {
    await untilReady(port, child, output);
  } catch (error) {
    await end("SIGKILL");
    throw error;
  }
  return {
    port,
    async stop() {
      const [code] = await end("SIGTERM");
      if (code !== 0) throw new Error(`rtm serve ended with ${code}:\n${output.join("")}`);
    },
    async crash() {
      await end("SIGKILL");
    },
  };
}
