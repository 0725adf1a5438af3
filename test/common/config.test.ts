import { describe, expect, it } from "vitest";
import { z } from "zod";
import { ConfigError, parseConfig } from "../../common/config.ts";
import { configKeys } from "../../common/config-keys.ts";
import { duration, size } from "../../common/schema.ts";

const schema = z.strictObject({
  relay: z
    .strictObject({
      port: z.number().int().default(3000).describe("TCP port."),
      wait: duration({ min: 1000 }).prefault("5s").describe("How long."),
      body: size().prefault("64KiB"),
      names: z.array(z.string()).default([]),
      on: z.boolean().default(false),
      keys: z.array(z.strictObject({ name: z.string() })).default([]),
    })
    .prefault({}),
});

function problemsOf(raw: unknown, env = {}): readonly string[] {
  try {
    parseConfig(schema, raw, env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  throw new Error("expected a ConfigError");
}

describe("parseConfig", () => {
  it("says in words what is needed instead, where the schema has none of its own", () => {
    const words = z.strictObject({
      port: z.number().int(),
      share: z.number().int(),
      on: z.boolean(),
      names: z.array(z.string().min(2)).min(1),
      kind: z.enum(["a", "b"]),
      inner: z.strictObject({ count: z.number().max(9) }),
      needed: z.string(),
      few: z.array(z.string()).max(1),
      own: z.string("write it like this"),
    });
    const wrong = {
      port: "3000",
      share: 1.5,
      on: "yes",
      names: ["x"],
      kind: "c",
      inner: { count: 10 },
      few: ["a", "b"],
      own: 5,
    };
    expect(() => parseConfig(words, wrong)).toThrow(
      expect.objectContaining({
        problems: [
          "port: must be a number, not text",
          "share: must be a whole number",
          "on: must be true or false, without quotes, not text",
          "names[0]: must have at least 2 characters",
          "kind: must be one of a, b",
          "inner.count: must be at most 9",
          "needed: is missing: text in quotes is needed",
          "few: must have at most 1 entries",
          "own: write it like this",
        ],
      }),
    );
    expect(() => parseConfig(words, { ...wrong, inner: [], names: [], few: "a" })).toThrow(
      /names: must have at least 1 entries[\s\S]*inner: must be an object, in \{ and \}, not a list[\s\S]*few: must be a list, in \[ and \], not text/,
    );
  });

  it("fills in defaults, in ms and bytes, and freezes the result", () => {
    const config = parseConfig(schema, {});
    expect(config.relay).toMatchObject({ port: 3000, wait: 5000, body: 65536 });
    expect(Object.isFrozen(config.relay)).toBe(true);
  });

  it("says that a duration or a size needs its unit when it is a number", () => {
    expect(problemsOf({ relay: { wait: 5, body: 65536 } })).toEqual([
      'relay.wait: a duration needs a unit; write it like "5s"',
      'relay.body: a size needs a unit; write it like "64KiB"',
    ]);
  });

  it("lets the environment win over the file", () => {
    const env = {
      RTM_RELAY_PORT: "81",
      RTM_RELAY_WAIT: "9s",
      RTM_RELAY_NAMES: "a, b",
      RTM_RELAY_ON: "true",
      RTM_RELAY_KEYS: '[{"name":"n"}]',
      RTM_TEST_ANYTHING: "x",
      RTM_CONFIG: "x",
      PATH: "x",
    };
    expect(parseConfig(schema, { relay: { port: 80 } }, env).relay).toMatchObject({
      port: 81,
      wait: 9000,
      names: ["a", "b"],
      on: true,
      keys: [{ name: "n" }],
    });
  });

  it("reports all problems at once, with a suggestion for a misspelt key", () => {
    const problems = problemsOf(
      { relay: { prt: 1, wait: "9x", keys: [{ nam: 1 }] } },
      { RTM_RELAY_PRT: "1", RTM_RELAY_ON: "maybe", RTM_RELAY_BODY: "1KB" },
    );
    expect(problems).toEqual(
      expect.arrayContaining([
        'environment variable RTM_RELAY_PRT is not known; did you mean "RTM_RELAY_PORT"?',
        'relay.prt is not a known key; did you mean "port"?',
        'relay.keys[0].nam is not a known key; did you mean "name"?',
        'relay.wait: "9x" is not a duration; write it like "5s"',
        'relay.body (environment variable RTM_RELAY_BODY): "1KB" is not a size; write it like "64KiB"',
        'environment variable RTM_RELAY_ON: must be true or false, not "maybe"',
        expect.stringContaining("relay.keys[0].name: "),
      ]),
    );
    expect(problems).toHaveLength(7);
  });

  it("refuses a range violation and names the range", () => {
    expect(problemsOf({ relay: { wait: "10ms" } })[0]).toContain("relay.wait: must be between 1s");
  });

  it("names the variable of a value that is wrong", () => {
    expect(problemsOf({}, { RTM_RELAY_PORT: "abc" })).toEqual([
      'environment variable RTM_RELAY_PORT: "abc" is no number',
    ]);
    expect(problemsOf({}, { RTM_RELAY_PORT: "1.5" })[0]).toMatch(
      /^relay\.port \(environment variable RTM_RELAY_PORT\): /,
    );
  });

  it("says how a list is written, without quoting it", () => {
    expect(problemsOf({}, { RTM_RELAY_KEYS: '{"name":"secret"' })).toEqual([
      "environment variable RTM_RELAY_KEYS: must be a JSON list of objects: [{…}]",
    ]);
    expect(problemsOf({}, { RTM_RELAY_KEYS: '[{"name":"secret"' })).toEqual([
      "environment variable RTM_RELAY_KEYS: is not JSON: line 1, column 18: the text ends here",
    ]);
    expect(parseConfig(schema, {}, { RTM_RELAY_KEYS: "" }).relay.keys).toEqual([]);
  });

  it("names the variables that end like one which is not known", () => {
    expect(problemsOf({}, { RTM_PORT: "3000" })).toEqual([
      'environment variable RTM_PORT is not known; did you mean "RTM_RELAY_PORT"?',
    ]);
  });

  it("passes over what Kubernetes sets for a Service, and says what it is where it is in the way", () => {
    const links = (service: string) => ({
      [`RTM_${service}SERVICE_HOST`]: "10.0.0.1",
      [`RTM_${service}SERVICE_PORT`]: "3000",
      [`RTM_${service}SERVICE_PORT_HTTP`]: "3000",
      [`RTM_${service}PORT`]: "tcp://10.0.0.1:3000",
      [`RTM_${service}PORT_3000_TCP`]: "tcp://10.0.0.1:3000",
      [`RTM_${service}PORT_3000_TCP_ADDR`]: "10.0.0.1",
      [`RTM_${service}PORT_3000_TCP_PORT`]: "3000",
      [`RTM_${service}PORT_3000_TCP_PROTO`]: "tcp",
    });
    // A Service with the name rtm.
    expect(parseConfig(schema, {}, links("")).relay.port).toBe(3000);
    expect(parseConfig(schema, {}, links("GATEWAY_")).relay.port).toBe(3000);
    // One with the name rtm-relay sets a variable of ours.
    expect(problemsOf({}, links("RELAY_"))).toEqual([
      expect.stringMatching(/RTM_RELAY_PORT is "tcp:.*Kubernetes.*enableServiceLinks: false/),
    ]);
    // The same names without such a service are mistakes.
    expect(problemsOf({}, { RTM_PORT: "3000" })[0]).toContain("RTM_PORT is not known");
    expect(problemsOf({}, { RTM_SERVICE_HOST: "::" })[0]).toContain(
      "RTM_SERVICE_HOST is not known",
    );
  });

  it("lists every leaf with its environment name", () => {
    expect(configKeys(schema).map((key) => [key.path, key.env, key.type])).toEqual([
      ["relay.port", "RTM_RELAY_PORT", "number"],
      ["relay.wait", "RTM_RELAY_WAIT", "duration"],
      ["relay.body", "RTM_RELAY_BODY", "size"],
      ["relay.names", "RTM_RELAY_NAMES", "list of string"],
      ["relay.on", "RTM_RELAY_ON", "boolean"],
      ["relay.keys", "RTM_RELAY_KEYS", "list of object"],
      ["relay.keys[].name", undefined, "string"],
    ]);
  });
});
