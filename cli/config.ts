/** The whole configuration: the rooms' schemas joined. */
import { accessSync } from "node:fs";
import { z } from "zod";
import { ConfigError, loadConfig } from "../common/config.ts";
import { LOG_LEVELS } from "../common/logger.ts";
import { relayConfig } from "../relay/config/config.ts";
import { databaseConfig, workerConfig } from "../worker/config.ts";
import type { Roles } from "./roles.ts";
import { serviceConfig } from "./service/config.ts";

export const rtmConfig = z.strictObject({
  log: z
    .strictObject({
      level: z.enum(LOG_LEVELS).default("info").describe("Least severe level that is logged."),
    })
    .prefault({}),
  service: serviceConfig.prefault({}),
  database: databaseConfig.prefault({}),
  worker: workerConfig.prefault({}),
  relay: relayConfig.prefault({}),
});

export type RtmConfig = z.output<typeof rtmConfig>;

/**
 * The same for a host without a relay: `rtm worker` and `rtm doctor` use no more of the relay's part
 * than its address and limits, so they do not ask for keys.
 */
const withoutRelay: typeof rtmConfig = rtmConfig.extend({
  relay: z.strictObject(relayConfig.shape).prefault({}),
});

/** Looked for when neither `--config` nor RTM_CONFIG names a file. */
export const DEFAULT_FILES = ["rtm.json", "/etc/apex-rtm/rtm.json"];

/**
 * The file of `--config` or RTM_CONFIG, else the first of `DEFAULT_FILES` that exists, else none:
 * then environment and defaults must do.
 */
export function configFile(option: string | undefined): string | undefined {
  return option ?? process.env.RTM_CONFIG ?? DEFAULT_FILES.find(isThere);
}

/** A file that may not be seen is there: to say that there is none would mislead. */
function isThere(file: string): boolean {
  try {
    accessSync(file);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EACCES";
  }
}

/** @param roles whether a relay will run with it @throws {ConfigError} */
export function readConfig(
  option: string | undefined,
  roles: Pick<Roles, "relay"> = { relay: true },
): RtmConfig {
  const schema = roles.relay ? rtmConfig : withoutRelay;
  const file = configFile(option);
  try {
    return loadConfig(schema, file, process.env);
  } catch (error) {
    if (!(error instanceof ConfigError) || file !== undefined) throw error;
    const noFile =
      `no configuration file was found (${DEFAULT_FILES.join(", ")}): name one with --config, ` +
      "or start from what rtm check-config --sample prints";
    throw new ConfigError([...error.problems, noFile], { cause: error });
  }
}
