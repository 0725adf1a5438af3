/** The secret behind the ids of hidden users: what a configuration without a good one is told. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PresenceRules } from "../../relay/presence/rules.ts";
import { testConfig } from "./support.ts";

const SECRET = "0123456789abcdef0123456789abcdef";
const hidden = { channels: "room:*", hashUsers: true };
let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "rtm-presence-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

function rulesWith(more: object): PresenceRules {
  return new PresenceRules(testConfig({ presence: { rules: [hidden], ...more } }).presence);
}

function fileWith(text: string): string {
  const file = join(directory, `secret-${text.length}`);
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}

describe("hidden users", () => {
  it.each([
    ["none", {}, "presence.hashSecretFile: is needed where a rule has hashUsers"],
    ["a short one", { hashSecret: "short" }, "presence.hashSecret: must be at least 32 bytes long"],
    [
      "two",
      { hashSecret: SECRET, hashSecretFile: "/x" },
      "presence.hashSecret: needs either hashSecret or hashSecretFile, not both",
    ],
  ])("%s: the configuration is refused", (_what, more, problem) => {
    expect(() => rulesWith(more)).toThrow(problem);
  });

  it("a file that is too short, or not there, is named", () => {
    const short = fileWith("short");
    expect(() => rulesWith({ hashSecretFile: short })).toThrow(`${short} must hold at least 32`);
    const missing = join(directory, "missing");
    expect(() => rulesWith({ hashSecretFile: missing })).toThrow("relay.presence.hashSecretFile: ");
  });

  it("have the same ids whether the secret is inline or in a file", () => {
    const ids = [{ hashSecret: SECRET }, { hashSecretFile: fileWith(`${SECRET}\n`) }].map(
      (more) => {
        const rules = rulesWith(more);
        return rules.idOf(rules.of("room:1")!, "room:1", "SCOTT");
      },
    );
    expect(ids[0]).toMatch(/^[\w-]{22}$/);
    expect(ids[1]).toBe(ids[0]);
  });
});
