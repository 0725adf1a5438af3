/** Commands reach a relay that a proxy gives a path, as nginx/rtm-ords.inc does (`/rtm/`). */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { rtmConfig } from "../../cli/config.ts";
import { checkRelay } from "../../cli/doctor/relay.ts";
import type { Finding } from "../../cli/doctor/report.ts";
import { below, webSocketBelow } from "../../cli/relay-url.ts";
import { parseConfig } from "../../common/config.ts";
import { API_KEY, startTestRelay, token } from "../relay/support.ts";
import { startPathProxy } from "../support/path-proxy.ts";
import { has, Program, rtm, temporaryDirectory } from "../support/programs.ts";
import { until } from "../support/until.ts";
import { startWithConsole } from "./console-support.ts";

it("a path of the URL stays, with a slash at its end or without one", () => {
  for (const base of ["https://apps.example.com/rtm", "https://apps.example.com/rtm/"]) {
    expect(below(base, "api/history?channel=a").href).toBe(
      "https://apps.example.com/rtm/api/history?channel=a",
    );
    expect(webSocketBelow(base).href).toBe("wss://apps.example.com/rtm/ws");
  }
  expect(below("http://127.0.0.1:3000", "readyz").href).toBe("http://127.0.0.1:3000/readyz");
});

it("publish, channels and tail go through it, and the root of the host is no relay", {
  timeout: 120_000,
}, async () => {
  const scopes = ["publish", "read"];
  const relay = await startTestRelay({ apiKeys: [{ name: "admin", key: API_KEY, scopes }] });
  onTestFinished(() => relay.close());
  const host = await startPathProxy(relay.port);
  const env = { RTM_API_KEY: API_KEY, RTM_TOKEN: await token(["sales"]) };
  const tail = rtm(["tail", "sales", "-n", "1", "--url", `${host}/rtm`], env);
  await until(
    "it is subscribed",
    async () => /rtm_relay_subscriptions 1\b/.test(await relay.registry.metrics()),
    60_000,
  );
  const published = await rtm(["publish", "sales", "1", "--url", `${host}/rtm/`], env).finished;
  expect(published, published.stderr).toMatchObject({ code: 0, stderr: "" });
  expect((await tail.finished).stdout).toContain('"payload":1');
  const [listed, root] = await Promise.all([
    rtm(["channels", "--url", `${host}/rtm`], env).finished,
    rtm(["channels", "--url", host], env).finished,
  ]);
  // The relay may still count the socket of the tail that has just ended.
  expect(listed.stdout).toMatch(/^sales\t[01]\t1\t1\t0\n$/);
  expect(root).toMatchObject({ code: 1, stderr: expect.stringContaining("answered 404") });
});

/** What `rtm doctor` says of a relay at `url`, asked as `rtm worker` with a key and a page's origin. */
async function doctor(url: string): Promise<Map<string, Finding>> {
  const origin = "https://apps.example.com";
  const config = parseConfig(rtmConfig, {
    relay: { insecure: true, origins: [origin] },
    service: { admin: { enabled: false } },
    worker: { publishUrl: url, publishKey: API_KEY },
  });
  const findings = new Map<string, Finding>();
  await checkRelay(config, url, (finding) => findings.set(finding.check.split(" ")[0]!, finding));
  return findings;
}

it("doctor asks the relay there: whether it answers, its WebSocket, the key, a page's origin", async () => {
  const relay = await startTestRelay({
    origins: ["https://apps.example.com"],
    apiKeys: [{ name: "worker", key: API_KEY, trusted: true }],
  });
  onTestFinished(() => relay.close());
  const host = await startPathProxy(relay.port);
  const findings = await doctor(`${host}/rtm`);
  expect([...findings.values()].filter(({ verdict }) => verdict !== "ok")).toEqual([]);
  expect([...findings.keys()]).toEqual(["relay", "websocket", "publish", "readiness", "Origin"]);
  const root = await doctor(host);
  expect(root.get("relay")).toMatchObject({ verdict: "FAILED", detail: expect.any(String) });
});

it("top asks the console there", { timeout: 120_000 }, async () => {
  const { port } = await startWithConsole();
  const host = await startPathProxy(port);
  const [there, root] = await Promise.all(
    [`${host}/rtm/`, host].map((url) => rtm(["top", "--once", "--url", url]).finished),
  );
  expect([there!.code, there!.stderr]).toEqual([0, ""]);
  expect(there!.stdout).toMatch(/^QUEUE\s+STATE/m);
  expect([root!.code, root!.stderr]).toEqual([1, expect.stringContaining("answered 404")]);
});

it.each([
  ["send.mjs", process.execPath],
  // Where there is no Python only Node's runs.
  ...(has("python3") ? [["send.py", "python3"] as const] : []),
] as const)("the example %s sends there", { timeout: 120_000 }, async (file, command) => {
  const relay = await startTestRelay();
  onTestFinished(() => relay.close());
  const host = await startPathProxy(relay.port);
  const key = join(temporaryDirectory(), "key");
  writeFileSync(key, `${API_KEY}\n`);
  const sent = ["/rtm", "/rtm/"].map((path) => {
    const env = { PATH: process.env.PATH, RTM_URL: `${host}${path}`, RTM_API_KEY_FILE: key };
    return new Program(command, [`examples/senders/${file}`, "sales", "1"], env).finished;
  });
  for (const { code, stdout, stderr } of await Promise.all(sent)) {
    expect([code, stderr]).toEqual([0, ""]);
    expect(JSON.parse(stdout)).toMatchObject({ ok: true });
  }
});
