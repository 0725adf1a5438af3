/** The service under test, in this process or in one of its own. */
import type { Relay } from "../../relay/relay.ts";
import type { Worker } from "../../worker/worker.ts";
import { startTestRelay } from "../relay/support.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";
import type { World } from "../worker/support.ts";

export interface ServiceNode {
  /** Port of its relay. */
  readonly port: number;
  /** As SIGTERM. */
  stop(): Promise<void>;
  /** As `kill -9`: from here on it does nothing any more. */
  crash(): Promise<void>;
}

export interface NodeOptions {
  readonly world: World;
  readonly stateDirectory: string;
  /** 0 the first time. */
  readonly port: number;
  readonly worker: object;
  /** Asked before each hand-over: whether the relay is to refuse it. */
  readonly refuse: () => boolean;
}

/** Worker and relay here; its database connections go through a proxy that a crash cuts. */
export async function startInProcess(options: NodeOptions): Promise<ServiceNode> {
  const { world, stateDirectory, port, refuse } = options;
  const proxy = await TcpProxy.to(world.emulator.port);
  const relay: Relay = await startTestRelay({
    port,
    insecure: true,
    stateDirectory,
    drain: { window: "0s", grace: "50ms" },
  });
  const worker: Worker = world.startWorker(
    options.worker,
    {
      publisher: {
        publish: async (batch, source) =>
          refuse()
            ? batch.map(() => ({ status: "unavailable", code: "unavailable", message: "refused" }))
            : relay.publisher.publish(batch, source),
        control: (items, source) => relay.publisher.control(items, source),
      },
    },
    { connectString: world.through(proxy) },
    { callGrace: 150, connectTimeout: 500 },
  );
  return {
    port: relay.port,
    async stop() {
      await worker.stop();
      await relay.drain();
      await proxy.close();
    },
    async crash() {
      // Everything up to the first await is one moment: nothing of the dead gets through after it.
      proxy.cut();
      for (const session of world.emulator.sessions()) {
        if (session.module === "apex-rtm") world.emulator.faults.kill(session);
      }
      await Promise.all([relay.close(), worker.stop()]);
      await proxy.close();
    },
  };
}
