/** Who is here, from browser to browser. */
import { expect, it } from "vitest";
import { listening, Tab, useWorld } from "./kit.ts";
import { GRACE_MS } from "./stack.ts";

const world = useWorld();

const RECORD = `
  window.seen.members = [];
  jQuery(document).on("rtm_listener_members", (event, { channel, members, count, joined, left }) => {
    const names = (list) => list.map(({ user, info }) => user + (info ? " " + info.name : "")).join();
    const all = names([...members].sort((a, b) => (a.user < b.user ? -1 : 1)));
    window.seen.members.push({ channel, all, count, joined: names(joined), left: names(left) });
  });
`;

function open(user: string, options: string, name?: string): Promise<Tab> {
  world.site.user = user;
  const settings: Record<number, string> =
    name === undefined ? {} : { 15: JSON.stringify({ member: { name } }) };
  return Tab.open(
    world,
    listening(
      { 2: "room:7", 13: options, ...settings },
      { actions: [{ event: "ready", actions: [{ script: RECORD }] }] },
    ),
  );
}

it("two users see each other come, reload unseen, and leave", async () => {
  const scott = await open("SCOTT", "JOIN:WATCH", "Scott");
  await scott.sees("members", { channel: "room:7", all: "SCOTT Scott", count: 1 });
  const king = await open("KING", "JOIN:WATCH");
  await scott.sees("members", { all: "KING,SCOTT Scott", joined: "KING", left: "" });
  await king.sees("members", { all: "KING,SCOTT Scott", count: 2 });
  world.site.user = "KING";
  const left = performance.now();
  await king.page.reload();
  await king.sees("members", { all: "KING,SCOTT Scott", count: 2 });
  const awayMs = performance.now() - left;
  await king.page.close();
  await scott.sees("members", { all: "SCOTT Scott", left: "KING", count: 1 });
  const seen = await scott.seen<{ left: string }>("members");
  // Where the reload took longer than the grace it was rightly told.
  if (awayMs < GRACE_MS) expect(seen.filter(({ left }) => left !== "")).toHaveLength(1);
  expect(await scott.problems()).toEqual([]);
});

it("a listener without the options is not seen, and is told nothing", async () => {
  const watcher = await open("SCOTT", "JOIN:WATCH");
  await watcher.sees("members", { all: "SCOTT" });
  const plain = await open("ADAMS", "");
  await plain.subscribed("room:7");
  const blake = await open("BLAKE", "JOIN");
  await blake.subscribed("room:7");
  await watcher.sees("members", { all: "BLAKE,SCOTT" });
  expect(await plain.seen("members")).toEqual([]);
  expect(await blake.seen("members")).toEqual([]);
  expect(await blake.problems()).toEqual([]);
});
