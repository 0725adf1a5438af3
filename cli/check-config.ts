/** `rtm check-config`: finds what is wrong before the service does. */
import { formatDuration } from "../common/units.ts";
import { descriptorProblem } from "../relay/http/accepts.ts";
import { configFile, type RtmConfig, readConfig } from "./config.ts";
import { sampleConfig } from "./reference.ts";
import { ROLES, type Role } from "./roles.ts";
import { clashes, requireRoles } from "./service/requirements.ts";

/** Between the batch in hand, the drain and the exit, ms. */
const STOP_MARGIN = 5_000;

/**
 * The longest a graceful stop takes, ms: a dequeue that a silent database leaves hanging up to the
 * watchdog's limit, rolling back and closing a session, the drain's window and grace, and a margin.
 * TimeoutStopSec must be above it.
 */
export function stopTimeMs({ database, worker, relay }: RtmConfig): number {
  const wait = Math.max(...worker.queues.map((queue) => queue.wait));
  const { window, grace } = relay.drain;
  return wait + 3 * database.callGrace + window + grace + STOP_MARGIN;
}

/**
 * @param role what will run with it; without it only the values are checked, not what is missing, and
 * values that do not go together in `rtm serve` are warnings
 * @throws {ConfigError}
 */
export function checkConfig(
  option: string | undefined,
  { sample = false, role }: { sample?: boolean; role?: Role } = {},
): void {
  if (sample) {
    process.stdout.write(sampleConfig());
    return;
  }
  const roles = role && ROLES[role];
  const config = readConfig(option, roles);
  if (roles) requireRoles(config, roles);
  else {
    for (const clash of clashes(config, ROLES.serve)) process.stdout.write(`warning: ${clash}\n`);
  }
  const fewDescriptors = roles?.relay ? descriptorProblem(config.relay) : undefined;
  if (fewDescriptors !== undefined) process.stdout.write(`warning: ${fewDescriptors}\n`);
  const file = configFile(option) ?? "no file: environment and defaults";
  process.stdout.write(
    `configuration is valid (${file})\n` +
      `a graceful stop takes at most ${formatDuration(stopTimeMs(config))}; TimeoutStopSec must be above it\n`,
  );
}
