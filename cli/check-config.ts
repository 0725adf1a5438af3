/** `rtm check-config`: finds what is wrong before the service does. */
import { formatDuration } from "../common/units.ts";
import { configFile, type RtmConfig, readConfig } from "./config.ts";
import { sampleConfig } from "./reference.ts";

/** Between the batch in hand, the drain and the exit, ms. */
const STOP_MARGIN = 5_000;

/**
 * The longest a graceful stop takes, ms: a call in progress up to the watchdog's limit, closing the
 * session, the drain's window and grace, and a margin. TimeoutStopSec must be above it.
 */
export function stopTimeMs({ database, relay }: RtmConfig): number {
  return 2 * database.callGrace + relay.drain.window + relay.drain.grace + STOP_MARGIN;
}

/** @throws {ConfigError} */
export function checkConfig(option: string | undefined, sample: boolean): void {
  if (sample) {
    process.stdout.write(sampleConfig());
    return;
  }
  const config = readConfig(option);
  const file = configFile(option) ?? "no file: environment and defaults";
  process.stdout.write(
    `configuration is valid (${file})\n` +
      `a graceful stop takes at most ${formatDuration(stopTimeMs(config))}; TimeoutStopSec must be above it\n`,
  );
}
