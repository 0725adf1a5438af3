import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { rtmConfig } from "../../cli/config.ts";
import { configReference, sampleConfig } from "../../cli/reference.ts";
import { parseConfig } from "../../common/config.ts";
import { configKeys } from "../../common/config-keys.ts";

it("docs/configuration.md is what the schemas say (npm run docs)", () => {
  expect(readFileSync("docs/configuration.md", "utf8")).toBe(configReference());
});

it("every key has a description", () => {
  const silent = configKeys(rtmConfig).filter(({ description }) => description === "");
  expect(silent.map(({ path }) => path)).toEqual([]);
});

it("the sample file is valid", () => {
  expect(() => parseConfig(rtmConfig, JSON.parse(sampleConfig()))).not.toThrow();
});
