/** The keys of a configuration, found in its schema: their paths, variables, types and defaults. */
import { distance } from "fastest-levenshtein";
import { z } from "zod";

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

/** What of a JSON schema is looked at. */
export interface JsonSchema {
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

export function toJsonSchema(schema: z.ZodType): JsonSchema {
  return z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as JsonSchema;
}

/** The variable of a dotted path, e.g. `RTM_RELAY_PORT`. */
export function envName(path: string): string {
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

/** The end of a sentence that names what may have been meant; empty when nothing is close. */
export function didYouMean(name: string, candidates: readonly string[]): string {
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
