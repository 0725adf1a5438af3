import { type EmulatorOptions, startEmulator } from "../../emulator/index.ts";
import type { ContractTarget } from "./contract-target.ts";

/** The emulator as a target of the contract. */
export async function emulatorTarget(options: Partial<EmulatorOptions>): Promise<ContractTarget> {
  const emulator = await startEmulator({ users: { RTM_TEST: "secret" }, ...options });
  let queues = 0;
  let kills = 0;
  return {
    host: "127.0.0.1",
    port: emulator.port,
    serviceName: emulator.serviceName,
    user: "RTM_TEST",
    password: "secret",
    hasJsonQueues: true,
    async createQueue({ json = false, maxRetries = 5, subscribers = [] } = {}) {
      const table = `RTM_T${++queues}`;
      const queue = emulator.createQueue({
        name: `RTM_TEST.RTM_Q${queues}`,
        table,
        payload: json ? "JSON" : "RAW",
        maxRetries,
        subscribers,
      });
      emulator.queue(queue.exceptionQueue).start();
      return {
        name: queue.name,
        exceptionQueue: queue.exceptionQueue,
        depth: async () => queue.depth(),
        enqueueUndecodable: async (text) => {
          queue.enqueue(json ? { text } : text, { userProperties: true });
        },
        stop: async () => queue.stop(),
      };
    },
    async prepareKill(connection) {
      const action = `kill-${++kills}`;
      connection.action = action;
      await connection.ping();
      const session = emulator.sessions().find((one) => one.action === action)!;
      return async () => emulator.faults.terminate(session);
    },
    close: () => emulator.close(),
  };
}
