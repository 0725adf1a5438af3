/** Every code block of README and docs that can be checked here: commands of `rtm`, and JSON. */
import { readdirSync, readFileSync } from "node:fs";
import type { Command } from "commander";
import { describe, expect, it } from "vitest";
import { rtmConfig } from "../../cli/config.ts";
import { program } from "../../cli/program.ts";
import { parseConfig } from "../../common/config.ts";

const PAGES = [
  ...["README.md", "CONTRIBUTING.md", "RELEASING.md", "SECURITY.md", "examples/README.md"],
  ...readdirSync("docs").map((name) => `docs/${name}`),
].filter((page) => page.endsWith(".md"));

interface Block {
  readonly page: string;
  readonly language: string;
  readonly text: string;
}

const BLOCKS: readonly Block[] = PAGES.flatMap((page) =>
  [...readFileSync(page, "utf8").matchAll(/^ *```(\w+)\n([\s\S]*?)^ *```$/gm)].map(
    ([, language, text]) => ({ page, language: language!, text: text! }),
  ),
);

interface Shown {
  readonly page: string;
  readonly line: string;
  readonly args: readonly string[];
}

/** Commands of `rtm` in shell blocks, with continued lines joined. */
const COMMANDS: readonly Shown[] = BLOCKS.filter(({ language }) => language === "sh").flatMap(
  ({ page, text }) =>
    text
      .replaceAll(/\\\n\s*/g, " ")
      .split("\n")
      .map((line) => line.replace(/\s+#.*$/, "").trim())
      .flatMap((line) =>
        [...line.matchAll(/(?:^|[$|;&] *)(?:sudo )?(?:\/usr\/local\/bin\/)?rtm +([^|;&><]*)/g)].map(
          ([, args]) => ({ page, line, args: words(args!) }),
        ),
      ),
);

/** Commands inside of sentences, which may leave arguments out. */
const MENTIONED: readonly Shown[] = PAGES.flatMap((page) =>
  [
    ...readFileSync(page, "utf8").matchAll(/`((?:npm run -s rtm -- |(?:sudo )?rtm )[^`]*)`/g),
  ].flatMap(([, line]) => {
    const args = words(line!.replace(/^.*?\brtm (-- )?/, "").replaceAll(/\s+/g, " "))
      // A placeholder stands for anything.
      .map((word) => word.replaceAll(/(?<=\/)<\w+>/g, "host"));
    return args[0] === "<command>" ? [] : [{ page, line: line!, args }];
  }),
);

/** What commander says of a command that is only mentioned. */
const INCOMPLETE = /^commander\.(missing|help)/;

function words(text: string): string[] {
  return [...text.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(
    ([, single, double, bare]) => single ?? double ?? bare!,
  );
}

/** The program with every action replaced by nothing. */
function harmless(): Command {
  const rtm = program();
  const disarm = (command: Command) => {
    command.exitOverride().configureOutput({ writeOut: () => {}, writeErr: () => {} });
    if (command.commands.length === 0) command.action(() => {});
    command.commands.forEach(disarm);
  };
  disarm(rtm);
  return rtm;
}

async function parse(args: readonly string[]): Promise<string | undefined> {
  try {
    await harmless().parseAsync([...args], { from: "user" });
    return undefined;
  } catch (error) {
    const { exitCode, code, message } = error as {
      exitCode: number;
      code: string;
      message: string;
    };
    // Help and version end with 0.
    return exitCode === 0 ? undefined : `${code}: ${message}`;
  }
}

describe("commands", () => {
  it("are found", () => {
    expect(COMMANDS.length).toBeGreaterThan(5);
    expect(MENTIONED.length).toBeGreaterThan(50);
  });

  it("a wrong one would be noticed", async () => {
    expect(await parse(["tail", "--nonsense", "a"])).toContain("unknown option");
    expect(await parse(["nonsense"])).toContain("unknown command");
  });

  it.each(COMMANDS)("$page: $line", async ({ args }) => {
    expect(await parse(args)).toBeUndefined();
  });

  it.each(PAGES)("%s mentions none that is not there", async (page) => {
    for (const { line, args } of MENTIONED.filter((each) => each.page === page)) {
      const problem = await parse(args);
      if (problem !== undefined) expect(problem, line).toMatch(INCOMPLETE);
    }
  });

  it("never advise npx rtm, which fetches what somebody else may publish under that name", () => {
    for (const page of PAGES) expect(readFileSync(page, "utf8"), page).not.toContain("npx rtm");
  });
});

describe("JSON", () => {
  const json = BLOCKS.filter(
    // Others are parts of an object.
    ({ language, text }) => language === "json" && text.startsWith("{"),
  );

  it.each(json)("$page: $text", ({ text }) => {
    const parsed: unknown = JSON.parse(text);
    const keys = Object.keys(parsed as object);
    const rooms = ["log", "service", "database", "worker", "relay"];
    if (keys.length === 0 || !keys.every((key) => rooms.includes(key))) return;
    // A part of a configuration; the keys that it leaves out are somewhere else.
    const config = parsed as { relay?: object };
    parseConfig(rtmConfig, { ...config, relay: { insecure: true, ...config.relay } });
  });
});
