import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { EXIT } from "../../cli/exit.ts";
import { program } from "../../cli/program.ts";
import { cliReference } from "../../scripts/docs/cli-page.ts";
import { rtm } from "../support/programs.ts";

const page = readFileSync("docs/cli.md", "utf8");

it("docs/cli.md is what the program says (npm run docs)", () => {
  expect(page).toBe(cliReference());
});

it("every verb and flag has a section and a description", () => {
  const visit = (command: ReturnType<typeof program>, name: string): void => {
    expect([name, command.description()]).not.toEqual([name, ""]);
    for (const option of command.options) {
      expect([name, option.flags, option.description]).not.toEqual([name, option.flags, ""]);
      if (command.commands.length === 0) expect(page).toContain(option.flags);
    }
    for (const child of command.commands) visit(child, `${name} ${child.name()}`);
    if (command.commands.length === 0) expect(page).toContain(`## \`${name}\``);
  };
  visit(program(), "rtm");
});

it("the page lists the exit codes", () => {
  const codes = [...page.matchAll(/^\| (\d+) \|/gm)].map(([, code]) => Number(code));
  expect(codes).toEqual(Object.values(EXIT));
});

it.each([
  [["--version"], 0],
  [["serve", "--help"], 0],
  [["no-such-verb"], 2],
  [["serve", "--no-such-flag"], 2],
  [["publish"], 2],
  [["check-config", "--config", "/nonexistent"], 2],
  [["publish", "sales", "{", "--url", "http://127.0.0.1:1"], 2],
])("rtm %j exits with %i", async (args, code) => {
  expect((await rtm(args).finished).code).toBe(code);
});

it("places in the sources that name a section of docs/operations.md name one that exists", () => {
  const headings = [...readFileSync("docs/operations.md", "utf8").matchAll(/^## (.*)$/gm)];
  const sources = ["cli", "worker"].flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .map((name) => readFileSync(join(folder, name), "utf8").replace(/\n \* /g, " ")),
  );
  const named = sources.flatMap((text) => [
    ...text.matchAll(/docs\/operations\.md, "?([A-Z][a-z]+(?: [a-z]+)*)/g),
  ]);
  expect(named.length).toBeGreaterThan(2);
  const known = headings.map(([, heading]) => heading);
  for (const [, heading] of named) expect(known).toContain(heading);
});
