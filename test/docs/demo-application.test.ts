/** The demo application of examples/apex: its scripts fit together, and its steps name what there is. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { MANIFESTS } from "../../apex-plugins/exporter/outputs.ts";
import type { Attribute } from "../../apex-plugins/shared/manifest.ts";
import { splitScript } from "../../cli/db/script.ts";

const read = (name: string) => readFileSync(`examples/apex/${name}`, "utf8");
const statements = (name: string) => splitScript(read(name)).map(({ text }) => text);

describe("scripts", () => {
  it("what is created is removed, each with its own name", () => {
    const created = statements("database/objects.sql").flatMap((text) => {
      const [, kind, name] =
        /create (?:or replace )?(table|package|procedure|function|view) (?!body)(\w+)/i.exec(
          text,
        ) ?? [];
      return kind === undefined ? [] : [`${kind} ${name}`.toUpperCase()];
    });
    expect(created.length).toBeGreaterThan(5);
    const removed = [...read("database/remove.sql").matchAll(/later\('(\w+)', '(\w+)'/g)].map(
      ([, kind, name]) => `${kind} ${name}`,
    );
    expect(removed.sort()).toEqual(created.sort());
    for (const name of created) expect(name).toMatch(/ RTM_DEMO(_|$)/);
    const jobs = [...read("database/objects.sql").matchAll(/job_name +=> '(\w+)/g)].map(
      ([, name]) => name,
    );
    for (const name of jobs) expect(name).toMatch(/^RTM_DEMO_/);
    const watched = (name: string) =>
      [...read(name).matchAll(/(?:p_table +=> |^ +unwatch\()'(\w+)'/gm)].map(([, table]) => table);
    expect(watched("database/remove.sql")).toEqual(watched("database/objects.sql"));
  });

  it("every client can run them: statements without commands, commands that include them", () => {
    for (const name of ["database/objects.sql", "database/remove.sql"]) {
      const traps = read(name)
        .split("\n")
        .filter((line) =>
          /&|^\s*[@#!]|\t|[^ -~]|^(set|prompt|exec|whenever|exit)\b|-\s*$/.test(line),
        );
      expect(
        traps.filter((line) => !line.startsWith("--")),
        name,
      ).toEqual([]);
    }
    expect(read("install.sql")).toMatch(
      /@@database\/remove\.sql\n@@database\/objects\.sql\nexit success\n$/,
    );
    expect(read("uninstall.sql")).toMatch(/@@database\/remove\.sql\nexit success\n$/);
  });
});

const PLUGINS: Readonly<Record<string, string>> = {
  Listener: "RTM_LISTENER_DA",
  Broadcast: "RTM_BROADCAST_DA",
  Presence: "RTM_PRESENCE_REGION",
};

const steps = [...read("README.md").matchAll(/^ *\| (\w+) +\| ([^|]+?) +\| ([^|]+?) +\|$/gm)]
  .map(([, plugin, attribute, value]) => ({
    plugin: plugin!,
    attribute: attribute!,
    value: value!,
  }))
  .filter(({ plugin }) => plugin in PLUGINS);

function problemOf(attribute: Attribute | undefined, value: string): string | undefined {
  if (!attribute) return "no such attribute";
  if (attribute.type === "CHECKBOX") return /^(on|off)$/.test(value) ? undefined : "on or off";
  if (attribute.values) {
    const known = attribute.values.map(({ display }) => display);
    const wanted = attribute.type === "CHECKBOXES" ? value.split(", ") : [value];
    return wanted.every((one) => known.includes(one)) ? undefined : `one of ${known}`;
  }
  if (attribute.type === "INTEGER") return /^\d+$/.test(value) ? undefined : "a number";
  return /^`.+`$/.test(value) ? undefined : "a text";
}

describe("steps", () => {
  it("are found", () => {
    expect(steps.length).toBeGreaterThan(40);
    expect(new Set(steps.map(({ plugin }) => plugin))).toEqual(new Set(Object.keys(PLUGINS)));
  });

  it.each(steps)("$plugin: $attribute = $value", ({ plugin, attribute, value }) => {
    const manifest = MANIFESTS.find(({ name }) => name === PLUGINS[plugin])!;
    const found = manifest.attributes.find(
      ({ label, scope }) => label === attribute && scope !== "APPLICATION",
    );
    expect(problemOf(found, value)).toBeUndefined();
  });

  it("a wrong one would be noticed", () => {
    const [onMessage] = MANIFESTS[0]!.attributes.filter(({ label }) => label === "On Message");
    expect(problemOf(onMessage, "Refresh Region")).toContain("one of");
    expect(problemOf(undefined, "x")).toBe("no such attribute");
  });

  it("cover every recipe", () => {
    const [, recipes = ""] =
      /^## Recipes$([\s\S]*?)^## /m.exec(readFileSync("docs/apex.md", "utf8")) ?? [];
    const names = [...recipes.matchAll(/^### (.+)$/gm)].map(([, name]) => name!);
    const headings = [...read("README.md").matchAll(/^#+ (.+)$/gm)].map(([, text]) =>
      text!.toLowerCase(),
    );
    const said: Readonly<Record<string, string>> = {
      Rooms: "rooms and chat",
      Chat: "rooms and chat",
      Logout: "application",
      "One user": "a bell on every page",
      "A region that is always up to date": "a report that is up to date",
      "A job is done": "hello, messages, a job",
    };
    for (const name of names) {
      const wanted = (said[name] ?? name).toLowerCase();
      expect(
        headings.some((text) => text.includes(wanted)),
        name,
      ).toBe(true);
    }
  });
});
