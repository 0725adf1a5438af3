/** The emulator in a process of its own, so that its CPU is not the measured one's. */
import oracledb from "oracledb";
import { RtmSchema, startEmulator } from "../../emulator/index.ts";
import {
  type DatabaseCommand,
  type DatabaseReport,
  type Framing,
  PASSWORD,
  queueMessage,
} from "./protocol.ts";

const profile = process.argv[2] as Framing;
const emulator = await startEmulator({ profile, users: { RTM: PASSWORD } });
const schema = new RtmSchema(emulator);
const connection = await oracledb.getConnection({
  connectString: emulator.connectString,
  user: "RTM",
  password: PASSWORD,
});
const queue = await connection.getQueue(schema.queueName);
const report = (what: DatabaseReport) => process.send!(what);

/** One commit: all become visible in the same moment. */
async function publish(count: number, bytes: number): Promise<void> {
  await queue.enqMany(Array.from({ length: count }, () => queueMessage(bytes)));
  await connection.commit();
}

async function bursts(size: number, count: number, gapMs: number): Promise<void> {
  for (let burst = 0; burst < count; burst++) {
    await publish(size, 200);
    await new Promise((resolve) => setTimeout(resolve, gapMs));
  }
}

async function obey(command: DatabaseCommand): Promise<void> {
  if (command.do === "fill") {
    for (let left = command.messages; left > 0; left -= 1000) {
      await publish(Math.min(1000, left), command.bytes);
    }
    report({ is: "filled" });
  } else if (command.do === "bursts") {
    await bursts(command.size, command.count, command.gapMs);
    report({ is: "burst-end" });
  } else if (command.do === "count-trips") {
    const dequeuer = emulator.sessions().find(({ calls }) => (calls.dequeue ?? 0) > 0)!;
    report({ is: "trips", count: dequeuer.roundTrips });
  } else {
    await connection.close();
    await emulator.close();
    process.disconnect();
  }
}

process.on("message", (command: DatabaseCommand) => void obey(command));
report({ is: "listening", connectString: emulator.connectString });
