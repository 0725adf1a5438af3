import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { built } from "../../support/build.ts";

/** Bytes that a page loads at most, compressed: the client, and what hardly any page needs. */
const CLIENT = 7 * 1024;
const MORE = 4 * 1024;

describe("rtm-client as built", () => {
  it.each([
    ["rtm-client.js", CLIENT],
    ["rtm-client.mjs", CLIENT],
    ["rtm-more.js", MORE],
    ["rtm-more.mjs", MORE],
  ])("%s has at most %i bytes gzipped", (file, most) => {
    const size = gzipSync(readFileSync(built(`client/${file}`)), { level: 9 }).length;
    expect(size).toBeLessThanOrEqual(most);
    expect(size).toBeGreaterThan(2_000);
  });

  it.each(["rtm-client.js", "rtm-more.js"])(
    "%s runs under a strict policy, writes to no console, names nothing a page must not have",
    (file) => {
      const text = readFileSync(built(`client/${file}`), "utf8");
      expect(text).not.toMatch(/\beval\(|new Function|innerHTML|console\.|sourceMappingURL/);
    },
  );

  it.each(["rtm-client.mjs", "rtm-client.cjs"])(
    "%s imports the second file in a way that bundlers make a chunk of",
    (file) => {
      const text = readFileSync(built(`client/${file}`), "utf8");
      expect(text).toContain('import("./rtm-more.mjs")');
      expect(text).not.toContain("TextDecoderStream");
    },
  );
});
