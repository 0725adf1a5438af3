/** Standard output that takes nothing: a full disk, a pipe that nobody reads, a reader that went away. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";
import { expect, it, onTestFinished } from "vitest";
import type { Relay } from "../../relay/relay.ts";
import { post } from "../relay/support.ts";
import { built } from "../support/build.ts";
import { freePort } from "../support/free-port.ts";
import { rtmPath, temporaryDirectory } from "../support/programs.ts";
import { until } from "../support/until.ts";

/** Writes many lines, and reports on standard error how many were dropped. */
const writer = () => `
import { LogOutput } from "${pathToFileURL(built("common/log-output.js"))}";
const output = new LogOutput();
for (let n = 0; n < 100; n++) output.write("x".repeat(99_999) + "\\n");
await output.flush(100);
process.stderr.write(String(output.dropped));
process.stdin.once("data", async () => {
  await output.flush(10_000);
  output.write("last\\n");
  await output.flush(10_000);
  process.exit(0);
});
`;

const node = (...stdout: ["pipe" | number]) => {
  const args = ["--input-type=module", "-e", writer()];
  const child = spawn(process.execPath, args, { stdio: ["pipe", ...stdout, "pipe"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  return child;
};

const droppedOf = async (child: ReturnType<typeof node>) =>
  Number(String((await once(child.stderr!, "data"))[0]));

it("a pipe that nobody reads costs lines, and the log says how many when it is read again", async () => {
  const child = node("pipe");
  const dropped = await droppedOf(child);
  // 10 MB were written; one is held, and a pipe takes some.
  expect(dropped).toBeGreaterThan(70);
  const output = text(child.stdout!);
  child.stdin!.write("go on");
  const lines = (await output).trimEnd().split("\n");
  expect(lines.at(-1)!.slice(0, 10)).toBe("last");
  expect(JSON.parse(lines.at(-2)!)).toMatchObject({ level: "warn", lines: dropped });
  expect(lines).toHaveLength(100 - dropped + 2);
});

it("a full disk costs lines and nothing else", async () => {
  const child = node(openSync("/dev/full", "w"));
  expect(await droppedOf(child)).toBe(100);
  child.stdin!.write("end");
  expect((await once(child, "exit"))[0]).toBe(0);
});

it("a reader that went away costs lines and nothing else", async () => {
  const child = node("pipe");
  child.stdout!.destroy();
  expect(await droppedOf(child)).toBeGreaterThan(70);
  child.stdin!.write("end");
  expect((await once(child, "exit"))[0]).toBe(0);
});

it("rtm relay on a full disk starts, serves, counts the lost lines, and ends", async () => {
  const [port, adminPort] = [await freePort(), await freePort()];
  const file = join(temporaryDirectory(), "rtm.json");
  const relay = { port, insecure: true, drain: { window: "0s" } };
  writeFileSync(file, JSON.stringify({ relay, service: { admin: { port: adminPort } } }));
  const stdio = ["ignore", openSync("/dev/full", "w"), "inherit"] as const;
  const child = spawn(process.execPath, [rtmPath(), "relay", "--config", file], {
    stdio: [...stdio],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const ask = (path: string) => fetch(`http://127.0.0.1:${adminPort}${path}`);
  await until("it is ready", () =>
    ask("/readyz").then(
      (answer) => answer.ok,
      () => false,
    ),
  );
  expect((await post({ port } as Relay, { channel: "a", payload: 1 })).status).toBe(200);
  const metrics = await (await ask("/metrics")).text();
  expect(Number(/^rtm_process_log_lines_dropped_total (\d+)$/m.exec(metrics)![1])).toBeGreaterThan(
    0,
  );
  child.kill("SIGTERM");
  expect((await once(child, "exit"))[0]).toBe(0);
});
