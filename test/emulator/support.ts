import oracledb from "oracledb";
import { afterEach } from "vitest";
import {
  type Emulator,
  type EmulatorOptions,
  type ProfileName,
  startEmulator,
} from "../../emulator/index.ts";

export const PROFILES: ProfileName[] = ["19c", "23ai"];

const open: { emulator: Emulator; connections: oracledb.Connection[] }[] = [];

/** An emulator with one started RAW queue, `RTM.RTM_QUEUE`, and a way to connect to it. */
export async function withEmulator(options: Partial<EmulatorOptions> = {}) {
  const emulator = await startEmulator({ users: { rtm: "secret" }, ...options });
  const connections: oracledb.Connection[] = [];
  open.push({ emulator, connections });
  const queue = emulator.createQueue({ name: "RTM.RTM_QUEUE", table: "RTM_QT" });
  const connect = async (attributes: Partial<oracledb.ConnectionAttributes> = {}) => {
    const connection = await oracledb.getConnection({
      user: "rtm",
      password: "secret",
      connectString: emulator.connectString,
      ...attributes,
    });
    connections.push(connection);
    return connection;
  };
  return { emulator, queue, connect };
}

// Sessions that are still open are closed, and nothing may be left behind.
afterEach(async () => {
  for (const { emulator, connections } of open.splice(0)) {
    await emulator.faults.clear();
    await Promise.allSettled(connections.map((connection) => connection.close()));
    await emulator.waitFor(() => emulator.connections === 0);
    await emulator.close();
  }
});
