/** `rtm top`: what it prints, without a terminal and as JSON, and whom it asks. */
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { painter } from "../../cli/colour.ts";
import type { Point } from "../../cli/console/contract.ts";
import { ConsoleModel } from "../../cli/console/model.ts";
import { screen } from "../../cli/top/screen.ts";
import { message, SOURCE } from "../relay/support.ts";
import { rtm, temporaryDirectory } from "../support/programs.ts";
import { until } from "../support/until.ts";
import { look, startWithConsole } from "./console-support.ts";

const url = (port: number) => `http://127.0.0.1:${port}`;

it("--once prints one moment and ends: queues, channels, pages", async () => {
  const { world, port } = await startWithConsole();
  await world.publish(1, 12, "sales");
  await until(
    "they are delivered",
    async () => (await world.emulator.queue(world.schema.queueName).depth()) === 0,
  );
  const { code, stdout, stderr } = await rtm(["top", "--once", "--url", url(port)]).finished;
  expect([code, stderr]).toEqual([0, ""]);
  expect(stdout).toMatch(/^apex-rtm \S+ serve on \S+, up .*: ready$/m);
  expect(stdout).toMatch(/^QUEUE\s+STATE\s+WAITING/m);
  expect(stdout).toMatch(/^RTM_QUEUE\s+active\s+0\s+/m);
  expect(stdout).toMatch(/^sales\s.*\b12\b/m);
  expect(stdout).toContain("insecure");
  expect(stdout).not.toContain("\u001b");
  const coloured = await rtm(["top", "--once", "--url", url(port)], { FORCE_COLOR: "1" }).finished;
  expect(coloured.stdout).toContain("\u001b[32;1mready");
});

it("--json prints an object for programs, one a line", async () => {
  const { service, port } = await startWithConsole();
  const top = rtm(["top", "--json", "--url", url(port)]);
  await until("three lines", () => top.stdout.split("\n").length > 3);
  await service.relay!.publisher.publish([message("a\u202eb", 1)], SOURCE);
  await until("the channel is there", () => top.stdout.includes("\\u202e"));
  // A terminal that shows it obeys nothing.
  expect(top.stdout).not.toContain("\u202e");
  top.kill("SIGTERM");
  expect(await top.finished).toMatchObject({ code: 0, stderr: "" });
  const [first] = top.stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  // Rates from the first line on.
  expect(first).toMatchObject({
    role: "serve",
    ready: true,
    rates: { accepted: expect.any(Number) },
    queues: [{ queue: "RTM_QUEUE" }],
  });
});

it("without a terminal it prints one moment after the other, and says when the service stops", async () => {
  const { service, port } = await startWithConsole();
  const top = rtm(["top"], { RTM_ADMIN_URL: url(port) });
  await until("two moments", () => top.stdout.split("apex-rtm ").length > 2);
  expect(top.stdout).not.toContain("messages -/s");
  await service.stop();
  const { code, stderr } = await top.finished;
  expect([code, stderr]).toEqual([1, expect.stringMatching(/ended the stream|went away/)]);
});

it("shows the token where one is asked for", async () => {
  const token = randomBytes(24).toString("base64url");
  const file = join(temporaryDirectory(), "token");
  writeFileSync(file, token);
  const { port } = await startWithConsole({ console: { tokenFile: file } });
  // The service tells what it was shown.
  const shown = await look(port, "api/events", { authorization: `Bearer ${token}` });
  await until("the first word", () => shown.hello !== undefined);
  expect(shown.hello!.access).toBe("full");
  const run = await rtm(["top", "--once", "--url", url(port), "--token-file", file]).finished;
  expect([run.code, run.stderr]).toEqual([0, ""]);
  const none = await rtm(["top", "--once", "--url", url(port), "--token-file", "/nonexistent"])
    .finished;
  expect([none.code, none.stderr]).toEqual([
    2,
    expect.stringContaining("/nonexistent cannot be read"),
  ]);
});

it("says what it found instead of a console", async () => {
  const { service } = await startWithConsole();
  const relay = await rtm(["top", "--once", "--url", url(service.relay!.port)]).finished;
  expect([relay.code, relay.stderr]).toEqual([
    1,
    expect.stringMatching(/answered 404.*service\.admin\.port/),
  ]);
});

const evil = "\u001b[2Jx\nline\u202e";

/** One moment, in which all text comes from others. */
function moment(legs: Partial<Pick<Point, "dequeue" | "write">>): string[] {
  const model = new ConsoleModel();
  model.begin({
    version: evil,
    node: "20",
    host: evil,
    role: evil,
    pid: 1,
    startedAt: 0,
    access: "full",
    payloads: false,
    database: true,
    bounds: { dequeue: [1], write: [1] },
    limits: { connections: 1, heldBytes: 1 },
    points: [],
    warnings: [
      { number: 1, time: evil, level: evil, component: evil, message: evil, details: evil },
    ],
  });
  model.take({
    point: {
      ...{ at: 1000, cpu: 0, rss: 0, loop: 0, accepted: 0, delivered: 0, deliveredBytes: 0 },
      ...{ connections: 0, backlog: null, dequeue: null, write: null, ...legs },
    },
    ready: false,
    reasons: [{ code: evil, message: evil }],
    conditions: [{ code: evil, message: evil }],
    queues: [],
    relay: null,
    log: null,
    channels: [
      {
        ...{ channel: evil, subscriptions: 1, members: null, rate: null, seq: 1 },
        ...{ kept: 1, keptBytes: 1, retained: 1, retainedBytes: 1 },
      },
    ],
    slowClients: [{ address: evil, heldBytes: 1, subscriptions: 1, waiting: true }],
    warnings: [],
    watching: 1,
  });
  return screen(model, painter(false));
}

it("shows names of others in one line, harmless", () => {
  const lines = moment({});
  expect(lines.length).toBeGreaterThan(8);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  for (const line of lines) expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
  expect(lines.join("\n")).toContain("\\u001b[2Jx line\\u202e");
});

it("tells of a relay or a worker alone what it measures itself", () => {
  const measured = (legs: Parameters<typeof moment>[0]) =>
    moment(legs).find((line) => line.includes("(last minute)"));
  expect(measured({ write: [0, 0] })).toMatch(/in; relay to sockets - \(last minute\)$/);
  expect(measured({ dequeue: [0, 0] })).toMatch(/in; call to worker - \(last minute\)$/);
});
