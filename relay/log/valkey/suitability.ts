/** Whether an engine can keep what the log promises, from what INFO says. Pure. */
import { EngineUnsuitableError } from "./errors.ts";

/** What INFO said, by field. */
export type EngineInfo = ReadonlyMap<string, string>;

export interface Engine {
  /** `valkey` or `redis`. */
  readonly kind: "valkey" | "redis";
  readonly version: string;
  readonly runId: string;
}

/** Oldest versions with everything that the scripts use (XTRIM MINID came with 6.2). */
const OLDEST = { redis: [6, 2], valkey: [7, 2] } as const;

/** @param text the reply of INFO, several of them joined */
export function parseInfo(text: string): EngineInfo {
  const fields = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const colon = line.indexOf(":");
    if (colon > 0 && !line.startsWith("#")) fields.set(line.slice(0, colon), line.slice(colon + 1));
  }
  return fields;
}

function olderThan(version: string, [major, minor]: readonly [number, number]): boolean {
  const [a = 0, b = 0] = version.split(".").map(Number);
  return !(a > major || (a === major && b >= minor));
}

function isRealId(id: string | undefined): id is string {
  return id !== undefined && /^[0-9a-f]{40}$/.test(id) && !/^0+$/.test(id);
}

/** @throws {EngineUnsuitableError} it names what is wrong and the setting that mends it */
export function checkEngine(info: EngineInfo): Engine {
  const valkey = info.get("valkey_version");
  const kind = valkey === undefined ? "redis" : "valkey";
  const version = valkey ?? info.get("redis_version") ?? "unknown";
  if (version === "unknown" || olderThan(version, OLDEST[kind])) {
    throw new EngineUnsuitableError(
      "version",
      `the engine is ${kind} ${version}; the log needs Redis 6.2 or Valkey 7.2 at least`,
    );
  }
  if (info.get("cluster_enabled") === "1" || info.get("redis_mode") === "cluster") {
    throw new EngineUnsuitableError(
      "cluster",
      "the engine runs in cluster mode (cluster-enabled yes); the log needs one that does not",
    );
  }
  const role = info.get("role");
  if (role !== "master") {
    throw new EngineUnsuitableError(
      "role",
      `relay.log.url names a ${role === "slave" ? "replica" : `server with the role ${role}`}; ` +
        "name the primary",
    );
  }
  const runId = info.get("run_id");
  if (!isRealId(runId) || !isRealId(info.get("master_replid"))) {
    throw new EngineUnsuitableError(
      "ids",
      "the engine hides or fakes run_id or master_replid in INFO, so a restart that lost messages " +
        "could not be noticed; use an engine that shows them",
    );
  }
  const policy = info.get("maxmemory_policy");
  if (policy !== undefined && policy !== "noeviction") {
    throw new EngineUnsuitableError(
      "policy",
      `the engine evicts keys (maxmemory-policy ${policy}), also those of the log; set ` +
        "maxmemory-policy noeviction, or use an engine of its own",
    );
  }
  return { kind, version, runId };
}
