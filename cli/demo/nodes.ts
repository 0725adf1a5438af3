/** The nodes of the demo: each `rtm serve` in a process of its own. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Supervised } from "./supervised.ts";

const RTM = fileURLToPath(new URL("../rtm.js", import.meta.url));
/** A node that was killed stays away for so long, ms. */
const AWAY_MS = 5000;
const ASK_MS = 500;

/** What the page shows of a node. */
export interface NodeState {
  readonly name: string;
  /** `away`: its process is gone; `starting`: it is not ready; `ready`. */
  readonly state: "away" | "starting" | "ready";
  /** Whether it dequeues. */
  readonly leads: boolean;
  readonly pages: number;
  /** How often its process has started. */
  readonly starts: number;
}

export class DemoNode {
  readonly process: Supervised;
  readonly adminPort: number;

  /** @param config beside the ports, the same on all nodes */
  constructor(
    name: string,
    config: { relay: object; service: object },
    ports: { readonly relay: number; readonly admin: number },
    directory: string,
  ) {
    this.adminPort = ports.admin;
    mkdirSync(directory, { mode: 0o700 });
    const file = join(directory, "rtm.json");
    const own = {
      ...config,
      relay: { ...config.relay, port: ports.relay },
      service: { ...config.service, admin: { port: ports.admin }, stateDirectory: directory },
    };
    writeFileSync(file, JSON.stringify(own), { mode: 0o600 });
    this.process = new Supervised(name, {
      command: process.execPath,
      args: [RTM, "serve", "--config", file],
      awayMs: AWAY_MS,
    });
  }

  async state(): Promise<NodeState> {
    const { name, running, starts } = this.process;
    const gone = { name, leads: false, pages: 0, starts } as const;
    if (!running) return { ...gone, state: "away" };
    try {
      const admin = `http://127.0.0.1:${this.adminPort}`;
      const ask = (path: string) =>
        fetch(`${admin}${path}`, { signal: AbortSignal.timeout(ASK_MS) });
      const [ready, metrics] = await Promise.all([ask("/readyz"), ask("/metrics")]);
      await ready.arrayBuffer();
      const text = await metrics.text();
      return {
        ...gone,
        state: ready.status === 200 ? "ready" : "starting",
        leads: /^rtm_worker_state\{[^}]*state="active"[^}]*\} 1$/m.test(text),
        pages: Number(/^rtm_relay_connections(?:\{[^}]*\})? (\d+)$/m.exec(text)?.[1] ?? 0),
      };
    } catch {
      return { ...gone, state: "starting" };
    }
  }
}
