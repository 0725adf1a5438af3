/**
 * One schema gives validation, defaults, environment names, the reference page and the sample
 * file. A room exports a zod object; `cli/` joins them and calls `loadConfig`.
 */
import { distance } from "fastest-levenshtein";
import { z } from "zod";
import { messageOf, RtmError } from "./errors.ts";
import { jsonProblem } from "./json-place.ts";
import { readRegularFile } from "./regular-file.ts";

/** The configuration is wrong; `problems` holds all of them, one sentence each. */
export class ConfigError extends RtmError {
  readonly problems: readonly string[];

  constructor(problems: readonly string[], options?: { cause?: unknown }) {
    super("RTM_CONFIG_INVALID", `invalid configuration:\n  - ${problems.join("\n  - ")}`, options);
    this.problems = problems;
  }
}

/** One leaf of the schema, as the reference page shows it. */
export interface ConfigKey {
  /** Dotted path, e.g. `relay.port`. Entries of a list are written `queues[]`. */
  readonly path: string;
  /** Environment variable, e.g. `RTM_RELAY_PORT`; undefined inside lists. */
  readonly env: string | undefined;
  /** `string`, `number`, `boolean`, `duration`, `size`, `list of ...` or `"a" | "b"`. */
  readonly type: string;
  readonly default: unknown;
  readonly required: boolean;
  readonly description: string;
}

interface JsonSchema {
  type?: string;
  format?: string;
  enum?: unknown[];
  const?: unknown;
  default?: unknown;
  description?: string;
  properties?: Record<string, JsonSchema>;
  required?: string[];
  items?: JsonSchema;
  anyOf?: JsonSchema[];
}

/** Dotted paths that were renamed, with their new ones; a path stands for all keys below it. */
export type MovedKeys = Readonly<Record<string, string>>;

/** Variables of tests and commands; every other `RTM_*` variable must be a key of the schema. */
const FOREIGN_ENV = /^RTM_(TEST_|(CONFIG|URL|TOKEN|API_KEY|ADMIN_URL|CONSOLE_TOKEN)$)/;

function toJsonSchema(schema: z.ZodType): JsonSchema {
  return z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as JsonSchema;
}

function envName(path: string): string {
  return `RTM_${path
    .replace(/([a-z0-9])([A-Z])/g, "$1_$2")
    .replaceAll(".", "_")
    .toUpperCase()}`;
}

function typeName(schema: JsonSchema): string {
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.anyOf) return [...new Set(schema.anyOf.map(typeName))].join(" | ");
  if (schema.type === "array") return `list of ${typeName(schema.items ?? {})}`;
  if (schema.type === "object") return "object";
  if (schema.format === "duration" || schema.format === "size") return schema.format;
  return schema.type === "integer" ? "number" : (schema.type ?? "any");
}

/** All leaves of a schema, in the order they were written. */
export function configKeys(schema: z.ZodType): ConfigKey[] {
  const keys: ConfigKey[] = [];
  const walk = (node: JsonSchema, path: string, required: boolean, inList: boolean): void => {
    if (node.properties) {
      for (const [name, child] of Object.entries(node.properties)) {
        const childRequired = node.required?.includes(name) === true && child.default === undefined;
        walk(child, path ? `${path}.${name}` : name, childRequired, inList);
      }
      return;
    }
    keys.push({
      path,
      env: inList ? undefined : envName(path),
      type: typeName(node),
      default: node.default,
      required,
      description: node.description ?? "",
    });
    if (node.items?.properties) walk(node.items, `${path}[]`, false, true);
  };
  walk(toJsonSchema(schema), "", false, false);
  return keys;
}

/** More names that end the same are no help. */
const MAX_LONGER = 3;

function didYouMean(name: string, candidates: readonly string[]): string {
  const best = candidates
    .map((candidate) => ({
      candidate,
      edits: distance(name.toLowerCase(), candidate.toLowerCase()),
    }))
    .sort((a, b) => a.edits - b.edits)[0];
  return best && best.edits <= Math.max(2, name.length / 3)
    ? `; did you mean "${best.candidate}"?`
    : "";
}

/** For a variable that names no key: those of which it is the end, such as RTM_PORT. */
function suggestEnv(name: string, known: readonly string[]): string {
  const close = didYouMean(name, known);
  const end = name.slice("RTM".length);
  const longer = known.filter((each) => each.endsWith(end));
  if (longer.length === 0 || longer.length > MAX_LONGER) return close;
  return `; did you mean ${longer.map((each) => `"${each}"`).join(" or ")}?`;
}

function schemaAt(root: JsonSchema, path: readonly PropertyKey[]): JsonSchema | undefined {
  return path.reduce<JsonSchema | undefined>(
    (node, step) => (typeof step === "number" ? node?.items : node?.properties?.[String(step)]),
    root,
  );
}

function dotted(path: readonly PropertyKey[]): string {
  return path
    .map((step, index) =>
      typeof step === "number" ? `[${step}]` : (index ? "." : "") + String(step),
    )
    .join("");
}

function describeIssue(
  issue: z.core.$ZodIssue,
  root: JsonSchema,
  moved: MovedKeys,
  given: ReadonlyMap<string, string>,
): string[] {
  if (issue.code === "unrecognized_keys") {
    const known = Object.keys(schemaAt(root, issue.path)?.properties ?? {});
    return issue.keys.map((key) => {
      const path = dotted([...issue.path, key]);
      const to = moved[path];
      return to === undefined
        ? `${path} is not a known key${didYouMean(key, known)}`
        : `${path} has moved to ${to}`;
    });
  }
  const where = dotted(issue.path);
  const variable = given.get(where);
  const from = variable === undefined ? "" : ` (environment variable ${variable})`;
  return [`${where || "the configuration"}${from}: ${issue.message}`];
}

/** The variable that replaces one whose key has moved, with all keys below it. */
function movedEnv(name: string, moved: MovedKeys): string | undefined {
  for (const [from, to] of Object.entries(moved)) {
    const old = envName(from);
    if (name === old || name.startsWith(`${old}_`)) return envName(to) + name.slice(old.length);
  }
  return undefined;
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

/** @returns the variables that were taken, by the path of their key. */
function applyEnv(
  raw: Record<string, unknown>,
  keys: readonly ConfigKey[],
  env: Readonly<Record<string, string | undefined>>,
  problems: string[],
  moved: MovedKeys,
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
      const to = movedEnv(name, moved);
      problems.push(
        to === undefined
          ? `environment variable ${name} is not known${suggestEnv(name, [...byEnv.keys()])}`
          : `environment variable ${name} has moved to ${to}`,
      );
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

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    Object.values(value).forEach(deepFreeze);
  }
  return value;
}

/**
 * Parses `raw` and the `RTM_*` variables of `env` (which win) by `schema`. All problems are
 * reported at once; the result is frozen.
 * @param moved says where to write what has another name now; nothing is read from the old place
 * @throws {ConfigError}
 */
export function parseConfig<S extends z.ZodType>(
  schema: S,
  raw: unknown,
  env: Readonly<Record<string, string | undefined>> = {},
  moved: MovedKeys = {},
): z.output<S> {
  if (typeof raw !== "object" || raw === null || Array.isArray(raw)) {
    throw new ConfigError(["the configuration must be a JSON object"]);
  }
  const problems: string[] = [];
  const merged = structuredClone(raw) as Record<string, unknown>;
  const given = applyEnv(merged, configKeys(schema), env, problems, moved);
  const result = schema.safeParse(merged);
  if (!result.success) {
    const root = toJsonSchema(schema);
    const describe = (issue: z.core.$ZodIssue) => describeIssue(issue, root, moved, given);
    problems.push(...result.error.issues.flatMap(describe));
  }
  if (problems.length > 0 || !result.success) throw new ConfigError(problems);
  return deepFreeze(result.data);
}

/** No configuration is as long as that. */
const MAX_FILE_BYTES = 16 * 1024 * 1024;

function readJson(file: string): unknown {
  let bytes: Buffer;
  try {
    bytes = readRegularFile(file, MAX_FILE_BYTES);
  } catch (error) {
    const fix =
      (error as NodeJS.ErrnoException).code === "EACCES"
        ? "; run it as root (sudo) or as the service's user"
        : "";
    throw new ConfigError([`${file} cannot be read: ${messageOf(error)}${fix}`], { cause: error });
  }
  if (bytes.includes(0)) {
    throw new ConfigError([`${file} is not JSON: it is UTF-16 or binary; save it as UTF-8`]);
  }
  // An editor's byte order mark means nothing.
  const text = bytes.toString("utf8").replace(/^\ufeff/, "");
  try {
    return JSON.parse(text);
  } catch (error) {
    // Not the message of the parser: it quotes the file, which may hold a password.
    throw new ConfigError([`${file} is not JSON: ${jsonProblem(text)}`], { cause: error });
  }
}

/**
 * Reads the JSON file and the environment. Without a file the environment and the defaults must do.
 * @throws {ConfigError}
 */
export function loadConfig<S extends z.ZodType>(
  schema: S,
  file: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
  moved: MovedKeys = {},
): z.output<S> {
  return parseConfig(schema, file === undefined ? {} : readJson(file), env, moved);
}
