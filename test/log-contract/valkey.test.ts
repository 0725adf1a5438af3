import { ENGINE_MISSING, RedisServer } from "../support/redis-server.ts";
import { describeLog } from "./contract.ts";
import { valkeyLog } from "./valkey.ts";

describeLog(
  "Valkey or Redis",
  {
    async open(settings) {
      const server = await RedisServer.start();
      const another = () => valkeyLog(server.url, settings);
      return { log: another(), another };
    },
  },
  ENGINE_MISSING,
);
