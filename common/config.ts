/**
 * One schema gives validation, defaults, environment names, the reference page and the sample
 * file. A room exports a zod object; `cli/` joins them and calls `loadConfig`.
 */
import type { z } from "zod";
import { applyEnv } from "./config-env.ts";
import { configKeys, didYouMean, type JsonSchema, toJsonSchema } from "./config-keys.ts";
import { messageOf, RtmError } from "./errors.ts";
import { dotted, problemText } from "./issue.ts";
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

function schemaAt(root: JsonSchema, path: readonly PropertyKey[]): JsonSchema | undefined {
  return path.reduce<JsonSchema | undefined>(
    (node, step) => (typeof step === "number" ? node?.items : node?.properties?.[String(step)]),
    root,
  );
}

function describeIssue(
  issue: z.core.$ZodIssue,
  root: JsonSchema,
  given: ReadonlyMap<string, string>,
): string[] {
  if (issue.code === "unrecognized_keys") {
    const known = Object.keys(schemaAt(root, issue.path)?.properties ?? {});
    return issue.keys.map((key) => {
      return `${dotted([...issue.path, key])} is not a known key${didYouMean(key, known)}`;
    });
  }
  const where = dotted(issue.path);
  const variable = given.get(where);
  const from = variable === undefined ? "" : ` (environment variable ${variable})`;
  return [`${where || "the configuration"}${from}: ${problemText(issue)}`];
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
 * @throws {ConfigError}
 */
export function parseConfig<S extends z.ZodType>(
  schema: S,
  raw: unknown,
  env: Readonly<Record<string, string | undefined>> = {},
): z.output<S> {
  if (typeof raw !== "object" || raw === null || Array.isArray(raw)) {
    throw new ConfigError(["the configuration must be a JSON object"]);
  }
  const problems: string[] = [];
  const merged = structuredClone(raw) as Record<string, unknown>;
  const given = applyEnv(merged, configKeys(schema), env, problems);
  const result = schema.safeParse(merged);
  if (!result.success) {
    const root = toJsonSchema(schema);
    const describe = (issue: z.core.$ZodIssue) => describeIssue(issue, root, given);
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
    const { code } = error as NodeJS.ErrnoException;
    const why = code === "ENOENT" ? "there is no such file" : messageOf(error);
    const fix = {
      EACCES: "; run it as root (sudo) or as the service's user",
      ENOENT: "; rtm init writes a first one",
    }[code ?? ""];
    throw new ConfigError([`${file} cannot be read: ${why}${fix ?? ""}`], { cause: error });
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
): z.output<S> {
  return parseConfig(schema, file === undefined ? {} : readJson(file), env);
}
