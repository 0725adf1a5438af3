import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { FilePoisonStore } from "../../worker/poison.ts";
import { log } from "./support.ts";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "rtm-test-"));
});
afterEach(() => rm(directory, { recursive: true }));

const poison = (id: string, payload = "x") => ({
  id,
  code: "not_json" as const,
  reason: "the payload is not JSON",
  payload,
});

it("appends one JSON line per message, readable by its owner only", async () => {
  const file = join(directory, "deep", "poison.jsonl");
  const store = new FilePoisonStore(file, 1024 * 1024, log);
  await Promise.all(["a", "b", "c"].map((id) => store.keep("RTM.Q", poison(id))));
  const lines = (await readFile(file, "utf8")).trimEnd().split("\n");
  expect(lines.map((line) => JSON.parse(line).id)).toEqual(["a", "b", "c"]);
  expect(JSON.parse(lines[0]!)).toMatchObject({ queue: "RTM.Q", code: "not_json", payload: "x" });
  expect((await stat(file)).mode & 0o777).toBe(0o600);
});

it("stays within its bound and keeps the newest", async () => {
  const file = join(directory, "poison.jsonl");
  const store = new FilePoisonStore(file, 4096, log);
  for (let n = 0; n < 100; n++) await store.keep("RTM.Q", poison(String(n), "x".repeat(200)));
  const sizes = await Promise.all([file, `${file}.1`].map(async (name) => (await stat(name)).size));
  expect(sizes[0]! + sizes[1]!).toBeLessThan(4096 + 1000);
  expect(await readFile(file, "utf8")).toContain('"id":"99"');
});
