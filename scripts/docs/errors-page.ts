/** The part of docs/errors.md that is made from code. */
import { ORACLE_ERRORS } from "../../worker/oracle-errors.ts";

const BEGIN = "<!-- oracle-errors -->";
const END = "<!-- /oracle-errors -->";

function oracleTable(): string {
  const rows = [...ORACLE_ERRORS].map(
    ([code, { class: errorClass, advice }]) => `| ${code} | \`${errorClass}\` | ${advice} |`,
  );
  return ["| code | class | meaning |", "| --- | --- | --- |", ...rows].join("\n");
}

/** The page with its table made anew. */
export function withErrorTables(page: string): string {
  const from = page.indexOf(BEGIN) + BEGIN.length;
  return `${page.slice(0, from)}\n\n${oracleTable()}\n\n${page.slice(page.indexOf(END))}`;
}
