import { appendFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { FilePoisonStore } from "../../worker/poison-file.ts";
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

it("does not glue a line to one that a full disk cut short", async () => {
  const file = join(directory, "poison.jsonl");
  const store = new FilePoisonStore(file, 1024 * 1024, log);
  await store.keep("RTM.Q", poison("a"));
  await appendFile(file, '{"at":"2026-');
  await store.keep("RTM.Q", poison("b"));
  await store.keep("RTM.Q", poison("c"));
  const lines = (await readFile(file, "utf8")).trimEnd().split("\n");
  expect(lines).toHaveLength(4);
  expect([0, 2, 3].map((index) => JSON.parse(lines[index]!).id)).toEqual(["a", "b", "c"]);
});

it("says why nothing can be kept until it can", async () => {
  const file = join(directory, "deep", "poison.jsonl");
  const store = new FilePoisonStore(file, 1024 * 1024, log);
  expect(store.problem).toBeUndefined();
  await writeFile(join(directory, "deep"), "in the way");
  await store.check();
  expect(store.problem).toContain(`poison cannot be kept in ${file}: `);
  await expect(store.keep("RTM.Q", poison("a"))).rejects.toMatchObject({
    code: "RTM_POISON_UNKEPT",
  });
  await rm(join(directory, "deep"));
  await store.check();
  expect(store.problem).toBeUndefined();
  expect(await readdir(join(directory, "deep"))).toEqual([]);
});

it("without a place for the file it names the key that gives one", async () => {
  const store = new FilePoisonStore(undefined, 1024, log);
  await store.check();
  expect(store.problem).toContain("set service.stateDirectory");
});

it("stays within its bound and keeps the newest", async () => {
  const file = join(directory, "poison.jsonl");
  const store = new FilePoisonStore(file, 4096, log);
  for (let n = 0; n < 100; n++) await store.keep("RTM.Q", poison(String(n), "x".repeat(200)));
  const sizes = await Promise.all([file, `${file}.1`].map(async (name) => (await stat(name)).size));
  expect(sizes[0]! + sizes[1]!).toBeLessThan(4096 + 1000);
  expect(await readFile(file, "utf8")).toContain('"id":"99"');
});
