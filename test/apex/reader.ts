/**
 * Reads an APEX component export the way an import does: block by block, call by call. Written
 * against the format, not against the exporter, of which it knows nothing.
 */

export type Value = string | number | boolean | Buffer;

export interface Call {
  readonly procedure: string;
  readonly args: Readonly<Record<string, Value>>;
}

export interface Export {
  /** Lines outside blocks, without comments and empty ones. */
  readonly commands: readonly string[];
  readonly comments: readonly string[];
  readonly calls: readonly Call[];
  /** Variables that were assigned, such as `wwv_flow_imp.g_mode`. */
  readonly variables: ReadonlyMap<string, Value>;
  /** Longest line, characters. */
  readonly longestLine: number;
}

type Token =
  | { readonly kind: "text"; readonly value: string }
  | { readonly kind: "number"; readonly value: string }
  | { readonly kind: "name"; readonly value: string }
  | { readonly kind: "sign"; readonly value: string };

const TOKEN = /\s+|--[^\n]*|'((?:[^']|'')*)'|(\d+)|([A-Za-z_][\w.$]*)|(=>|:=|\|\||[(),;])/y;

function tokens(source: string): Token[] {
  const found: Token[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < source.length) {
    const at = TOKEN.lastIndex;
    const match = TOKEN.exec(source);
    if (!match) throw new Error(`cannot read: ${source.slice(at, at + 60)}`);
    const [, text, digits, name, sign] = match;
    if (text !== undefined) found.push({ kind: "text", value: text.replaceAll("''", "'") });
    else if (digits !== undefined) found.push({ kind: "number", value: digits });
    else if (name !== undefined) found.push({ kind: "name", value: name.toLowerCase() });
    else if (sign !== undefined) found.push({ kind: "sign", value: sign });
  }
  return found;
}

const TABLE = "wwv_flow_imp.g_varchar2_table";

class Block {
  readonly #tokens: Token[];
  readonly #calls: Call[];
  readonly #variables: Map<string, Value>;
  #at = 0;
  #table: string[];

  constructor(source: string, calls: Call[], variables: Map<string, Value>, table: string[]) {
    this.#tokens = tokens(source);
    this.#calls = calls;
    this.#variables = variables;
    this.#table = table;
  }

  run(): string[] {
    this.#expect("begin");
    while (!this.#accept("end")) this.#statement();
    this.#expect(";");
    if (this.#at !== this.#tokens.length) throw new Error("something follows the block's end");
    return this.#table;
  }

  #peek(): string | undefined {
    return this.#tokens[this.#at]?.value.toString();
  }

  #accept(value: string): boolean {
    const token = this.#tokens[this.#at];
    if (token?.kind === "text" || token?.value !== value) return false;
    this.#at++;
    return true;
  }

  #expect(value: string): void {
    if (!this.#accept(value)) throw new Error(`expected ${value}, found ${this.#peek()}`);
  }

  #name(): string {
    const token = this.#tokens[this.#at++];
    if (token?.kind !== "name") throw new Error(`expected a name, found ${token?.value}`);
    return token.value;
  }

  #statement(): void {
    const name = this.#name();
    if (name === "commit") {
      this.#expect(";");
    } else if (name === TABLE && this.#accept("(")) {
      const index = Number(this.#expression());
      this.#expect(")");
      this.#expect(":=");
      if (index !== this.#table.length + 1) throw new Error(`row ${index} is out of order`);
      this.#table.push(String(this.#expression()));
      this.#expect(";");
    } else if (this.#accept(":=")) {
      const value = this.#expression();
      if (name === TABLE) this.#table = [];
      else this.#variables.set(name, value);
      this.#expect(";");
    } else {
      this.#calls.push({ procedure: name, args: this.#namedArguments() });
      this.#expect(";");
    }
  }

  #namedArguments(): Record<string, Value> {
    const args: Record<string, Value> = {};
    this.#expect("(");
    do {
      const name = this.#name();
      this.#expect("=>");
      if (name in args) throw new Error(`${name} is given twice`);
      args[name] = this.#expression();
    } while (this.#accept(","));
    this.#expect(")");
    return args;
  }

  #expression(): Value {
    let value = this.#operand();
    while (this.#accept("||")) value = String(value) + String(this.#operand());
    return value;
  }

  #operand(): Value {
    const token = this.#tokens[this.#at++];
    if (!token) throw new Error("the block ends in an expression");
    if (token.kind === "text") return token.value;
    if (token.kind === "number") return token.value.length > 15 ? token.value : Number(token.value);
    if (token.kind !== "name") throw new Error(`unexpected ${token.value}`);
    if (token.value === "true" || token.value === "false") return token.value === "true";
    if (!this.#accept("(")) {
      if (token.value === TABLE) return Buffer.from(this.#table.join(""), "hex");
      return token.value;
    }
    const args: Value[] = [];
    do args.push(this.#expression());
    while (this.#accept(","));
    this.#expect(")");
    return this.#call(token.value, args);
  }

  #call(name: string, args: readonly Value[]): Value {
    switch (name) {
      case "wwv_flow_imp.id":
        return String(args[0]);
      case "wwv_flow_t_varchar2":
        for (const line of args) {
          if (String(line).includes("\n")) throw new Error("a line holds a line feed");
        }
        return args.join("\n");
      case "wwv_flow_string.join":
      case "wwv_flow_imp.varchar2_to_blob":
      case "nvl":
        return args[0]!;
      default:
        throw new Error(`unknown function ${name}`);
    }
  }
}

export function readExport(source: string): Export {
  const calls: Call[] = [];
  const variables = new Map<string, Value>();
  const commands: string[] = [];
  const comments: string[] = [];
  let block: string[] | undefined;
  let table: string[] = [];
  for (const line of source.split("\n")) {
    if (block) {
      if (line === "/") {
        table = new Block(block.join("\n"), calls, variables, table).run();
        block = undefined;
      } else block.push(line);
    } else if (line === "begin") block = [line];
    else if (line.startsWith("--")) comments.push(line);
    else if (line.trim() !== "") commands.push(line);
  }
  if (block) throw new Error("the last block does not end");
  const longestLine = Math.max(...source.split("\n").map((line) => line.length));
  return { commands, comments, calls, variables, longestLine };
}

/** The files that a plug-in export embeds, by name. */
export function embeddedFiles(source: string): ReadonlyMap<string, Buffer> {
  const files = readExport(source).calls.filter(({ procedure }) =>
    procedure.endsWith(".create_plugin_file"),
  );
  return new Map(
    files.map(({ args }) => [String(args.p_file_name), args.p_file_content as Buffer]),
  );
}
