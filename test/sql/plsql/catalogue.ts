/**
 * Resolves the names of a unit: calls into supplied packages and into ours, fields of records,
 * columns in SQL, variables. It knows less than a compiler and is meant to miss some mistakes, never
 * to report a correct text.
 */
import { closing, parts, type Token, tokens } from "./lexer.ts";
import { type PackageModel, type Parameter, subprograms } from "./model.ts";
import { SUPPLIED, VIEWS } from "./supplied.ts";
import { SQL_WORDS } from "./words.ts";

export interface Catalogue {
  /** Our packages by name. */
  readonly packages: ReadonlyMap<string, PackageModel>;
  /** Our tables with their columns. */
  readonly tables: ReadonlyMap<string, ReadonlySet<string>>;
}

interface Member {
  readonly overloads: readonly (readonly Parameter[])[];
}

const words = (text: string | undefined) => (text ?? "").split(" ").filter(Boolean);

function suppliedParameters(signature: string): Parameter[] {
  return words(signature).map((word) => ({
    name: word.replace("?", ""),
    optional: word.endsWith("?"),
  }));
}

const is = (token: Token | undefined, text: string) =>
  token?.kind === "symbol" && token.text === text;
const isName = (token: Token | undefined, text: string) =>
  token?.kind === "name" && token.text === text;

/** Why no overload takes these arguments; undefined when one does. */
function callProblem(overloads: Member["overloads"], args: readonly Token[][]): string | undefined {
  const named = args.filter((arg) => is(arg[1], "=>")).map((arg) => arg[0]?.text ?? "");
  const positional = args.length - named.length;
  const problems = overloads.map((parameters) => {
    const unknown = named.find((name) => !parameters.some((parameter) => parameter.name === name));
    if (unknown !== undefined) return `has no parameter ${unknown}`;
    if (positional > parameters.length) return `takes ${parameters.length} parameters`;
    const missing = parameters.find(
      ({ name, optional }, index) => index >= positional && !optional && !named.includes(name),
    );
    return missing && `needs ${missing.name}`;
  });
  return problems.some((problem) => problem === undefined) ? undefined : problems[0];
}

const END: Token = { kind: "symbol", text: ")", line: 0 };

class UnitChecker {
  readonly problems: string[] = [];
  readonly #list: Token[];
  readonly #catalogue: Catalogue;
  /** Names that the unit and its specification declare. */
  readonly #declared = new Set<string>();
  /** Variables to the fields of their record type. */
  readonly #fields = new Map<string, ReadonlySet<string>>();
  /** Variables to the object type whose methods they have. */
  readonly #objects = new Map<string, string>();
  readonly #locals = new Map<string, Parameter[][]>();

  constructor(list: Token[], catalogue: Catalogue, specification: readonly Token[]) {
    this.#list = list;
    this.#catalogue = catalogue;
    for (const part of [list, specification]) {
      this.#declare(part);
      for (const { name, parameters } of subprograms(part)) {
        this.#declared.add(name);
        this.#locals.set(name, [...(this.#locals.get(name) ?? []), [...parameters]]);
      }
    }
  }

  check(): void {
    this.#checkMembers();
    this.#checkLocalCalls();
    this.#checkVariables();
    this.#checkSql();
    this.#checkDynamic();
  }

  #report(token: Token | undefined, problem: string): void {
    this.problems.push(`line ${token?.line}: ${problem}`);
  }

  #declare(list: readonly Token[]): void {
    const before = new Set([
      "(",
      ",",
      ";",
      "is",
      "as",
      "declare",
      "begin",
      "type",
      "for",
      "forall",
      "record",
    ]);
    list.forEach((token, i) => {
      if (token.kind !== "name" || !before.has(list[i - 1]?.text ?? "")) return;
      if (list[i + 1]?.kind === "name") this.#declared.add(token.text);
      let at = i + 1;
      while (["in", "out", "nocopy", "constant"].includes(list[at]?.text ?? "")) at++;
      const type = list[at];
      if (type?.kind !== "name") return;
      if (is(list[at + 1], "%") && isName(list[at + 2], "rowtype")) {
        this.#fields.set(token.text, this.#catalogue.tables.get(type.text) ?? new Set());
      } else if (is(list[at + 1], ".")) {
        const fields = this.#recordFields(type.text, list[at + 2]?.text ?? "");
        if (fields) this.#fields.set(token.text, fields);
      } else if (SUPPLIED[type.text]) {
        this.#objects.set(token.text, type.text);
      }
    });
    this.#declareLoops(list);
  }

  /** `for r in (select a, b as c from ...)`: r has the fields a and c. Loops may share a name. */
  #declareLoops(list: readonly Token[]): void {
    const loops = new Map<string, string[]>();
    list.forEach((token, i) => {
      if (!isName(token, "for") || !isName(list[i + 2], "in") || !is(list[i + 3], "(")) return;
      const select = list.slice(i + 4, closing(list, i + 3));
      const columns = parts([...select, END], 0, topLevel(select, "from"));
      const record = (list[i + 1] as Token).text;
      const names = columns.map((column) => column.at(-1)?.text ?? "");
      loops.set(record, [...(loops.get(record) ?? []), ...names]);
    });
    for (const [record, names] of loops) {
      if (!names.includes("*")) this.#fields.set(record, new Set(names));
    }
  }

  #recordFields(packageName: string, type: string): ReadonlySet<string> | undefined {
    if (packageName === "sys") {
      const fields = SUPPLIED[type]?.records?.[""];
      return fields === undefined ? undefined : new Set(words(fields));
    }
    const supplied = SUPPLIED[packageName]?.records?.[type];
    if (supplied !== undefined) return new Set(words(supplied));
    return this.#catalogue.packages.get(packageName)?.records.get(type);
  }

  /** The subprograms of a package; null for another kind of name in it, undefined for none. */
  #member(packageName: string, name: string): Member | null | undefined {
    const own = this.#catalogue.packages.get(packageName);
    if (own) {
      const overloads = own.subprograms
        .filter((one) => one.name === name)
        .map((one) => one.parameters);
      if (overloads.length > 0) return { overloads };
      return own.names.has(name) || own.records.has(name) ? null : undefined;
    }
    const facts = SUPPLIED[packageName];
    const signatures = facts?.subprograms?.[name];
    if (signatures) return { overloads: signatures.map(suppliedParameters) };
    const known = words(facts?.names).includes(name) || facts?.records?.[name] !== undefined;
    return known ? null : undefined;
  }

  #isPackage(name: string): boolean {
    return this.#catalogue.packages.has(name) || SUPPLIED[name] !== undefined;
  }

  #checkMembers(): void {
    const list = this.#list;
    list.forEach((token, i) => {
      const member = list[i + 2];
      if (token.kind !== "name" || !is(list[i + 1], ".") || member?.kind !== "name") return;
      const fields = this.#fields.get(token.text);
      if (fields) {
        if (!is(list[i - 1], ".") && !fields.has(member.text)) {
          this.#report(member, `${token.text} has no field ${member.text}`);
        }
        return;
      }
      const prefix = this.#objects.get(token.text) ?? token.text;
      if (this.#isPackage(prefix)) {
        this.#checkCall(prefix, member, i + 3);
      } else if (
        /^(dbms|utl|apex|rtm|websocket|xs)_/.test(prefix) &&
        !this.#catalogue.tables.has(prefix) &&
        !(prefix.endsWith("_seq") && isName(member, "nextval"))
      ) {
        this.#report(token, `unknown package ${prefix}`);
      }
    });
  }

  #checkCall(packageName: string, member: Token, after: number): void {
    const found = this.#member(packageName, member.text);
    const name = `${packageName}.${member.text}`;
    if (found === undefined) this.#report(member, `unknown name ${name}`);
    if (!found) return;
    const args = is(this.#list[after], "(")
      ? parts(this.#list, after, closing(this.#list, after))
      : [];
    const problem = callProblem(found.overloads, args);
    if (problem) this.#report(member, `${name} ${problem}`);
  }

  #checkLocalCalls(): void {
    const list = this.#list;
    list.forEach((token, i) => {
      const overloads = this.#locals.get(token.text);
      if (token.kind !== "name" || !overloads || !is(list[i + 1], "(")) return;
      if (is(list[i - 1], ".") || ["procedure", "function"].includes(list[i - 1]?.text ?? ""))
        return;
      const problem = callProblem(overloads, parts(list, i + 1, closing(list, i + 1)));
      if (problem) this.#report(token, `${token.text} ${problem}`);
    });
  }

  #checkVariables(): void {
    this.#list.forEach((token, i) => {
      if (token.kind !== "name" || !/^[plceg]_/.test(token.text)) return;
      if (is(this.#list[i - 1], ".") || is(this.#list[i + 1], "=>")) return;
      if (!this.#declared.has(token.text)) this.#report(token, `${token.text} is not declared`);
    });
  }

  #checkSql(): void {
    const list = this.#list;
    for (let i = 0; i < list.length; i++) {
      const first = list[i];
      const starts =
        isName(first, "select") ||
        (isName(first, "insert") && isName(list[i + 1], "into")) ||
        (isName(first, "delete") && isName(list[i + 1], "from")) ||
        (isName(first, "update") &&
          list[i + 1]?.kind === "name" &&
          !isName(list[i - 1], "for") &&
          // Of a trigger's event.
          !isName(list[i + 1], "on") &&
          // Of a MERGE.
          !isName(list[i + 1], "set"));
      if (!starts) continue;
      const end = statementEnd(list, i);
      this.#checkStatement(list.slice(i, end));
      i = end;
    }
  }

  #columns(table: string): ReadonlySet<string> | undefined {
    const view = VIEWS[table];
    return (
      this.#catalogue.tables.get(table) ?? (view === undefined ? undefined : new Set(words(view)))
    );
  }

  #checkStatement(statement: readonly Token[]): void {
    const columns = new Set<string>();
    const aliases = new Map<string, ReadonlySet<string>>();
    const invented = new Set<string>();
    statement.forEach((token, i) => {
      if (isName(token, "as") && statement[i + 1]) invented.add((statement[i + 1] as Token).text);
      const table = statement[i + 1];
      const introduces =
        isName(token, "from") ||
        isName(token, "join") ||
        (isName(token, "into") && isName(statement[i - 1], "insert")) ||
        (isName(token, "update") && i === 0);
      if (!introduces || table?.kind !== "name" || table.text === "table") return;
      const found = this.#columns(table.text);
      if (!found) this.#report(table, `unknown table ${table.text}`);
      for (const column of found ?? []) columns.add(column);
      const alias = statement[i + 2];
      aliases.set(table.text, found ?? new Set());
      if (alias?.kind === "name" && !SQL_WORDS.has(alias.text))
        aliases.set(alias.text, found ?? new Set());
    });
    statement.forEach((token, i) => {
      if (token.kind !== "name") return;
      const qualifier = is(statement[i - 1], ".") ? statement[i - 2]?.text : undefined;
      if (qualifier !== undefined) {
        const found = aliases.get(qualifier);
        if (found && !found.has(token.text))
          this.#report(token, `${qualifier} has no column ${token.text}`);
        return;
      }
      const known =
        SQL_WORDS.has(token.text) ||
        columns.has(token.text) ||
        aliases.has(token.text) ||
        invented.has(token.text) ||
        this.#declared.has(token.text) ||
        this.#isPackage(token.text) ||
        is(statement[i + 1], "=>") ||
        is(statement[i + 1], ".");
      if (!known)
        this.#report(token, `${token.text} is no column of ${[...aliases.keys()].join(", ")}`);
    });
  }

  /** Statements inside of string literals, which are run by execute immediate. */
  #checkDynamic(): void {
    for (const [i, { kind, text, line }] of this.#list.entries()) {
      if (kind !== "string" || !/^\s*(begin|declare|select|insert)\b[\s\S]*\s/.test(text)) continue;
      const isFragment = is(this.#list[i - 1], "||") || is(this.#list[i + 1], "||");
      if (isFragment) continue;
      const inner = new UnitChecker(tokens(text), this.#catalogue, []);
      inner.check();
      this.problems.push(
        ...inner.problems.map((problem) => `line ${line}, in a string: ${problem}`),
      );
    }
  }
}

/** Index of a word outside of parentheses; the length when it does not occur. */
function topLevel(list: readonly Token[], word: string): number {
  let depth = 0;
  const index = list.findIndex((token) => {
    if (is(token, "(")) depth++;
    if (is(token, ")")) depth--;
    return depth === 0 && isName(token, word);
  });
  return index < 0 ? list.length : index;
}

/** Where a statement ends: its semicolon, the parenthesis around it, or the end of the text. */
function statementEnd(list: readonly Token[], start: number): number {
  let depth = 0;
  for (let i = start; i < list.length; i++) {
    if (is(list[i], "(")) depth++;
    if (is(list[i], ")") && --depth < 0) return i;
    if (is(list[i], ";")) return i;
  }
  return list.length;
}

/** Problems of one unit. `specification`: the text of the package whose body it is. */
export function problemsOf(text: string, catalogue: Catalogue, specification = ""): string[] {
  const checker = new UnitChecker(tokens(text), catalogue, tokens(specification));
  checker.check();
  return checker.problems;
}

/** Subprograms of a specification that its body does not define with the same header. */
export function bodyProblems(specification: string, body: string): string[] {
  const defined = new Set(subprograms(tokens(body)).map(({ header }) => header));
  return subprograms(tokens(specification))
    .filter(({ header }) => !defined.has(header))
    .map(({ name, line }) => `${name} (line ${line} of the specification) has no such body`);
}
