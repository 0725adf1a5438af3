/** The console's server: what it tells, to whom, and that it costs nothing while nobody looks. */
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { ConsoleAccess, isLocal, readConsoleToken } from "../../cli/console/sign-in.ts";
import { createLogger, recentWarnings } from "../../common/logger.ts";
import { RecentLines } from "../../common/recent-lines.ts";
import { OraError } from "../../emulator/index.ts";
import { isLoopback } from "../../relay/clients/address-rates.ts";
import { message, SOURCE } from "../relay/support.ts";
import { temporaryDirectory } from "../support/programs.ts";
import { until } from "../support/until.ts";
import { ask, look, OWN, startWithConsole } from "./console-support.ts";

const TOKEN = randomBytes(24).toString("base64url");

function tokenFile(token = TOKEN): string {
  const file = join(temporaryDirectory(), "console-token");
  writeFileSync(file, `${token}\n`);
  return file;
}

/** As nginx on this host passes a request on. */
const PROXIED = { ...OWN, "x-forwarded-for": "192.0.2.7" };

const codeOf = ({ text }: { text: string }) => (JSON.parse(text) as { code: string }).code;

describe("who may look", () => {
  it("this host needs nothing, and may act", async () => {
    const { port } = await startWithConsole();
    expect(JSON.parse((await ask(port, "api/access")).text)).toEqual({
      access: "full",
      tokenConfigured: false,
    });
    expect((await ask(port, "api/aside")).status).toBe(200);
  });

  it.each(["evil.example", "127.0.0.1.evil.example", "evil.example:3001"])(
    "no name but its own: %s is told so, for page and data",
    async (host) => {
      const { port } = await startWithConsole();
      for (const path of ["", "page.js", "api/access", "api/events", "api/tail?channel=a"]) {
        const answer = await ask(port, path, { headers: { ...OWN, host } });
        expect([path, answer.status]).toEqual([path, 421]);
      }
      const act = { headers: { ...OWN, host }, body: { messageId: "0".repeat(32) } };
      expect((await ask(port, "api/requeue", act)).status).toBe(421);
    },
  );

  it.each([
    ["127.0.0.1", true],
    ["127.8.9.1", true],
    ["::1", true],
    ["::ffff:127.0.0.1", true],
    ["10.0.0.1", false],
    ["::ffff:10.0.0.1", false],
    ["fe80::1", false],
    ["1270.0.0.1", false],
    [undefined, false],
  ])("the address %s is of this host: %s", (address, expected) => {
    expect(isLoopback(address)).toBe(expected);
  });

  it("what a proxy passes on is not of this host", () => {
    const from = (headers: object) =>
      isLocal({ socket: { remoteAddress: "127.0.0.1" }, headers } as never);
    expect(from({})).toBe(true);
    for (const name of ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"]) {
      expect([name, from({ [name]: "x" })]).toEqual([name, false]);
    }
  });

  it("from elsewhere nobody without a token, and says what to do", async () => {
    const { port } = await startWithConsole();
    for (const path of ["api/events", "api/tail?channel=a", "api/aside"]) {
      const answer = await ask(port, path, { headers: PROXIED });
      expect([path, answer.status, codeOf(answer)]).toEqual([path, 401, "no_token"]);
      expect(answer.text).toContain("service.console.tokenFile");
    }
    // A token that nobody has configured is none.
    const bearer = { ...PROXIED, authorization: "Bearer undefined" };
    expect((await ask(port, "api/aside", { headers: bearer })).status).toBe(401);
    const signIn = await ask(port, "api/sign-in", {
      headers: PROXIED,
      body: { token: "undefined" },
    });
    expect([signIn.status, codeOf(signIn)]).toEqual([401, "no_token"]);
  });

  it("from elsewhere who has the token: as a header, or once for a cookie, until the sign-out", async () => {
    const { port } = await startWithConsole({ console: { tokenFile: tokenFile() } });
    const refused = await ask(port, "api/aside", { headers: PROXIED });
    expect([refused.status, codeOf(refused)]).toEqual([401, "sign_in"]);
    const bearer = { ...PROXIED, authorization: `Bearer ${TOKEN}` };
    expect((await ask(port, "api/aside", { headers: bearer })).status).toBe(200);

    const wrong = await ask(port, "api/sign-in", {
      headers: PROXIED,
      body: { token: `${TOKEN}x` },
    });
    expect([wrong.status, codeOf(wrong), wrong.headers["set-cookie"]]).toEqual([
      401,
      "wrong_token",
      undefined,
    ]);
    const headers = { ...PROXIED, "x-forwarded-proto": "https" };
    const right = await ask(port, "api/sign-in", { headers, body: { token: TOKEN } });
    const [cookie] = right.headers["set-cookie"]!;
    expect(cookie).toMatch(
      /^rtm_console=[\w-]{43}; Path=\/console; Max-Age=28800; HttpOnly; SameSite=Strict; Secure$/,
    );
    // The cookie is not the token.
    expect(cookie).not.toContain(TOKEN);
    const pair = cookie!.split(";")[0]!;
    const withCookie = { ...PROXIED, cookie: `other=1; ${pair}` };
    expect(JSON.parse((await ask(port, "api/access", { headers: withCookie })).text)).toMatchObject(
      { access: "full" },
    );
    const forged = { ...PROXIED, cookie: "rtm_console=AAAA" };
    expect((await ask(port, "api/aside", { headers: forged })).status).toBe(401);

    const stream = await look(port, "api/events", withCookie);
    await until("it looks on", () => stream.samples.length > 0);
    await ask(port, "api/sign-out", { headers: withCookie, body: {} });
    expect((await ask(port, "api/aside", { headers: withCookie })).status).toBe(401);
    await until("the stream has ended with the sign-in", () => stream.ended);
  });

  it("with a token this host may look, and act only who shows it", async () => {
    const { port } = await startWithConsole({ console: { tokenFile: tokenFile() } });
    expect(JSON.parse((await ask(port, "api/access")).text)).toEqual({
      access: "read",
      tokenConfigured: true,
    });
    expect((await ask(port, "api/aside")).status).toBe(200);
    const body = { messageId: "0".repeat(32) };
    const refused = await ask(port, "api/requeue", { body });
    expect([refused.status, codeOf(refused)]).toEqual([403, "sign_in"]);
    const headers = { ...OWN, authorization: `Bearer ${TOKEN}` };
    expect((await ask(port, "api/requeue", { headers, body })).text).toContain(
      "not in the exception queue",
    );
  });

  it("a page of another site makes a browser ask in vain", async () => {
    const { port } = await startWithConsole();
    const cross = { ...OWN, "sec-fetch-site": "cross-site" };
    for (const path of ["api/access", "api/events", "api/tail?channel=a", "api/aside"]) {
      expect([path, (await ask(port, path, { headers: cross })).status]).toEqual([path, 403]);
    }
    // A form, or fetch without asking first, cannot send the header.
    const body = { messageId: "0".repeat(32) };
    const simple = await ask(port, "api/requeue", { headers: {}, body });
    expect([simple.status, codeOf(simple)]).toEqual([403, "header_missing"]);
    expect((await ask(port, "api/aside", { headers: {} })).status).toBe(403);
    // What is asked first is not answered.
    for (const answer of [simple, await ask(port, "api/access")]) {
      expect(
        Object.keys(answer.headers).filter((name) => name.startsWith("access-control")),
      ).toEqual([]);
    }
  });

  it("wrong tokens are looked at twenty times a minute", () => {
    const access = new ConsoleAccess(TOKEN);
    for (let guess = 0; guess < 20; guess++) {
      expect(access.signIn(`wrong ${guess}`, false)).toEqual({ outcome: "wrong" });
    }
    expect(access.signIn("wrong", false)).toEqual({ outcome: "too_many" });
    expect(access.signIn(TOKEN, false)).toMatchObject({ outcome: "accepted" });
  });

  it("another token ends what the old one had opened", () => {
    const access = new ConsoleAccess(TOKEN);
    const signedIn = access.signIn(TOKEN, false);
    const cookie = signedIn.outcome === "accepted" ? signedIn.cookie.split(";")[0]! : "";
    const request = { socket: { remoteAddress: "192.0.2.1" }, headers: { cookie } } as never;
    expect(access.of(request)).toBe("full");
    access.use(TOKEN);
    expect(access.of(request)).toBe("full");
    access.use(`${TOKEN}2`);
    expect(access.of(request)).toBe("none");
  });

  it.each([
    ["too short", "must hold at least 32 bytes"],
    [`${"x".repeat(20)} ${"y".repeat(20)}`, "printable ASCII"],
  ])("a token such as %j is refused", (token, problem) => {
    expect(() => readConsoleToken(tokenFile(token))).toThrow(problem);
  });

  it("is not there when it is switched off", async () => {
    const { port } = await startWithConsole({ console: { enabled: false } });
    expect((await ask(port, "")).status).toBe(404);
    expect((await ask(port, "api/access")).status).toBe(404);
  });

  it("the page is not kept, not framed, and runs no script but its own file", async () => {
    const { port } = await startWithConsole();
    const { headers, text } = await ask(port, "");
    expect(headers).toMatchObject({
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      "x-frame-options": "DENY",
      "referrer-policy": "no-referrer",
    });
    const policy = headers["content-security-policy"] as string;
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toMatch(/unsafe|\*|https?:/);
    expect(text).not.toMatch(/<script(?! src="page\.js" defer>)|\son\w+=|style="|javascript:/);
  });
});

describe("what it tells", () => {
  it("a first word, then a sample each second: queues, relay, channels, latencies", async () => {
    const { world, port } = await startWithConsole();
    const seen = await look(port, "api/events");
    await until("the first sample", () => seen.samples.length > 0);
    expect(seen.hello).toMatchObject({
      role: "serve",
      access: "full",
      payloads: false,
      database: true,
    });
    expect(seen.hello!.bounds.dequeue.length).toBeGreaterThan(5);
    await world.publish(1, 3, "sales");
    await until("the messages are counted", () => seen.samples.at(-1)!.point.accepted === 3);
    await until("their channel is seen", () => seen.samples.at(-1)!.channels.length > 0);
    const sample = seen.samples.at(-1)!;
    expect(sample).toMatchObject({
      ready: true,
      queues: [{ queue: "RTM_QUEUE", state: "active", accepted: 3, poison: 0, blocked: 0 }],
      relay: { channels: 1, recoveries: { granted: 0, refused: 0 } },
      channels: [{ channel: "sales", seq: 3, kept: 3, subscriptions: 0, retained: 0 }],
      conditions: [{ code: "insecure" }],
      log: null,
      watching: 1,
    });
    const counted = (counts: readonly number[] | null) =>
      counts!.reduce((sum, count) => sum + count, 0);
    expect(counted(sample.point.dequeue)).toBe(3);
    expect(counted(sample.point.write)).toBe(3);
    expect(sample.point.dequeue).toHaveLength(seen.hello!.bounds.dequeue.length + 1);
    // Who comes later is given what was seen before.
    const later = await look(port, "api/events");
    await until("the first word", () => later.hello !== undefined);
    expect(later.hello!.points.length).toBeGreaterThan(0);
  });

  it("who is present, where a rule lets users be seen", async () => {
    const { service, port } = await startWithConsole({
      relay: { presence: { rules: [{ channels: "team:*" }] } },
    });
    await service.relay!.publisher.publish([message("team:a", 1)], SOURCE);
    const seen = await look(port, "api/events");
    await until("the channel is seen", () => (seen.samples.at(-1)?.channels.length ?? 0) > 0);
    const sample = seen.samples.at(-1)!;
    expect(sample.channels).toMatchObject([{ channel: "team:a", members: 0 }]);
    expect(sample.relay!.presence).toMatchObject({ members: 0 });
    const without = await startWithConsole();
    const other = await look(without.port, "api/events");
    await until("the first sample", () => other.samples.length > 0);
    expect(other.samples[0]!.relay!.presence).toBeNull();
  });

  it("a worker alone has no relay, a relay alone no database", async () => {
    const { port } = await startWithConsole({
      roles: { relay: false },
      worker: { publishUrl: "http://127.0.0.1:9" },
    });
    const seen = await look(port, "api/events");
    await until("the first sample", () => seen.samples.length > 0);
    expect(seen.samples[0]).toMatchObject({
      relay: null,
      channels: [],
      queues: [{ queue: "RTM_QUEUE" }],
    });
    expect((await ask(port, "api/tail?channel=a")).status).toBe(404);
    const relay = await startWithConsole({ roles: { worker: false } });
    const other = await look(relay.port, "api/events");
    await until("the first sample", () => other.samples.length > 0);
    expect(other.hello).toMatchObject({ role: "relay", database: false });
    expect(other.samples[0]).toMatchObject({ queues: [], point: { backlog: null, dequeue: null } });
    expect((await ask(relay.port, "api/aside")).status).toBe(404);
  });

  it("the live tail shows names and sizes, and payloads only where that is configured", async () => {
    const { service, port } = await startWithConsole();
    const shown = await startWithConsole({ console: { payloads: true } });
    for (const [each, at] of [
      [service, port],
      [shown.service, shown.port],
    ] as const) {
      await each.relay!.publisher.publish([message("sales", { secret: "before" })], SOURCE);
      const seen = await look(at, "api/tail?channel=sales");
      await until("what was before", () => seen.news.length === 1);
      await each.relay!.publisher.publish(
        [message("sales", { secret: "later" }), message("other", 1)],
        SOURCE,
      );
      await until("what came", () => seen.news.length === 2);
      const [row] = seen.news[1]!.messages;
      expect(seen.news.flatMap(({ messages }) => messages).map(({ seq }) => seq)).toEqual([1, 2]);
      expect(row).toMatchObject({ eventName: "event", bytes: expect.any(Number) });
      expect(Math.abs(row!.at - Date.now())).toBeLessThan(60_000);
      const payload = at === shown.port ? '{"secret":"later"}' : undefined;
      expect(row!.payload).toBe(payload);
      expect(JSON.stringify(seen.news).includes("later")).toBe(at === shown.port);
    }
  });

  it("a tail that cannot keep up says how many passed by", async () => {
    const { service, port } = await startWithConsole({ relay: { history: { count: 50 } } });
    const seen = await look(port, "api/tail?channel=sales");
    const batch = Array.from({ length: 300 }, (_unused, n) => message("sales", n));
    await service.relay!.publisher.publish(batch, SOURCE);
    await until("it has news", () => seen.news.length > 0);
    const shown = seen.news.reduce((sum, { messages }) => sum + messages.length, 0);
    const missed = seen.news.reduce((sum, news) => sum + news.missed, 0);
    expect(shown + missed).toBe(300);
    expect(shown).toBeLessThanOrEqual(50);
  });

  it.each(["", "a".repeat(129), "ü".repeat(65)])("no tail of a channel named %j", async (name) => {
    const { port } = await startWithConsole();
    const { status, text } = await ask(port, `api/tail?channel=${encodeURIComponent(name)}`);
    expect([status, JSON.parse(text).message]).toEqual([
      400,
      expect.stringMatching(/^channel: must not be (empty|longer than 128 bytes of UTF-8)$/),
    ]);
    const none = await ask(port, "api/tail");
    expect(JSON.parse(none.text).message).toBe(
      "channel: must be given once, as in tail?channel=sales",
    );
  });

  it("warnings of the log, without what the log leaves out", async () => {
    const { port } = await startWithConsole();
    const log = createLogger("info", { write: () => {} });
    log.warn({ token: "hush-hush", payload: { a: 1 }, queue: "Q" }, "something is odd");
    log.info("all is well");
    const seen = await look(port, "api/events");
    await until("the first word", () => seen.hello !== undefined);
    expect(seen.hello!.warnings.at(-1)).toMatchObject({
      level: "warn",
      message: "something is odd",
      details: '{"token":"[redacted]","payload":"[redacted]","queue":"Q"}',
    });
    log.error({ err: new Error("ORA-00600: internal") }, "it failed");
    await until("it is told", () => seen.samples.some(({ warnings }) => warnings.length > 0));
    const [row] = seen.samples.flatMap(({ warnings }) => warnings);
    expect(row).toMatchObject({ level: "error", message: "it failed" });
    expect(row!.details).toContain("ORA-00600");
    expect(JSON.stringify([seen.hello, seen.samples])).not.toContain("hush-hush");
    expect(recentWarnings().count).toBeGreaterThanOrEqual(2);
  });

  it("keeps a bounded number of them, each of bounded length", () => {
    const lines = new RecentLines(10);
    for (let n = 1; n <= 1000; n++) lines.add(40, `${n} ${"x".repeat(10_000)}\n`);
    lines.add(30, "no warning");
    const kept = lines.since(0);
    expect(kept.map(({ number }) => number)).toEqual([
      991, 992, 993, 994, 995, 996, 997, 998, 999, 1000,
    ]);
    for (const { text } of kept) expect(text.length).toBeLessThanOrEqual(4096);
    expect(lines.since(999)).toHaveLength(1);
  });
});

describe("what lies beside the queue", () => {
  it("is listed, and put back by who may: then it is delivered", async () => {
    const { world, service, port } = await startWithConsole();
    const exceptions = world.emulator.queue(world.queue.exceptionQueue);
    const header = { v: 1, channel: "sales", eventName: "order", ts: Date.now() };
    const lost = `${JSON.stringify(header)}\n{"n":7}`;
    // A worker that was away, and an expiration that has passed.
    await world.emulator.faults.refuseConnections();
    for (const session of world.emulator.sessions()) world.emulator.faults.kill(session);
    world.queue.enqueue(lost, { expiration: 1 });
    await until("it has expired", () => exceptions.depth() === 1, 20_000);
    await world.emulator.faults.clear();
    const listed = JSON.parse((await ask(port, "api/aside")).text);
    expect(listed).toMatchObject({
      exceptions: { may: true, rows: [{ attempts: 0, channel: "sales", eventName: "order" }] },
      poison: { may: true, rows: [] },
    });
    const { messageId } = listed.exceptions.rows[0];
    const seen = await look(port, "api/tail?channel=sales");
    const done = await ask(port, "api/requeue", { body: { messageId } });
    expect([done.status, JSON.parse(done.text).messageId]).toEqual([
      200,
      expect.stringMatching(/^[0-9a-f]{32}$/),
    ]);
    await until(
      "it is delivered",
      () => seen.news.some(({ messages }) => messages.length > 0),
      20_000,
    );
    expect(exceptions.depth()).toBe(0);
    const again = await ask(port, "api/requeue", { body: { messageId } });
    expect([again.status, again.text]).toEqual([
      409,
      expect.stringContaining("not in the exception queue any more"),
    ]);
    expect(service.worker!.status()[0]!.state).toBe("active");
  });

  it("where the user may not, it says who may and what to grant", async () => {
    const { world, port } = await startWithConsole();
    const refuse = (error: OraError) => () => {
      throw error;
    };
    world.emulator.onStatement(
      /rtm_operator\.list_exceptions/,
      refuse(new OraError(904, '"RTM"."RTM_OPERATOR"."LIST_EXCEPTIONS": invalid identifier')),
    );
    world.emulator.onStatement(
      /rtm_operator\.listeners/,
      refuse(new OraError(904, "invalid identifier")),
    );
    world.emulator.onStatement(
      /rtm_operator\.requeue/,
      refuse(new OraError(6550, "PLS-00201: identifier 'RTM.RTM_OPERATOR' must be declared")),
    );
    world.emulator.onStatement(
      /from rtm\.rtm_log/i,
      refuse(new OraError(942, "table or view does not exist")),
    );
    expect(JSON.parse((await ask(port, "api/aside")).text)).toEqual({
      exceptions: {
        may: false,
        why: "RTM may not call RTM.RTM_OPERATOR",
        fix: expect.stringContaining("grant execute on RTM.rtm_operator to RTM"),
      },
      poison: { may: false, why: "RTM may not read RTM.RTM_LOG", fix: expect.any(String) },
      listeners: null,
    });
    const refused = await ask(port, "api/requeue", { body: { messageId: "0".repeat(32) } });
    expect([refused.status, refused.text]).toEqual([
      409,
      expect.stringContaining("may not call RTM.RTM_OPERATOR"),
    ]);
  });

  it("leaves no session behind, also when the database fails", async () => {
    const { world, port } = await startWithConsole();
    const sessions = () => world.emulator.sessions().filter(({ action }) => action === "console");
    await ask(port, "api/aside");
    await until("its session is closed", () => sessions().length === 0);
    world.emulator.onStatement(/rtm_operator\.list_exceptions/, () => {
      throw new OraError(1555, "snapshot too old");
    });
    const failed = await ask(port, "api/aside");
    expect([failed.status, failed.text]).toEqual([502, expect.stringContaining("ORA-01555")]);
    await until("its session is closed", () => sessions().length === 0);
  });

  it("no wrong request: the answer names the field and what is needed", async () => {
    const { port } = await startWithConsole();
    const digits = "messageId: must be 32 hexadecimal digits, as GET aside lists them";
    for (const [body, message] of [
      [{}, digits],
      [{ messageId: 7 }, digits],
      [{ messageId: "'; drop table rtm_log; --" }, digits],
      [{ messageId: "0".repeat(32), more: 1 }, "more is not known here: leave it out"],
      [[], "the body: must be a JSON object, with content-type: application/json"],
    ] as const) {
      const { status, text } = await ask(port, "api/requeue", { body });
      expect([status, JSON.parse(text)]).toEqual([400, { code: "bad_request", message }]);
    }
    const long = await ask(port, "api/requeue", { body: { messageId: "0".repeat(5_000) } });
    expect([long.status, JSON.parse(long.text).message]).toEqual([
      413,
      "the body: must not be longer than 4 KiB",
    ]);
  });
});

describe("what it costs", () => {
  it("runs no timer while nobody looks, and stops with the last one who did", async () => {
    const { port } = await startWithConsole();
    const made = vi.spyOn(globalThis, "setInterval");
    const cleared = vi.spyOn(globalThis, "clearInterval");
    // Whatever else this process does by intervals of these lengths is not made now.
    const running = () => {
      const ended = new Set(cleared.mock.calls.map(([timer]) => timer));
      return made.mock.results.filter(({ value }, index) => {
        const ms = made.mock.calls[index]![1];
        return (ms === 1000 || ms === 250) && !ended.has(value);
      }).length;
    };
    expect(running()).toBe(0);
    const seen = [
      await look(port, "api/events"),
      await look(port, "api/events"),
      await look(port, "api/tail?channel=a"),
    ];
    await until("they look on", () => seen[1]!.samples.length > 0);
    // One for both who look on, and one for the tail.
    expect(running()).toBe(2);
    for (const each of seen) each.leave();
    await until("nothing runs any more", () => running() === 0);
    vi.restoreAllMocks();
  });

  it("has a bound for those who look on", async () => {
    const { port } = await startWithConsole();
    const seen = [];
    for (let n = 0; n < 16; n++) seen.push(await look(port, "api/events"));
    expect((await ask(port, "api/events", { headers: {} })).status).toBe(503);
    seen[0]!.leave();
    await until("there is room again", async () => {
      const next = await look(port, "api/events").catch(() => undefined);
      return next !== undefined;
    });
    // Others are answered meanwhile.
    expect((await ask(port, "api/access")).status).toBe(200);
  });
});
