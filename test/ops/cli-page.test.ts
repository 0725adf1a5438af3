import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { cliReference } from "../../cli/cli-reference.ts";
import { EXIT } from "../../cli/exit.ts";
import { program } from "../../cli/program.ts";
import { rtm } from "./support.ts";

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
  [["publish", "sales", "{", "--url", "http://127.0.0.1:1"], 1],
])("rtm %j exits with %i", async (args, code) => {
  expect((await rtm(args).finished).code).toBe(code);
});
