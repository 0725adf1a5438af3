import { MemoryLog } from "../../relay/log/memory-log.ts";
import { describeLog } from "./contract.ts";

describeLog("memory", {
  async open({ ids = 100_000 } = {}) {
    const duplicates = { count: ids, window: 900_000 };
    return { log: new MemoryLog({ duplicates, clock: () => performance.now() }) };
  },
});
