import { readFileSync } from "node:fs";

/**
 * What the user of the log may do, as docs/cluster.md says it: commands and keys. On one line, or whoever
 * pipes it into a client makes a user of the first half.
 */
export function documentedRights(): string[] {
  const text = readFileSync("docs/cluster.md", "utf8");
  const [, rights] = /^ACL SETUSER rtm on >PASSWORD (.+)\n```$/m.exec(text) ?? [];
  if (rights === undefined) throw new Error("docs/cluster.md has no ACL SETUSER for the log");
  return rights.trim().split(/\s+/);
}
