/** Commands that ask a server which is no relay: they end soon, say what is wrong, and give nothing away. */
import { once } from "node:events";
import { createServer as createHttpServer, type RequestListener, type Server } from "node:http";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { expect, it, onTestFinished, vi } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import { rtmConfig } from "../../cli/config.ts";
import { checkRelay } from "../../cli/doctor/relay.ts";
import { type Finding, formatFinding } from "../../cli/doctor/report.ts";
import { checkWebSocket } from "../../cli/doctor/web-socket.ts";
import { CommandError } from "../../cli/exit.ts";
import { history, revoke } from "../../cli/manage.ts";
import { publish } from "../../cli/publish.ts";
import { tail } from "../../cli/tail.ts";
import { top } from "../../cli/top/top.ts";
import { parseConfig } from "../../common/config.ts";
import { rtm } from "../support/programs.ts";
import { until } from "../support/until.ts";

const KEY = "a-key-that-must-not-travel";

async function listen(server: Server | ReturnType<typeof createServer>): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const serve = (answer: RequestListener) => listen(createHttpServer(answer));

/** Reads what comes, and answers with what it pleases. */
function serveRaw(answer: (socket: Socket) => void): Promise<string> {
  return listen(
    createServer((socket) => {
      socket.on("error", () => {}).resume();
      answer(socket);
    }),
  );
}

/** An answer without end, as fast as it is read. */
function pour(socket: Socket, head: string): void {
  const piece = "x".repeat(64 * 1024);
  const more = () => {
    while (!socket.destroyed && socket.write(piece));
  };
  socket.on("drain", more).write(head);
  more();
}

/** A byte now and then. */
function drip(socket: Socket, head: string): void {
  socket.write(head);
  const timer = setInterval(() => socket.write("x"), 200);
  socket.on("close", () => clearInterval(timer));
}

const OK = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n";

async function findings(url: string, overrides: object = {}): Promise<Finding[]> {
  const config = parseConfig(rtmConfig, {
    relay: { insecure: true },
    service: { admin: { enabled: false } },
    ...overrides,
  });
  const found: Finding[] = [];
  await checkRelay(config, url, (finding) => found.push(finding));
  return found;
}

const TOO_LATE = "no whole answer within 5s";

// Each waits for its deadline, so all wait together.
it("rtm doctor meets answers that do not end, or do not begin", async () => {
  const answers: Readonly<Record<string, [answer: (socket: Socket) => void, detail: string]>> = {
    "an answer without end": [(socket) => pour(socket, OK), "longer than 256KiB"],
    "an answer byte by byte": [(socket) => drip(socket, OK), TOO_LATE],
    "headers byte by byte": [(socket) => drip(socket, "HTTP/1.1 200 OK\r\nA: "), TOO_LATE],
    "no answer": [() => {}, TOO_LATE],
  };
  const handshake = async () => {
    const found: Finding[] = [];
    const head = "HTTP/1.1 101 Switching Protocols\r\nA: ";
    const url = await serveRaw((socket) => drip(socket, head));
    await checkWebSocket(url, (finding) => found.push(finding));
    return ["a handshake byte by byte", found, TOO_LATE] as const;
  };
  const met = Object.entries(answers).map(
    async ([what, [answer, detail]]) =>
      [what, await findings(await serveRaw(answer)), detail] as const,
  );
  for (const [what, found, detail] of await Promise.all([...met, handshake()])) {
    const failed = { verdict: "FAILED", detail: expect.stringContaining(detail) };
    expect(found, what).toMatchObject([failed]);
  }
});

it("rtm doctor says that a node does not serve, and blames no proxy for it", async () => {
  const found: Finding[] = [];
  const url = await serveRaw((socket) =>
    socket.end("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"),
  );
  await checkWebSocket(url, (finding) => found.push(finding));
  expect(found).toMatchObject([
    { verdict: "FAILED", fix: expect.stringMatching(/^the node does not serve.*readiness/) },
  ]);
});

it("rtm doctor and rtm publish take no key to where they are redirected", async () => {
  const heard: unknown[] = [];
  const elsewhere = await serve((request, response) => {
    heard.push(request.headers);
    response.end('{"ready":true}');
  });
  const url = await serve((request, response) => {
    if (request.url === "/readyz") response.end('{"ready":true}');
    else response.writeHead(307, { location: `${elsewhere}${request.url}` }).end();
  });
  const found = await findings(url, { worker: { publishUrl: url, publishKey: KEY } });
  expect(found.find(({ check }) => check === "publish key")).toMatchObject({
    verdict: "FAILED",
    detail: `the answer is a redirect (307) to ${elsewhere}/api/broadcast: name that place`,
  });
  const env = { ...process.env, RTM_API_KEY: KEY };
  const { code, stderr } = await rtm(["publish", "a", "1", "--url", url], env).finished;
  expect(code).toBe(1);
  expect(stderr).toContain(`the answer is a redirect (307) to ${elsewhere}/api/broadcast`);
  expect(heard).toEqual([]);
});

it("rtm doctor meets reasons that are none", async () => {
  for (const reasons of ['{"reasons":5,"warnings":{}}', "null", "[]", '{"reasons":[null]}']) {
    const admin = await serve((_request, response) => response.end(reasons));
    const url = await serve((_request, response) => response.end('{"ready":false}'));
    const port = Number(new URL(admin).port);
    const found = await findings(url, { service: { admin: { port } } });
    expect(found.find(({ check }) => check === "readiness")).toMatchObject({
      verdict: "FAILED",
      detail: "not ready",
    });
  }
});

it("rtm doctor writes control characters out", async () => {
  const message = "a\u001b[2J\nb\u202e";
  const admin = await serve((_request, response) =>
    response.end(JSON.stringify({ reasons: [{ code: "x", message }], warnings: [] })),
  );
  const url = await serve((_request, response) => response.end('{"ready":false}'));
  const port = Number(new URL(admin).port);
  const found = await findings(url, { service: { admin: { port } } });
  expect(formatFinding(found.at(-1)!)).toContain("a\\u001b[2J b\\u202e");
});

/** A WebSocket server that says what it pleases. */
async function speak(talk: (socket: WebSocket) => void): Promise<string> {
  const server = createHttpServer();
  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (socket) =>
    socket.on("error", () => {}).once("message", () => talk(socket)),
  );
  onTestFinished(() => {
    for (const socket of sockets.clients) socket.terminate();
    sockets.close();
  });
  return listen(server);
}

it("rtm tail meets frames that are none", async () => {
  const frames = ["<html>", "null", "5", '{"op":"subscribed"}', '{"op":"error"}', '{"payload":1}'];
  await Promise.all(
    frames.map(async (frame) => {
      const url = await speak((socket) => socket.send(frame));
      const { code, stdout, stderr } = await rtm(["tail", "a", "--url", url]).finished;
      expect({ frame, code, stdout, stderr }).toEqual({
        frame,
        code: 1,
        stdout: "",
        stderr: `rtm: ${url}: what answers there is no relay (RTM_COMMAND_FAILED)\n`,
      });
    }),
  );
});

it("rtm tail writes what it says of others on one line, without control characters", async () => {
  const channel = "a\nb\u001b[2J\t";
  const subscribed = { op: "subscribed", channel, epoch: "e", seq: 1, recovered: false };
  const url = await speak((socket) => {
    socket.send('{"op":"connected"}');
    socket.send(JSON.stringify(subscribed));
    socket.send(JSON.stringify(subscribed));
    socket.send(JSON.stringify({ op: "error", code: "x\u001b", message: "y\u009b" }));
  });
  const { code, stderr } = await rtm(["tail", "a", "--url", url]).finished;
  expect(code).toBe(1);
  expect(stderr).toBe(
    "rtm tail: a\\u000ab\\u001b[2J\\u0009: messages may be missing\n" +
      "rtm: the relay refused: y\\u009b (x\\u001b) (RTM_COMMAND_FAILED)\n",
  );
});

it("rtm tail comes back to a relay that has gone silent without closing", async () => {
  let connections = 0;
  const url = await speak((socket) => {
    // And then nothing, as when the network between is gone.
    if (++connections === 1) socket.send('{"op":"connected","pingMs":50}');
  });
  const tailing = rtm(["tail", "a", "--url", url]);
  await until("it comes back", () => connections > 1);
  expect(tailing.stderr).toContain(
    `rtm tail: no sign of life within 100ms; reconnecting to ${url}\n`,
  );
});

/** What becomes of a command once the server has heard of it and `ms` have passed. */
async function after(ms: number, wasHeard: () => boolean, run: (signal: AbortSignal) => unknown) {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
  const stop = new AbortController();
  const ended = Promise.resolve(run(stop.signal)).catch((error: Error) => error.message);
  while (!wasHeard()) await new Promise((resolve) => setImmediate(resolve));
  vi.advanceTimersByTime(ms);
  return ended;
}

it("rtm tail gives a server up that takes its WebSocket and says nothing", async () => {
  let heard = false;
  const url = await speak(() => {
    heard = true;
  });
  expect(
    await after(
      10_000,
      () => heard,
      (signal) => tail(["a"], { url }, signal),
    ),
  ).toBe(`${url}: no word of a relay within 10s`);
});

it("rtm top gives a console up that says nothing any more", async () => {
  let heard = false;
  const url = await serve((_request, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders();
    heard = true;
  });
  expect(
    await after(
      15_000,
      () => heard,
      (signal) => top({ url }, signal),
    ),
  ).toBe(`${url} has said nothing for 15s: is it reachable still?`);
});

const { signal } = new AbortController();

it("rtm top meets answers that are none of a console", async () => {
  let type = "text/event-stream";
  let answer = "";
  const url = await serve((request, response) => {
    if (request.url !== "/console/api/events") {
      response.writeHead(307, { location: "http://localhost/" }).end();
    } else response.writeHead(200, { "content-type": type }).end(answer);
  });
  const said = (base = url) =>
    top({ url: base, once: true }, signal).catch((error: unknown) => {
      // A stack belongs to a defect of ours.
      expect(error).toBeInstanceOf(CommandError);
      return (error as Error).message;
    });
  for (const data of ["<", "null", "{}", "[]", '"x"']) {
    for (const name of ["hello", "sample"]) {
      answer = `event: ${name}\ndata: ${data}\n\n`;
      expect(await said(), answer).toContain("does not understand: is it a service of another");
    }
  }
  expect(await said(`${url}/below`)).toBe(
    `${url}: the answer is a redirect (307) to http://localhost/: name that place`,
  );
  type = "text/html";
  expect(await said()).toContain("not the console of an admin listener");
});

it("rtm top meets an event without end", async () => {
  const head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
  const url = await serveRaw((socket) => pour(socket, head));
  await expect(top({ url }, signal)).rejects.toThrow("an event is longer than 16MiB");
});

it("rtm publish meets an answer without end", async () => {
  const url = await serveRaw((socket) => pour(socket, OK));
  const { code, stderr } = await rtm(["publish", "a", "1", "--url", url]).finished;
  expect(code).toBe(1);
  expect(stderr).toContain("the answer is longer than 256KiB");
});

it("commands of a manager meet answers that are none of a relay", {
  timeout: 120_000,
}, async () => {
  let answer = "";
  const url = await serve((_request, response) => response.end(answer));
  const commands = {
    revoke: () => revoke({ url, user: "a" }),
    history: () => history("a", { url }),
    publish: () => publish("a", "1", { url, event: "event" }),
  };
  const complaint = `${url} gave an answer that is not a relay's`;
  for (answer of ["5", "null", "[null]", '{"messages":5}', '{"messages":[null]}', '{"ok":false}']) {
    for (const [name, command] of Object.entries(commands)) {
      const error = await command().catch((thrown: unknown) => thrown);
      expect(error, `${name}: ${answer}`).toBeInstanceOf(CommandError);
      expect((error as CommandError).message).toBe(complaint);
    }
  }
  const lines = [
    ["revoke", "--user", "a"],
    ["history", "a"],
    ["publish", "a", "1"],
  ];
  // As processes, with the last of the answers.
  const ended = lines.map((args) => rtm([...args, "--url", url]).finished);
  for (const { code, stderr } of await Promise.all(ended)) {
    expect(stderr).toBe(`rtm: ${complaint} (RTM_COMMAND_FAILED)\n`);
    expect(code).toBe(1);
  }
});
