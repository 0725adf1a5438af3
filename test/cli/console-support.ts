/** A service with a console on an emulated database, and requests as browsers and others make them. */
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { onTestFinished } from "vitest";
import { rtmConfig } from "../../cli/config.ts";
import type { Hello, Sample, TailNews } from "../../cli/console/contract.ts";
import { type Service, startService } from "../../cli/service/service.ts";
import { parseConfig } from "../../common/config.ts";
import { createLogger } from "../../common/logger.ts";
import { until } from "../support/until.ts";
import { World } from "../worker/support.ts";

export interface Started {
  readonly world: World;
  readonly service: Service;
  /** Port of the admin listener. */
  readonly port: number;
}

/** @param sections of the configuration, beside what makes it run */
export async function startWithConsole(
  sections: { console?: object; relay?: object; worker?: object; roles?: object } = {},
): Promise<Started> {
  const world = await World.start();
  onTestFinished(() => world[Symbol.asyncDispose]());
  const config = parseConfig(rtmConfig, {
    service: { admin: { port: 0 }, console: sections.console ?? {} },
    database: world.database,
    worker: { queues: [{ name: "RTM_QUEUE", wait: "1s" }], sideInterval: "1s", ...sections.worker },
    relay: { port: 0, insecure: true, drain: { window: "0s" }, ...sections.relay },
  });
  const service = await startService({
    config,
    roles: { worker: true, relay: true, ...sections.roles },
    log: createLogger("warn", { write: () => {} }),
  });
  onTestFinished(() => service.stop());
  await until("it is ready", () => !service.readiness().some(({ blocking }) => blocking));
  return { world, service, port: service.adminPort! };
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly text: string;
}

const OWN = { "x-rtm-console": "1" };

/** A request of the page, unless `headers` says otherwise; with a body it is a POST. */
export async function ask(
  port: number,
  path: string,
  { headers = OWN, body }: { headers?: Readonly<Record<string, string>>; body?: object } = {},
): Promise<Answer> {
  const text = body && JSON.stringify(body);
  const outgoing = request({
    port,
    host: "127.0.0.1",
    path: `/console/${path}`,
    method: text === undefined ? "GET" : "POST",
    agent: false,
    headers: {
      ...headers,
      ...(text === undefined
        ? {}
        : { "content-type": "application/json", "content-length": Buffer.byteLength(text) }),
    },
  }).end(text);
  const [response] = (await once(outgoing, "response")) as [IncomingMessage];
  const pieces: Buffer[] = [];
  for await (const piece of response) pieces.push(piece as Buffer);
  return {
    status: response.statusCode!,
    headers: response.headers,
    text: Buffer.concat(pieces).toString(),
  };
}

export { OWN };

export interface Seen {
  hello?: Hello;
  readonly samples: Sample[];
  readonly news: TailNews[];
  /** Ends the stream. */
  leave(): void;
  /** Whether the other side has ended it. */
  ended: boolean;
}

/** Reads `api/events` or `api/tail`, until the test leaves it. */
export async function look(
  port: number,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Seen> {
  const outgoing = request({
    port,
    host: "127.0.0.1",
    path: `/console/${path}`,
    agent: false,
    headers,
  }).end();
  const [response] = (await once(outgoing, "response")) as [IncomingMessage];
  if (response.statusCode !== 200) throw new Error(`${path}: ${response.statusCode}`);
  const seen: Seen = { samples: [], news: [], ended: false, leave: () => outgoing.destroy() };
  onTestFinished(() => seen.leave());
  let rest = "";
  response.setEncoding("utf8").on("data", (piece: string) => {
    rest += piece;
    const blocks = rest.split("\n\n");
    rest = blocks.pop()!;
    for (const block of blocks) {
      const [, name, data] = /^event: (\w+)\ndata: (.*)$/.exec(block) ?? [];
      if (name === "hello") seen.hello = JSON.parse(data!);
      if (name === "sample") seen.samples.push(JSON.parse(data!));
      if (name === "news") seen.news.push(JSON.parse(data!));
    }
  });
  response.on("end", () => {
    seen.ended = true;
  });
  response.on("error", () => {});
  outgoing.on("error", () => {});
  return seen;
}
