/** `rtm revoke`, `disconnect`, `channels`, `history`, `members` against a relay. */
import { afterEach, expect, it } from "vitest";
import type { Relay } from "../../relay/relay.ts";
import { API_KEY, Client, message, SOURCE, startTestRelay, token } from "../relay/support.ts";
import { rtm } from "../support/programs.ts";

let relay: Relay;
afterEach(() => relay.close());

async function start(): Promise<void> {
  const scopes = ["publish", "manage", "read"];
  relay = await startTestRelay({ apiKeys: [{ name: "admin", key: API_KEY, scopes }] });
}

const run = (...args: string[]) =>
  rtm([...args, "--url", `http://127.0.0.1:${relay.port}`], {
    ...process.env,
    RTM_API_KEY: API_KEY,
  }).finished;

const open = async () => Client.connect(relay, { token: await token(["sales"]) });

it("revokes, takes a channel, disconnects", { timeout: 120_000 }, async () => {
  await start();
  const client = await open();
  client.send({ op: "subscribe", subscribe: [{ channel: "sales" }] });
  await client.nextN(2);
  const taken = await run("revoke", "--user", "scott", "--channel", "sales");
  expect(taken).toMatchObject({ code: 0, stderr: "" });
  expect(taken.stdout).toMatch(/^unsubscribed from sales; a crash/);
  expect(await client.next()).toMatchObject({ op: "unsubscribed", code: "token_revoked" });
  const ended = await run("disconnect", "--user", "scott", "--stop");
  expect(ended).toMatchObject({ code: 0, stdout: "disconnected\n" });
  expect((await client.end()).code).toBe(4207);
  expect(await run("revoke", "--user", "scott", "--json")).toMatchObject({
    code: 0,
    stdout: '{"ok":true,"durable":false}\n',
  });
  expect((await (await open()).end()).code).toBe(4103);
});

it("shows channels, members, and the history as it was written", { timeout: 120_000 }, async () => {
  await start();
  const payloads = ["9007199254740993", '{"a" :\n[1, 2]}', '"\u202e"'];
  await relay.publisher.publish(
    payloads.map((payload) => message("sales", 0, { payload })),
    SOURCE,
  );
  await relay.publisher.publish([message("stock", 1, { retain: 3600 })], SOURCE);
  const [all, figures, first, history, json, lost, members] = await Promise.all([
    run("channels"),
    run("channels", "--json"),
    run("channels", "--limit", "1"),
    run("history", "sales"),
    run("history", "sales", "--json"),
    run("history", "sales", "--since", "other:1"),
    run("members", "sales", "--json"),
  ]);
  expect(all.stdout).toBe("sales\t0\t3\t3\t0\nstock\t0\t1\t1\t1\n");
  expect(JSON.parse(figures.stdout)).toMatchObject({
    channels: [
      { channel: "sales", retained: 0, retainedBytes: 0 },
      { channel: "stock", retained: 1 },
    ],
  });
  expect(first.stdout).toBe("sales\t0\t3\t3\t0\n");
  expect(first.stderr).toContain('--after "sales"');
  const lines = history.stdout.trimEnd().split("\n");
  expect(lines[0]).toContain('"payload":9007199254740993,');
  expect(lines.slice(1).map((line) => JSON.parse(line).payload)).toEqual([{ a: [1, 2] }, "\u202e"]);
  expect(JSON.parse(json.stdout)).toMatchObject({ channel: "sales", seq: 3 });
  expect(lost).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("not everything behind --since"),
  });
  expect(members).toMatchObject({ code: 0, stdout: expect.stringContaining('"count":0') });
});

it("says what is wrong: nobody named, two named, a key without the scope", {
  timeout: 120_000,
}, async () => {
  await start();
  for (const args of [["revoke"], ["disconnect", "--user", "a", "--sid", "b"]]) {
    expect(await run(...args)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("exactly one of --user, --sid and --jti"),
    });
  }
});

it("says which key is missing, which is wrong, and which scope it needs", {
  timeout: 120_000,
}, async () => {
  relay = await startTestRelay({
    apiKeys: [
      { name: "worker", key: API_KEY, channels: ["sales"] },
      { name: "manager", key: `manage-${API_KEY}`, channels: ["sales"], scopes: ["manage"] },
    ],
  });
  const url = `http://127.0.0.1:${relay.port}`;
  const said = async (args: string[], key: string | undefined) => {
    const env = { ...process.env, RTM_API_KEY: key };
    const { code, stderr } = await rtm([...args, "--url", url], env).finished;
    expect(code).toBe(1);
    return stderr;
  };
  const [none, wrong, read, manage, publish, channel] = await Promise.all([
    said(["channels"], undefined),
    said(["publish", "sales", "1"], "some-other-key-0123456789"),
    said(["channels"], API_KEY),
    said(["revoke", "--user", "a"], API_KEY),
    said(["publish", "sales", "1"], `manage-${API_KEY}`),
    said(["publish", "stock", "1"], API_KEY),
  ]);
  expect(none).toContain(
    "; no key was given: set RTM_API_KEY or --key-file, to a key with the scope read",
  );
  expect(wrong).toContain("RTM_API_KEY must hold one of its relay.apiKeys, with the scope publish");
  expect(read).toContain("the key of RTM_API_KEY needs the scope read");
  expect(manage).toContain("needs the scope manage");
  expect(publish).toContain("needs the scope publish");
  expect(channel).toContain("relay.apiKeys[].channels");
});

it("says on standard error that there is nothing of a channel", { timeout: 120_000 }, async () => {
  await start();
  const [history, members, json] = await Promise.all([
    run("history", "salse"),
    run("members", "salse"),
    run("history", "salse", "--json"),
  ]);
  expect(history).toMatchObject({ code: 0, stdout: "" });
  expect(history.stderr).toMatch(/^rtm: no message of salse is remembered; rtm channels/);
  expect(members).toMatchObject({ code: 0, stdout: "" });
  expect(members.stderr).toMatch(/^rtm: nobody is seen in salse; rtm channels/);
  expect(json).toMatchObject({ code: 0, stderr: "" });
});

it("does not say that there is nothing where --since is a position of elsewhere", {
  timeout: 120_000,
}, async () => {
  await start();
  await relay.publisher.publish([message("sales", 1)], SOURCE);
  const { code, stdout, stderr } = await run("history", "sales", "--since", "other:1");
  expect([code, stdout]).toEqual([1, ""]);
  expect(stderr).toMatch(/^rtm: not everything behind --since is remembered, or .*\n$/);
});
