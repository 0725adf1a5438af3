import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ConfigError, parseConfig } from "../../common/config.ts";
import { configKeys } from "../../common/config-keys.ts";
import { loadKeys } from "../../relay/access/keys.ts";
import { originOf, relayConfig } from "../../relay/config/config.ts";
import { SECRET, startTestRelay, testConfig } from "./support.ts";

function problemsOf(raw: object): readonly string[] {
  try {
    parseConfig(relayConfig, raw);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  throw new Error("expected a ConfigError");
}

const KEYS = { tokens: { secrets: [{ kid: "k", secret: SECRET }] } };

describe("relay configuration", () => {
  it("describes every key", () => {
    const keys = configKeys(relayConfig);
    expect(keys.length).toBeGreaterThan(40);
    // Objects in lists are described by their members.
    const missing = keys.filter((key) => key.description === "").map((key) => key.path);
    expect(missing).toEqual([]);
  });

  it("refuses to start without keys, unless insecure is said", () => {
    expect(problemsOf({})[0]).toMatch(/tokens\.secrets: no keys are configured.*insecure/);
    expect(problemsOf({ publicChannels: ["a"] })[0]).toMatch(/no keys are configured/);
    expect(parseConfig(relayConfig, { insecure: true })).toMatchObject({
      host: "127.0.0.1",
      port: 3000,
      limits: { messageBytes: 1024 ** 2 },
    });
    expect(parseConfig(relayConfig, KEYS).insecure).toBe(false);
    expect(problemsOf({ apiKeys: [{ name: "a", key: "0123456789abcdef" }] })[0]).toMatch(
      /nobody could read/,
    );
  });

  it.each([
    [
      "history.bytes: must not exceed slowClients.connectionBytes (4MiB)",
      { history: { bytes: "5MiB" } },
    ],
    ["log.url: valkey needs either url or urlFile", { log: { kind: "valkey" } }],
    ["log.url: is no address", { log: { kind: "valkey", url: "http://engine:6379" } }],
    ["log.kind: must be valkey", { log: { url: "redis://engine:6379" } }],
    ["log.prefix: must be 1-64 letters", { log: { prefix: "a b" } }],
    [
      "log.tls: needs both",
      { log: { kind: "valkey", url: "rediss://engine", tls: { certFile: "/x" } } },
    ],
    ["slowClients.connectionBytes: must hold two", { limits: { messageBytes: "3MiB" } }],
    ["slowClients.totalBytes: must not be below", { slowClients: { totalBytes: "1MiB" } }],
    ["history.totalBytes: must not be below", { history: { totalBytes: "1MiB" } }],
    ["history.totalCount: must not be below", { history: { totalCount: 10 } }],
    ["limits.batchBytes: must hold one message", { limits: { batchBytes: "1MiB" } }],
    ["compat.firehose: has no effect", { compat: { firehose: true } }],
    ["origins[0]: is not an origin", { origins: ["apex.example.com"] }],
    ["origins[0]: is not an origin", { origins: ["https://apex.example.com/path"] }],
    ["trustedProxies[0]: is neither", { trustedProxies: ["proxy.example.com"] }],
    ["publicChannels[0]: must not contain", { publicChannels: ["a*b"] }],
    [
      "tokens.secrets[0].secret: must be at least 32 bytes",
      { tokens: { secrets: [{ kid: "k", secret: "short" }] } },
    ],
    [
      "tokens.secrets[0]: needs either secret or secretFile",
      { tokens: { secrets: [{ kid: "k" }] } },
    ],
    [
      "tokens.secrets[0]: needs either",
      { tokens: { secrets: [{ kid: "k", secret: SECRET, secretFile: "x" }] } },
    ],
    [
      "tokens.secrets[1].kid: is used twice",
      {
        tokens: {
          secrets: [
            { kid: "k", secret: SECRET },
            { kid: "k", secret: SECRET },
          ],
        },
      },
    ],
    ["apiKeys[0].key: must be at least 16 bytes", { apiKeys: [{ name: "a", key: "short" }] }],
    ["apiKeys[0].channels: ", { apiKeys: [{ name: "a", key: "0123456789abcdef", channels: [] }] }],
  ])("says %s", (problem, raw) => {
    expect(problemsOf({ ...KEYS, ...raw }).join("\n")).toContain(problem);
  });

  it("compares origins in their canonical spelling", () => {
    expect(originOf("HTTPS://Apex.Example.com:443/")).toBe("https://apex.example.com");
    expect(originOf("http://localhost:8080")).toBe("http://localhost:8080");
    for (const bad of ["null", "x", "https://a/b", "https://u@a", "file:///x"]) {
      expect(originOf(bad)).toBeUndefined();
    }
  });
});

describe("keys in files", () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "rtm-keys-"));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it("are read without the newline at the end", () => {
    const file = join(directory, "secret");
    writeFileSync(file, `${SECRET}\n`);
    const keys = loadKeys(testConfig({ tokens: { secrets: [{ kid: "f", secretFile: file }] } }));
    expect(Buffer.from(keys.secrets.get("f") as Uint8Array).toString()).toBe(SECRET);
  });

  it("that are missing or short stop the start, all named at once", async () => {
    const short = join(directory, "short");
    writeFileSync(short, "short");
    const starting = startTestRelay({
      tokens: { secrets: [{ kid: "f", secretFile: short }] },
      apiKeys: [
        { name: "a", keyFile: join(directory, "missing") },
        { name: "b", key: "ends with a blank " },
      ],
    });
    await expect(starting).rejects.toThrow(
      /secrets\[0\]\.secretFile: .*short must hold at least 32 bytes[\s\S]*apiKeys\[0\]\.keyFile: .*missing cannot be read[\s\S]*apiKeys\[1\]: the key must be printable ASCII/,
    );
  });
});
