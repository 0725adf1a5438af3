/**
 * What the engine's user must be allowed to do. It cannot ask for its own rights, so it tries every command, in a
 * form that changes nothing. A right that is missing must be found before it is needed: it would end a script
 * in its middle.
 */
import type { Argument, EngineConnection } from "./connection.ts";
import { EngineDeniedError } from "./errors.ts";
import type { EngineKeys } from "./keys.ts";

/** Where a script is that no engine has. */
const NO_SCRIPT = "0".repeat(40);

/** Every command of the log, with arguments that do nothing; `key` does not exist. */
function harmless(key: string): Readonly<Record<string, readonly Argument[]>> {
  return {
    eval: ["return 1", 0],
    evalsha: [NO_SCRIPT, 0],
    info: ["server"],
    ping: [],
    hmget: [key, "f"],
    hget: [key, "f"],
    // A name without a value: refused, but only after the rights were looked at.
    hset: [key, "f", "v", "f"],
    hdel: [key, "f"],
    hlen: [key],
    hstrlen: [key, "f"],
    hkeys: [key],
    hgetall: [key],
    hscan: [key, 0],
    xadd: [key, "NOMKSTREAM", "*", "f", "v"],
    xread: ["COUNT", 1, "STREAMS", key, "0"],
    xrange: [key, "-", "+"],
    xlen: [key],
    xtrim: [key, "MAXLEN", 0],
    zadd: [key, "XX", 0, "m"],
    zrem: [key, "m"],
    zrange: [key, 0, 0],
    del: [key],
    // Refused too: there is nothing to rename.
    rename: [key, key],
  };
}

/** How engines say that it is the command, in every version; otherwise it is what the command names. */
const COMMAND_DENIED = /run the '/;
const CHANNEL_DENIED = /channel/;

/**
 * The ACL rules that the user lacks of those that the log needs, such as `+zadd` and `~{rtm}:*`.
 * @throws {RtmError} the connection has ended
 */
export async function missingRights(
  connection: EngineConnection,
  { tables, pattern }: EngineKeys,
): Promise<readonly string[]> {
  const calls = Object.entries(harmless(`${tables}none`)).map(([command, args]) =>
    denied(connection, command, args),
  );
  return rulesOf(await Promise.all(calls), pattern);
}

/**
 * The same for what client events need. Nothing else can be asked over the connection afterwards.
 * @param channel where the nodes meet
 */
export async function missingEventRights(
  connection: EngineConnection,
  { pattern }: EngineKeys,
  channel: string,
): Promise<readonly string[]> {
  // What has no sender is heard by nobody.
  const publish = await denied(connection, "publish", [channel, ""]);
  return rulesOf([publish, await denied(connection, "subscribe", [channel])], pattern);
}

interface Denied {
  readonly command: string;
  readonly message: string;
}

function rulesOf(found: readonly (Denied | undefined)[], pattern: string): readonly string[] {
  const rules = found.flatMap((each) => {
    if (!each) return [];
    if (COMMAND_DENIED.test(each.message)) return [`+${each.command}`];
    return [`${CHANNEL_DENIED.test(each.message) ? "&" : "~"}${pattern}`];
  });
  return [...new Set(rules)];
}

/** @throws {RtmError} the connection has ended */
async function denied(
  connection: EngineConnection,
  command: string,
  args: readonly Argument[],
): Promise<Denied | undefined> {
  try {
    await connection.call(command, args);
  } catch (error) {
    if (error instanceof EngineDeniedError) return { command, message: error.message };
    if (connection.ended) throw error;
  }
  return undefined;
}

/** @throws {EngineDeniedError} it names every right that the log needs and the user lacks */
export async function needRights(connection: EngineConnection, keys: EngineKeys): Promise<void> {
  const missing = await missingRights(connection, keys);
  if (missing.length === 0) return;
  throw new EngineDeniedError(
    `the engine's user lacks ${missing.join(" ")}; give it the rights that docs/cluster.md lists`,
  );
}
