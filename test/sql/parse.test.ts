import { describe, expect, it } from "vitest";
import { select } from "./plsql/conditional.ts";
import { parse } from "./plsql/parse.ts";
import { generatedTrigger, sourceFiles, units } from "./plsql/units.ts";

// About one minute of CPU time when nothing is cached; a busy machine may take much longer.
const DEADLINE_MS = 15 * 60_000;

describe("PL/SQL grammar", () => {
  it(
    "accepts every unit in every variant of conditional compilation",
    async () => {
      const all = [
        ...units(
          sourceFiles(["aq", "api", "install", "examples", "verify", "../examples/apex/database"]),
        ),
        generatedTrigger(),
      ];
      expect(all.length).toBeGreaterThan(40);
      const { failures, parsed } = await parse(all);
      console.log(`PL/SQL: ${all.length} units, ${parsed} parsed now, the others cached`);
      expect(failures).toEqual([]);
    },
    DEADLINE_MS,
  );

  it(
    "refuses a body without its END IF, at the right line",
    async () => {
      const text =
        "create or replace procedure p is\nbegin\n  if 1 = 1 then\n    null;\nend p;\n/\n";
      const { failures } = await parse([{ name: "planted", text }]);
      expect(failures.map(({ name }) => name)).toEqual(["planted"]);
      expect(failures[0]?.errors[0]).toMatch(/^5:/);
    },
    DEADLINE_MS,
  );
});

describe("conditional compilation", () => {
  const text =
    "a\n$if rtm_features.c_aq $then\nb\n$elsif dbms_db_version.version >= 21 $then\nc\n$else\nd\n$end\ne";
  const lines = (version: number, features = {}) =>
    select(text, { version, features }).split("\n").filter(Boolean).join("");

  it("keeps the branch that holds, and the line numbers", () => {
    expect(lines(19, { c_aq: true })).toBe("abe");
    expect(lines(23)).toBe("ace");
    expect(lines(19)).toBe("ade");
    expect(select(text, { version: 19, features: {} }).split("\n")).toHaveLength(9);
  });

  it("refuses what the compiler would refuse", () => {
    expect(() => select("$if a_flag $then x $end", { version: 19, features: {} })).toThrow(
      "a_flag",
    );
    expect(() => select("$if rtm_features.c_aq $then x", { version: 19, features: {} })).toThrow(
      "$end",
    );
  });
});
