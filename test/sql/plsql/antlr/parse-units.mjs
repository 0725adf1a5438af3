// Parses PL/SQL with the grammar of @griffithswaite/ts-plsql-parser.
//   node --import ./test/sql/plsql/antlr/fast-antlr.mjs test/sql/plsql/antlr/parse-units.mjs < units.json
// units.json: [{"name", "text"}]; prints one line of JSON per unit: {"name", "ms", "errors"}.
import { readFileSync } from "node:fs";
import { getParserFromInput } from "@griffithswaite/ts-plsql-parser";

// The preload resolves antlr4 to its source modules.
const load = async (path) =>
  (await import(new URL(path, import.meta.resolve("antlr4")).href)).default;
const [PredictionMode, HashMap, HashCode, BitSet] = await Promise.all(
  ["atn/PredictionMode.js", "misc/HashMap.js", "misc/HashCode.js", "misc/BitSet.js"].map(load),
);

PredictionMode.getConflictingAltSubsets = (configs) => {
  const alternatives = new HashMap(
    (config) => HashCode.hashStuff(config.state.stateNumber, config.context),
    (a, b) => a.state.stateNumber === b.state.stateNumber && a.context.equals(b.context),
  );
  for (const config of configs.items) {
    let alts = alternatives.get(config);
    if (alts === null) {
      alts = new BitSet();
      alternatives.set(config, alts);
    }
    alts.add(config.alt);
  }
  return alternatives.getValues();
};

for (const { name, text } of JSON.parse(readFileSync(0, "utf8"))) {
  const started = performance.now();
  const errors = [];
  const listener = {
    syntaxError: (_recognizer, _symbol, line, column, message) =>
      errors.push(`${line}:${column} ${message.slice(0, 200)}`),
    reportAmbiguity() {},
    reportAttemptingFullContext() {},
    reportContextSensitivity() {},
  };
  const parser = getParserFromInput(text);
  for (const part of [parser, parser.getTokenStream().tokenSource]) {
    part.removeErrorListeners();
    part.addErrorListener(listener);
  }
  parser.sql_script();
  const ms = Math.round(performance.now() - started);
  process.stdout.write(`${JSON.stringify({ name, ms, errors })}\n`);
}
