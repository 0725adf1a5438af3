/** `rtm demo --nodes`: a local engine, nodes on one log, and what stands before them. */
import { createServer } from "node:http";
import { join } from "node:path";
import type { Express } from "express";
import express from "express";
import { closeServer, listen } from "../../relay/http/listen.ts";
import { startEngine } from "./engine.ts";
import { Front } from "./front.ts";
import { DemoNode } from "./nodes.ts";
import { freePorts } from "./ports.ts";

export interface DemoCluster {
  readonly port: number;
  /** The admin listeners. */
  readonly admin: readonly { readonly node: string; readonly port: number }[];
  stop(): Promise<void>;
}

export interface ClusterOptions {
  readonly nodes: number;
  /** Of the page; 0 lets the system choose. */
  readonly port: number;
  readonly directory: string;
  /** Of every node, beside its ports and the log. */
  readonly config: { readonly relay: object; readonly service: object };
  /** Adds the page's routes. */
  extend(app: Express, cluster: { state(): Promise<object>; kill(name: string): boolean }): void;
}

/** @throws {CommandError} there is no engine */
export async function startCluster(options: ClusterOptions): Promise<DemoCluster> {
  const { nodes: count, port, directory, config, extend } = options;
  const [enginePort = 0, ...ports] = await freePorts(1 + 2 * count);
  const engine = await startEngine(enginePort, join(directory, "engine"));
  const shared = {
    ...config,
    relay: { ...config.relay, log: { kind: "valkey", url: engine.url } },
  };
  const relayPorts = ports.slice(0, count);
  const nodes = relayPorts.map((relay, index) => {
    const name = `node-${index + 1}`;
    const admin = ports[count + index] as number;
    return new DemoNode(name, shared, { relay, admin }, join(directory, name));
  });
  const processes = [...nodes.map((node) => node.process), engine.process];
  const stopProcesses = async () => {
    // The engine last, so that no node complains of its end.
    await Promise.all(nodes.map((node) => node.process.stop()));
    await engine.process.stop();
  };
  const app = express();
  app.disable("x-powered-by");
  extend(app, {
    state: async () => ({
      nodes: await Promise.all(nodes.map((node) => node.state())),
      engine: {
        name: engine.process.name,
        version: engine.version,
        state: engine.process.running ? "ready" : "away",
        starts: engine.process.starts,
      },
    }),
    kill: (name) => {
      const found = processes.find((each) => each.name === name && each.running);
      found?.kill();
      return found !== undefined;
    },
  });
  const front = new Front(relayPorts);
  app.use((request, response) => front.pass(request, response));
  const server = createServer(app);
  server.on("upgrade", (request, socket, head) => front.upgrade(request, socket, head));
  try {
    await listen(server, "127.0.0.1", port, "--port");
  } catch (error) {
    await stopProcesses();
    throw error;
  }
  const address = server.address();
  return {
    port: typeof address === "object" && address ? address.port : port,
    admin: nodes.map(({ process, adminPort }) => ({ node: process.name, port: adminPort })),
    stop: async () => {
      // With the nodes their WebSockets end, on which the server would wait.
      await stopProcesses();
      await closeServer(server);
    },
  };
}
