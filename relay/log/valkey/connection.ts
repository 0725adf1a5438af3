/**
 * One connection to the engine, for one life: when it is gone it stays gone, and a new one begins
 * with attach. So no command can reach an engine other than the one it was meant for, which a client
 * that reconnects by itself and sends what it has queued would do.
 *
 * Every call races the connection's end and a timer. The client library settles neither a blocked
 * read nor a call on a half-open connection by itself; one that waited for ever would make the node
 * deaf while it looks healthy.
 */
import type { Redis, RedisOptions } from "ioredis";
import { messageOf } from "../../../common/errors.ts";
import { EngineUnreachableError, EngineUnsuitableError, replyError } from "./errors.ts";
import type { Script } from "./script-parts.ts";
import { checkEngine, type Engine, parseInfo } from "./suitability.ts";

/** Time for a connection with its handshake, ms. */
export const CONNECT_MS = 5000;
/** Time for a call, ms; one that blocks gets its block on top. */
export const CALL_MS = 5000;
/** After this long without a byte the system asks whether the peer is there, ms. */
const KEEP_ALIVE_MS = 10_000;

export interface EngineAddress {
  /**
   * `redis://` or `rediss://` (TLS) with user, password, host, port and database, such as
   * `rediss://rtm:secret@engine.example.com:6380/0`. Read anew for every connection, so that a
   * changed password counts from then on.
   */
  url(): string;
  /** PEM texts. `ca` replaces the system's authorities; `cert` and `key` name this client. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
}

export type Argument = string | number;
/** A reply of the engine: as nested as the command makes it. */
export type Reply = string | number | null | readonly Reply[];

/** @throws {EngineUnsuitableError} the client library cannot be loaded */
async function loadClient(): Promise<typeof Redis> {
  try {
    return (await import("ioredis")).Redis;
  } catch (error) {
    throw new EngineUnsuitableError(
      "client",
      `the package ioredis, which relay.log.kind "valkey" needs, cannot be loaded ` +
        `(${messageOf(error)}); it is part of every installation, so install again`,
      { cause: error },
    );
  }
}

/** The number of the database that the URL names. */
export function databaseOf(url: string): number {
  return Number(new URL(url).pathname.slice(1) || 0);
}

function clientOptions({ url, tls }: EngineAddress): RedisOptions {
  const text = url();
  const { protocol, hostname, port, username, password } = new URL(text);
  const secure = protocol === "rediss:" || protocol === "valkeys:";
  return {
    host: hostname.replace(/^\[|\]$/g, ""),
    port: port === "" ? 6379 : Number(port),
    ...(username === "" ? {} : { username: decodeURIComponent(username) }),
    ...(password === "" ? {} : { password: decodeURIComponent(password) }),
    db: databaseOf(text),
    ...(secure ? { tls: { ...tls } } : {}),
    protocol: 2,
    connectTimeout: CONNECT_MS,
    keepAlive: KEEP_ALIVE_MS,
    lazyConnect: true,
    enableReadyCheck: false,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    retryStrategy: () => null,
    disableClientInfo: true,
  };
}

export class EngineConnection {
  readonly #client: Redis;
  /** What the engine said of itself when this connection began. */
  readonly engine: Engine;
  #end: Error | undefined;
  readonly #onEnd = new Set<(error: Error) => void>();

  private constructor(client: Redis, engine: Engine) {
    this.#client = client;
    this.engine = engine;
    client.on("close", () => this.destroy(new EngineUnreachableError("the engine hung up")));
    // The error that ended it is the reason of the calls that were under way.
    client.on("error", (error) =>
      this.destroy(new EngineUnreachableError(messageOf(error), { cause: error })),
    );
  }

  /**
   * Connects, and asks the engine whether it can keep the log's promises.
   * @throws {EngineUnreachableError} {EngineDeniedError} {EngineUnsuitableError}
   */
  static async open(address: EngineAddress, signal?: AbortSignal): Promise<EngineConnection> {
    const Client = await loadClient();
    signal?.throwIfAborted();
    const client = new Client(clientOptions(address));
    let failure: Error | undefined;
    const remember = (error: Error) => {
      failure ??= error;
    };
    client.on("error", remember);
    try {
      const info = await within(CONNECT_MS, "connect", signal, async () => {
        await client.connect();
        if (failure) throw failure;
        const sections = ["server", "replication", "memory", "cluster"];
        return (await Promise.all(sections.map((section) => client.info(section)))).join("\n");
      });
      const connection = new EngineConnection(client, checkEngine(parseInfo(info)));
      client.off("error", remember);
      if (client.status !== "ready") throw new EngineUnreachableError("the engine hung up");
      return connection;
    } catch (error) {
      client.on("error", () => {});
      client.disconnect();
      throw connectError(error, failure);
    }
  }

  /** Undefined while it can be used. */
  get ended(): Error | undefined {
    return this.#end;
  }

  /**
   * Sends a command. `blockMs`: how long the engine may wait before it answers.
   * @throws {EngineUnreachableError} gone, or no answer in time: then the connection ends too
   * @throws {RtmError} the engine's error reply; after one of its role the connection ends
   */
  call(command: string, args: readonly Argument[], blockMs = 0): Promise<Reply> {
    return new Promise((resolve, reject) => {
      if (this.#end) {
        reject(this.#end);
        return;
      }
      const settle = (act: () => void) => {
        clearTimeout(timer);
        this.#onEnd.delete(onEnd);
        act();
      };
      const onEnd = (error: Error) => settle(() => reject(error));
      const limitMs = CALL_MS + blockMs;
      const timer = setTimeout(
        () =>
          this.destroy(new EngineUnreachableError(`${command} got no answer within ${limitMs} ms`)),
        limitMs,
      );
      this.#onEnd.add(onEnd);
      (this.#client.call(command, args as Argument[]) as Promise<Reply>).then(
        (reply) => settle(() => resolve(reply)),
        (error: Error) =>
          settle(() => {
            if (this.#end) reject(this.#end);
            else if (error.name !== "ReplyError") {
              reject(new EngineUnreachableError(messageOf(error), { cause: error }));
            } else {
              reject(error);
            }
          }),
      );
    }).catch((error: Error) => {
      if (error.name !== "ReplyError") throw error;
      const meaning = replyError(command, error);
      // A primary that has become a replica; its successor may have the same name.
      if (meaning instanceof EngineUnsuitableError) this.destroy(meaning);
      throw meaning;
    }) as Promise<Reply>;
  }

  /**
   * Hands over what is published to the channel. Afterwards nothing else can be asked over this connection.
   * @throws as `call`
   */
  async subscribe(channel: string, onText: (text: string) => void): Promise<void> {
    this.#client.on("message", (_channel: string, text: string) => onText(text));
    await this.call("subscribe", [channel]);
  }

  /** Runs a script by its digest; sends its text when the engine does not know it (any more). */
  async run(script: Script, keys: readonly string[], args: readonly Argument[]): Promise<Reply> {
    const rest = [keys.length, ...keys, ...args];
    try {
      return await this.call("EVALSHA", [script.sha1, ...rest]);
    } catch (error) {
      if (!/^EVALSHA: NOSCRIPT/.test(messageOf(error))) throw error;
      return this.call("EVAL", [script.source, ...rest]);
    }
  }

  /** Resolves with the reason when it has ended, or with the signal's. */
  untilEnd(signal: AbortSignal): Promise<Error> {
    return new Promise((resolve) => {
      const settle = (error: Error) => {
        this.#onEnd.delete(settle);
        signal.removeEventListener("abort", onAbort);
        resolve(error);
      };
      const onAbort = () => settle(signal.reason as Error);
      if (this.#end) settle(this.#end);
      else if (signal.aborted) onAbort();
      else {
        this.#onEnd.add(settle);
        signal.addEventListener("abort", onAbort);
      }
    });
  }

  /** Ends it at once; calls under way reject with `reason`. */
  destroy(reason: Error): void {
    if (this.#end) return;
    this.#end = reason;
    this.#client.disconnect();
    for (const onEnd of [...this.#onEnd]) onEnd(reason);
  }
}

function connectError(error: unknown, failure: Error | undefined): Error {
  if (error instanceof EngineUnsuitableError) return error;
  // `connect` itself says only that the connection was closed; the socket's error says why.
  const cause = (failure ?? error) as Error;
  if (cause.name === "ReplyError") return replyError("connect", cause);
  return new EngineUnreachableError(`cannot connect: ${messageOf(cause)}`, { cause });
}

/** Races `run` with a timer and a signal. */
async function within<T>(
  ms: number,
  what: string,
  signal: AbortSignal | undefined,
  run: () => Promise<T>,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  let onAbort: (() => void) | undefined;
  try {
    return await Promise.race([
      run(),
      new Promise<never>((_, reject) => {
        timer = setTimeout(
          () => reject(new EngineUnreachableError(`${what} took longer than ${ms} ms`)),
          ms,
        );
        onAbort = () => reject(signal?.reason);
        signal?.addEventListener("abort", onAbort);
      }),
    ]);
  } finally {
    clearTimeout(timer);
    if (onAbort) signal?.removeEventListener("abort", onAbort);
  }
}
