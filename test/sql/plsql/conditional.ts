/** Conditional compilation of PL/SQL (`$if`, `$elsif`, `$else`, `$end`), for given flags. */

export interface Flags {
  /** Constants of RTM_FEATURES, lower case. */
  readonly features: Readonly<Record<string, boolean>>;
  /** Major version of the database: `dbms_db_version.version`. */
  readonly version: number;
}

/** An installation, as a name and the flags it compiles with. */
export const VARIANTS: Readonly<Record<string, Flags>> = {
  bare18: { version: 18, features: {} },
  aq19: {
    version: 19,
    features: {
      c_aq: true,
      c_events: true,
      c_lock: true,
      c_utl_http: true,
      c_jobs: true,
      c_apex: true,
      c_apex_jwt: true,
    },
  },
  full23: {
    version: 23,
    features: {
      c_aq: true,
      c_events: true,
      c_json_queue: true,
      c_json_type: true,
      c_lock: true,
      c_crypto: true,
      c_utl_http: true,
      c_mle: true,
      c_apex: true,
      c_apex_jwt: true,
      c_jobs: true,
    },
  },
};

function isTrue(condition: string, { features, version }: Flags): boolean {
  const text = condition.trim().toLowerCase();
  const feature = /^rtm_features\.(\w+)$/.exec(text)?.[1];
  if (feature !== undefined) return features[feature] ?? false;
  const least = /^dbms_db_version\.version >= (\d+)$/.exec(text)?.[1];
  if (least !== undefined) return version >= Number(least);
  throw new Error(`condition not understood: ${condition}`);
}

/** The text that the compiler sees. Lines stay where they are. */
export function select(text: string, flags: Flags): string {
  const parts = text.split(/(\$if\b|\$elsif\b|\$else\b|\$end\b)/i);
  // One entry per open $if: is the current branch taken, was one taken, is the outside taken.
  const open: { taken: boolean; done: boolean; outside: boolean }[] = [];
  let result = "";
  const blank = (part: string) => part.replace(/[^\n]/g, "");
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i] as string;
    const word = part.toLowerCase();
    if (word === "$if" || word === "$elsif") {
      const [, condition, rest] = /^([\s\S]*?)\$then([\s\S]*)$/i.exec(parts[++i] as string) ?? [];
      if (condition === undefined || rest === undefined) throw new Error("$if without $then");
      if (word === "$if") {
        const outside = open.at(-1)?.taken ?? true;
        open.push({ taken: false, done: false, outside });
      }
      const branch = open.at(-1);
      if (branch === undefined) throw new Error("$elsif without $if");
      branch.taken = branch.outside && !branch.done && isTrue(condition, flags);
      branch.done ||= branch.taken;
      result += blank(condition) + (branch.taken ? rest : blank(rest));
    } else if (word === "$else") {
      const branch = open.at(-1);
      if (branch === undefined) throw new Error("$else without $if");
      branch.taken = branch.outside && !branch.done;
      branch.done = true;
    } else if (word === "$end") {
      if (open.pop() === undefined) throw new Error("$end without $if");
    } else {
      result += (open.at(-1)?.taken ?? true) ? part : blank(part);
    }
  }
  if (open.length > 0) throw new Error("$if without $end");
  return result;
}
