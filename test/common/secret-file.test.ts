/** One rule for every secret in a file. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { rtmConfig } from "../../cli/config.ts";
import { apiKey } from "../../cli/relay-api.ts";
import { readPublishKey } from "../../cli/service/publish-key.ts";
import { requireRoles } from "../../cli/service/requirements.ts";
import { givenToken } from "../../cli/token.ts";
import { parseConfig } from "../../common/config.ts";
import { readSecretFile } from "../../common/secret-file.ts";
import { loadKeys } from "../../relay/access/keys.ts";

const SECRET = "0123456789abcdef0123456789abcdef";

let file: string;
beforeEach(() => {
  file = join(mkdtempSync(join(tmpdir(), "rtm-secret-")), "secret");
});
afterEach(() => rmSync(join(file, ".."), { recursive: true }));

const utf16 = (text: string) => Buffer.from(`\ufeff${text}`, "utf16le");

const REFUSED: readonly (readonly [what: string, bytes: string | Buffer, problem: RegExp])[] = [
  ["UTF-16 with a mark", utf16(SECRET), /is UTF-16 or binary: save it as UTF-8/],
  ["UTF-16 without one", Buffer.from(SECRET, "utf16le"), /is UTF-16 or binary/],
  ["a NUL at the end", `${SECRET}\0`, /is UTF-16 or binary/],
  ["Latin-1", Buffer.from(`${SECRET}\xe4`, "latin1"), /is not UTF-8/],
  ["nothing", "", /is empty/],
  ["line breaks only", "\r\n\n", /is empty/],
  ["a blank at the end", `${SECRET} \n`, /begins or ends with a blank/],
  ["a blank at the start", `\t${SECRET}\n`, /begins or ends with a blank/],
  ["a no-break space", `${SECRET}\u00a0`, /begins or ends with a blank/],
  ["two lines", `${SECRET}\nmore\n`, /more than one line/],
  ["a control character", `${SECRET}\u0007x`, /a control character/],
  ["a control character above ASCII", `${SECRET}\u0085`, /a control character/],
  ["a space of no width", `${SECRET}\u200b`, /an invisible one/],
  ["a mark of direction", `\u202a${SECRET}`, /an invisible one/],
];

it.each([
  ["bare", SECRET],
  ["with a line break", `${SECRET}\n`],
  ["with several", `${SECRET}\r\n\n\n`],
  ["with a byte order mark", `\ufeff${SECRET}\n`],
])("reads one %s", (_how, content) => {
  writeFileSync(file, content);
  expect(readSecretFile(file)).toBe(SECRET);
});

it("keeps blanks and letters inside", () => {
  writeFileSync(file, "päss wörd\n");
  expect(readSecretFile(file)).toBe("päss wörd");
});

it.each(REFUSED)("refuses %s, and names file and fix", (_what, content, problem) => {
  writeFileSync(file, content);
  expect(() => readSecretFile(file)).toThrow(problem);
  expect(() => readSecretFile(file)).toThrow(file);
});

/** What is no file, or one without end: to read it would keep a start waiting for ever. */
const ENDLESS: readonly (readonly [what: string, make: () => void, problem: RegExp])[] = [
  ["a pipe", () => spawnSync("mkfifo", [file]), /it is a pipe; it must be a regular file/],
  ["an endless device", () => symlinkSync("/dev/zero", file), /it is a device/],
  ["a terminal", () => symlinkSync("/dev/ptmx", file), /it is a device/],
  ["a directory", () => mkdirSync(file), /it is a directory/],
  [
    "a very long file",
    () => writeFileSync(file, "x".repeat(64 * 1024 + 1)),
    /it is longer than 64KiB/,
  ],
  ["a link to itself", () => symlinkSync(file, file), /ELOOP/],
];

it.each(ENDLESS)("refuses %s, and does not wait for it", (_what, make, problem) => {
  make();
  expect(() => readSecretFile(file)).toThrow(problem);
  expect(() => readSecretFile(file)).toThrow(`${file} cannot be read: `);
});

it("refuses a socket", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => void server.listen(file, resolve));
  expect(() => readSecretFile(file)).toThrow(/it is a socket/);
  await new Promise((resolve) => server.close(resolve));
});

it("reads one through links, as Kubernetes mounts them", () => {
  const directory = join(file, "..");
  mkdirSync(join(directory, "..2026_11_26"));
  writeFileSync(join(directory, "..2026_11_26", "secret"), `${SECRET}\n`);
  symlinkSync("..2026_11_26", join(directory, "..data"));
  symlinkSync("..data/secret", file);
  expect(readSecretFile(file)).toBe(SECRET);
});

it("reads one whose size the system does not tell", () => {
  expect(readSecretFile("/proc/sys/kernel/random/boot_id")).toMatch(/^[0-9a-f-]{36}$/);
});

describe("every reader follows it", () => {
  const relay = { tokens: { secrets: [] as object[] }, apiKeys: [] as object[] };
  const readers: Readonly<Record<string, () => unknown>> = {
    "token secrets": () =>
      loadKeys({ ...relay, tokens: { secrets: [{ kid: "k", secretFile: file }] } } as never),
    "API keys": () =>
      loadKeys({ ...relay, apiKeys: [{ name: "n", keyFile: file, channels: ["*"] }] } as never),
    "the worker's key": () => readPublishKey({ worker: { publishKeyFile: file } } as never),
    "the key of rtm publish": () => apiKey({ keyFile: file }),
    "a token": () => givenToken(file),
    "database passwords": () =>
      requireRoles(
        parseConfig(rtmConfig, {
          relay: { insecure: true },
          database: { connectString: "h/s", user: "u", passwordFile: file },
        }),
        { worker: true, relay: true },
      ),
  };

  it.each(Object.keys(readers))("%s, and waits for none", (reader) => {
    spawnSync("mkfifo", [file]);
    expect(readers[reader]!).toThrow(/it is a pipe/);
    rmSync(file);
    for (const [, content, problem] of REFUSED) {
      writeFileSync(file, content);
      expect(readers[reader]!).toThrow(problem);
    }
    writeFileSync(file, `\ufeff${SECRET}\n\n`);
    readers[reader]!();
  });
});
