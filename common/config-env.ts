/** The environment as a part of the configuration: which `RTM_*` variable is which key. */

import { type ConfigKey, didYouMean } from "./config-keys.ts";
import { messageOf } from "./errors.ts";
import { jsonProblem } from "./json-place.ts";

/** Variables of tests and commands; every other `RTM_*` variable must be a key of the schema. */
const FOREIGN_ENV = /^RTM_(TEST_|(CONFIG|URL|TOKEN|API_KEY|ADMIN_URL|CONSOLE_TOKEN)$)/;

/** More names that end the same are no help. */
const MAX_LONGER = 3;

/** For a variable that names no key: those of which it is the end, such as RTM_PORT. */
function suggestEnv(name: string, known: readonly string[]): string {
  const close = didYouMean(name, known);
  const end = name.slice("RTM".length);
  const longer = known.filter((each) => each.endsWith(end));
  if (longer.length === 0 || longer.length > MAX_LONGER) return close;
  return `; did you mean ${longer.map((each) => `"${each}"`).join(" or ")}?`;
}

function readJsonList(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    // Not the message of the parser: it quotes the value, which may hold a secret.
    throw new Error(`is not JSON: ${jsonProblem(text)}`, { cause: error });
  }
}

function readEnvValue(key: ConfigKey, text: string): unknown {
  if (key.type.startsWith("list of")) {
    const json = text.trimStart().startsWith("[");
    if (!json && key.type === "list of object" && text !== "") {
      throw new Error("must be a JSON list of objects: [{…}]");
    }
    if (json) return readJsonList(text);
    return text === "" ? [] : text.split(",").map((part) => part.trim());
  }
  if (key.type === "number") {
    if (text.trim() === "" || Number.isNaN(Number(text))) throw new Error(`"${text}" is no number`);
    return Number(text);
  }
  if (key.type === "boolean") {
    if (text !== "true" && text !== "false") {
      throw new Error(`must be true or false, not "${text}"`);
    }
    return text === "true";
  }
  return text;
}

const SERVICE_LINK = /^(tcp|udp|sctp):\/\//;

/**
 * Prefixes of the variables that Kubernetes and Docker put into a container for another service: of
 * one with the name rtm-relay they are RTM_RELAY_PORT=tcp://..., RTM_RELAY_SERVICE_HOST and so on.
 * Kubernetes, "Accessing the Service", Environment Variables.
 */
function serviceLinks(env: Readonly<Record<string, string | undefined>>): string[] {
  return Object.entries(env).flatMap(([name, text]) =>
    name.endsWith("_PORT") && SERVICE_LINK.test(text ?? "") ? [name.slice(0, -"_PORT".length)] : [],
  );
}

function isServiceLink(name: string, prefixes: readonly string[]): boolean {
  return prefixes.some(
    (prefix) =>
      name === `${prefix}_PORT` ||
      name === `${prefix}_NAME` ||
      name.startsWith(`${prefix}_SERVICE_HOST`) ||
      name.startsWith(`${prefix}_SERVICE_PORT`) ||
      (name.startsWith(`${prefix}_PORT_`) && /_(TCP|UDP|SCTP)(_|$)/.test(name)),
  );
}

function setPath(target: Record<string, unknown>, path: string, value: unknown): void {
  const steps = path.split(".");
  let node = target;
  for (const step of steps.slice(0, -1)) {
    const child = node[step];
    if (typeof child !== "object" || child === null) node[step] = {};
    node = node[step] as Record<string, unknown>;
  }
  node[steps.at(-1) as string] = value;
}

/**
 * Puts the variables into `raw`, over what is there, and what is wrong with them into `problems`.
 * @returns the variables that were taken, by the path of their key
 */
export function applyEnv(
  raw: Record<string, unknown>,
  keys: readonly ConfigKey[],
  env: Readonly<Record<string, string | undefined>>,
  problems: string[],
): ReadonlyMap<string, string> {
  const byEnv = new Map(keys.flatMap((key) => (key.env ? [[key.env, key] as const] : [])));
  const links = serviceLinks(env);
  const given = new Map<string, string>();
  for (const [name, text] of Object.entries(env)) {
    if (text === undefined || !name.startsWith("RTM_") || FOREIGN_ENV.test(name)) continue;
    const key = byEnv.get(name);
    if (!key && isServiceLink(name, links)) continue;
    if (key && SERVICE_LINK.test(text)) {
      problems.push(
        `environment variable ${name} is "${text}", which Kubernetes sets for a Service of that name: ` +
          "set enableServiceLinks: false in the pod, or give the Service another name",
      );
      continue;
    }
    if (!key) {
      const meant = suggestEnv(name, [...byEnv.keys()]);
      problems.push(`environment variable ${name} is not known${meant}`);
      continue;
    }
    try {
      setPath(raw, key.path, readEnvValue(key, text));
      given.set(key.path, name);
    } catch (error) {
      problems.push(`environment variable ${name}: ${messageOf(error)}`);
    }
  }
  return given;
}
