/** Followers of the log that only read: what many nodes cost the engine. Arguments: its port, how many. */
import type { LogReader } from "../../relay/log/log.ts";
import { sharedLog } from "./log.ts";
import type { Command, Report } from "./protocol.ts";
import { Receipts } from "./receipts.ts";

const [enginePort, count] = [Number(process.argv[2]), Number(process.argv[3])];
const tell = (report: Report) => process.send?.(report);
const receipts = new Receipts();

const reader: LogReader = {
  reset() {},
  apply(batch) {
    for (const { payload } of batch) receipts.got(payload);
  },
  headOf: () => 0,
  notice() {},
  current() {},
};

await Promise.all(Array.from({ length: count }, () => sharedLog(enginePort).follow(reader)));
const began = process.cpuUsage();
tell({ is: "listening", port: 0 });

process.on("message", async (command: Command) => {
  if (command.do === "cpu") {
    const { user, system } = process.cpuUsage(began);
    tell({ is: "cpu", seconds: (user + system) / 1e6 });
  } else if (command.do === "await") tell(await receipts.report(command.deliveries));
  else if (command.do === "stop") process.exit(0);
});
