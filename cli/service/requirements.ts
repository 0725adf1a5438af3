/** What roles need of a configuration: what is missing, what cannot be read, what does not go together. */
import { ConfigError } from "../../common/config.ts";
import { messageOf } from "../../common/errors.ts";
import { directoryProblem } from "../../common/make-directory.ts";
import { readSecretFile } from "../../common/secret-file.ts";
import { loadKeys } from "../../relay/access/keys.ts";
import { engineAddress } from "../../relay/open-log.ts";
import { PresenceRules } from "../../relay/presence/rules.ts";
import { takerOf } from "../../worker/known-queue.ts";
import type { RtmConfig } from "../config.ts";
import { readConsoleToken } from "../console/sign-in.ts";
import { placeTexts } from "../oracle-places.ts";
import type { Roles } from "../roles.ts";

/** @throws {ConfigError} when the roles need something that is not configured. */
export function requireRoles(config: RtmConfig, roles: Roles): void {
  const problems: string[] = [];
  if (roles.worker && config.database.connectString === "") {
    problems.push("database.connectString is needed to dequeue");
  }
  if (roles.worker && config.database.user === "" && !config.database.externalAuth) {
    problems.push("database.user is needed (or database.externalAuth)");
  }
  if (roles.worker && !roles.relay && config.worker.publishUrl === undefined) {
    problems.push("worker.publishUrl is needed by rtm worker: the URL of the relay");
  }
  if (roles.worker) {
    const { password, passwordFile, externalAuth } = config.database;
    if (!password && passwordFile === undefined && !externalAuth) {
      problems.push(
        "database.passwordFile is needed (or database.externalAuth): the worker has no password",
      );
    }
    const files = ["passwordFile", "walletPasswordFile"] as const;
    problems.push(...unreadable("database", config.database, files));
  }
  if (roles.worker && !roles.relay) {
    problems.push(...unreadable("worker", config.worker, ["publishKeyFile"]));
  }
  if (roles.relay) {
    const { log, presence } = config.relay;
    problems.push(
      ...problemsOf(() => loadKeys(config.relay)),
      ...problemsOf(() => log.kind === "memory" || engineAddress(config.relay)),
      ...problemsOf(() => new PresenceRules(presence)),
    );
  }
  problems.push(...problemsOf(() => readConsoleToken(config.service.console.tokenFile)));
  problems.push(...clashes(config, roles));
  if (problems.length > 0) throw new ConfigError(problems);
}

/** Entries of which one would wait for the lease of the other for ever. */
function queueClashes(queues: RtmConfig["worker"]["queues"], user: string): string[] {
  const named = queues.map(({ name, consumer }) => {
    const queue = name.includes(".") ? name : `${user.toUpperCase()}.${name}`;
    return { name, queue, consumer, taker: takerOf({ name: queue, consumer }) };
  });
  return named.flatMap(({ name, queue, consumer, taker }, index) => {
    const key = `worker.queues[${index}]`;
    const first = named.findIndex((other) => other.taker === taker);
    if (first < index) return [`${key}.name: ${name} is worker.queues[${first}] already`];
    if (consumer !== undefined) return [];
    const withOne = named.findIndex((other) => other.queue === queue && other.consumer);
    return withOne < 0
      ? []
      : [`${key}.consumer: is needed, because worker.queues[${withOne}] of ${name} has one`];
  });
}

/** Addresses of every interface. */
const EVERYWHERE = new Set(["0.0.0.0", "::"]);

/** What a process with these roles could never have, whatever else it is given. */
export function clashes(
  { relay, service, worker, database }: RtmConfig,
  roles: Pick<Roles, "relay" | "worker">,
): string[] {
  const problems: string[] = [];
  if (roles.worker) {
    problems.push(...queueClashes(worker.queues, database.user), ...placeTexts(database));
  }
  const { admin, stateDirectory } = service;
  const samePort = relay.port === admin.port && relay.port !== 0;
  const hosts = [relay.host, admin.host];
  const sameHost = relay.host === admin.host || hosts.some((host) => EVERYWHERE.has(host));
  if (roles.relay && admin.enabled && samePort && sameHost) {
    problems.push(
      `relay.port and service.admin.port are both ${relay.port}: each listener needs its own`,
    );
  }
  const why = stateDirectory === undefined ? undefined : directoryProblem(stateDirectory);
  if (why !== undefined) problems.push(`service.stateDirectory: ${why}`);
  return problems;
}

/** What is wrong with secrets that are read. */
function problemsOf(read: () => unknown): readonly string[] {
  try {
    read();
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

/** Files of secrets that are configured and cannot be used. */
function unreadable<K extends string>(
  room: string,
  section: Readonly<Partial<Record<K, unknown>>>,
  keys: readonly K[],
): string[] {
  return keys.flatMap((key) => {
    const file = section[key];
    if (typeof file !== "string") return [];
    try {
      readSecretFile(file);
      return [];
    } catch (error) {
      return [`${room}.${key}: ${messageOf(error)}`];
    }
  });
}
