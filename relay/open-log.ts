/** The log that the configuration asks for. */
import { ConfigError } from "../common/config.ts";
import { messageOf } from "../common/errors.ts";
import type { Logger } from "../common/logger.ts";
import { readRegularFile, whyUnreadable } from "../common/regular-file.ts";
import { readSecretFile } from "../common/secret-file.ts";
import type { RelayConfig } from "./config/config.ts";
import type { Log } from "./log/log.ts";
import { MemoryLog } from "./log/memory-log.ts";
import type { EngineAddress } from "./log/valkey/connection.ts";
import { ValkeyLog } from "./log/valkey/valkey-log.ts";

/** A file with all authorities of a system has about 200 KiB. */
const MAX_PEM_BYTES = 4 * 1024 * 1024;

/**
 * Makes it; nothing is connected yet.
 * @throws {ConfigError} a file that it names cannot be read
 */
export function openLog(
  config: RelayConfig,
  { log, clock }: { readonly log: Logger; readonly clock: () => number },
): Log {
  const { kind, prefix, grace, bytes, age } = config.log;
  if (kind === "memory") return new MemoryLog({ duplicates: config.duplicates, clock });
  return new ValkeyLog({
    address: engineAddress(config),
    prefix,
    grace,
    bytes: bytes ?? config.history.totalBytes,
    age: age ?? config.history.age,
    ids: config.duplicates.count,
    retained: config.retained,
    log,
    clock,
  });
}

/**
 * Where the engine is and who asks.
 * @throws {ConfigError} files that it names cannot be read
 */
export function engineAddress(config: RelayConfig): EngineAddress {
  const { tls, url, urlFile } = config.log;
  const problems: string[] = [];
  const collect = (read: () => string): string | undefined => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      problems.push(...error.problems);
      return undefined;
    }
  };
  const pem = (name: keyof typeof tls): string | undefined => {
    const path = tls[name];
    if (path === undefined) return undefined;
    return collect(() => readNamed(`relay.log.tls.${name}`, path, readFile));
  };
  const [ca, cert, key] = [pem("caFile"), pem("certFile"), pem("keyFile")];
  const readUrl = () => url ?? readNamed("relay.log.urlFile", urlFile as string, readSecretFile);
  // Read now, so that a file that is missing fails the start and not the first connection.
  collect(readUrl);
  if (problems.length > 0) throw new ConfigError(problems);
  return {
    url: readUrl,
    tls: { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) },
  };
}

function readFile(path: string): string {
  try {
    return readRegularFile(path, MAX_PEM_BYTES).toString();
  } catch (error) {
    throw new Error(`${path} cannot be read: ${whyUnreadable(error)}`, { cause: error });
  }
}

function readNamed(key: string, path: string, read: (path: string) => string): string {
  try {
    return read(path);
  } catch (error) {
    throw new ConfigError([`${key}: ${messageOf(error)}`], { cause: error });
  }
}
