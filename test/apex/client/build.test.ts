import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { built } from "../../support/build.ts";

const LIMIT = 10_000;

describe("rtm-client as built", () => {
  it.each(["rtm-client.js", "rtm-client.mjs"])("%s is under 10 KB gzipped", (file) => {
    const size = gzipSync(readFileSync(built(`client/${file}`)), { level: 9 }).length;
    expect(size).toBeLessThan(LIMIT);
    expect(size).toBeGreaterThan(2_000);
  });

  it("runs under a strict policy, writes to no console, names nothing a page must not have", () => {
    const text = readFileSync(built("client/rtm-client.js"), "utf8");
    expect(text).not.toMatch(/\beval\(|new Function|innerHTML|console\.|sourceMappingURL/);
  });
});
