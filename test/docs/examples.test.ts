/** Everything in examples/ that can run here does. */
import { cpSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Relay } from "../../relay/relay.ts";
import { launchBrowser } from "../page/browser.ts";
import { API_KEY, Client, startTestRelay } from "../relay/support.ts";
import { built } from "../support/build.ts";
import { has, Program, rtmPath, temporaryDirectory } from "../support/programs.ts";
import { until } from "../support/until.ts";

let relay: Relay;
beforeEach(async () => {
  relay = await startTestRelay(
    { publicChannels: ["sales"], origins: ["*"] },
    { staticPaths: { "/client": built("client") } },
  );
});
afterEach(() => relay.close());

const url = () => `http://127.0.0.1:${relay.port}`;

describe("senders", () => {
  // Where there is no Python only Node's runs.
  it.each([
    ["node", process.execPath, "examples/senders/send.mjs"],
    ...(has("python3") ? [["python", "python3", "examples/senders/send.py"] as const] : []),
  ] as const)(
    "%s sends one message, digit by digit, with the key of a file",
    async (name, command, file) => {
      if (name === "python" && !has("python3")) return;
      const key = join(temporaryDirectory(), "key");
      writeFileSync(key, `${API_KEY}\n`);
      const page = await Client.open(relay, "/ws?channel=sales");
      const env = { PATH: process.env.PATH, RTM_URL: url(), RTM_API_KEY_FILE: key };
      const payload = '{"amount":12.50,"big":9007199254740993}';
      const sender = new Program(command, [file, "sales", payload], env);
      const { code, stdout, stderr } = await sender.finished;
      expect([code, stderr]).toEqual([0, ""]);
      expect(JSON.parse(stdout)).toMatchObject({ ok: true, recipients: 1 });
      await until("the page has it", () => page.received.length > 0);
      expect(page.received[0]).toContain(payload);
      page.terminate();
    },
  );

  it("say why when the key is refused", async () => {
    const env = { PATH: process.env.PATH, RTM_URL: url() };
    const sender = new Program(process.execPath, ["examples/senders/send.mjs", "sales"], env);
    const { code, stderr } = await sender.finished;
    expect(code).toBe(1);
    expect(stderr).toContain("401 unauthorized");
  });
});

describe("the plain page", () => {
  it("shows what arrives, as text", async () => {
    const browser = await launchBrowser();
    try {
      const page = await browser.newPage();
      const file = pathToFileURL(resolve("examples/plain-page/index.html"));
      await page.goto(`${file}?relay=${url()}`);
      await page.waitForFunction('document.getElementById("state").textContent === "connected"');
      const headers = { "content-type": "application/json", "x-api-key": API_KEY };
      const body = JSON.stringify({ channel: "sales", eventName: "sold", payload: "<b>1</b>" });
      await fetch(`${url()}/api/broadcast`, { method: "POST", headers, body });
      await page.waitForSelector("#messages li");
      expect(await page.textContent("#messages li")).toBe('sold: "<b>1</b>"');
    } finally {
      await browser.close();
    }
  });
});

describe("the split deployment", () => {
  it.each(["worker", "relay"] as const)("its %s configuration is valid", async (role) => {
    const directory = temporaryDirectory();
    cpSync("examples/split", directory, { recursive: true });
    for (const secret of ["token-secret", "api-key", "publish-key", "db-password"]) {
      writeFileSync(join(directory, secret), `${"0123456789abcdef".repeat(3)}\n`, { mode: 0o600 });
    }
    const config = join(directory, `${role}.json`);
    const command = resolve(rtmPath());
    const checked = new Program("sh", [
      "-c",
      `cd "${directory}" && exec "${process.execPath}" "${command}" check-config --role ${role} --config "${config}"`,
    ]);
    const { code, stdout, stderr } = await checked.finished;
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toContain("configuration is valid");
  });
});
