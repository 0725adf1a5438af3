import { createRequire } from "node:module";
import { resolve } from "node:path";
import { expect, it } from "vitest";
import { WebSocket } from "ws";
import { message, SOURCE, startTestRelay, token } from "../../relay/support.ts";
import { built } from "../../support/build.ts";

const require = createRequire(import.meta.url);
const file = (name: string) => resolve(built(`client/${name}`));

interface Client {
  readonly status: { readonly state: string };
  subscribe(channel: string, options: object): unknown;
  close(): void;
}

interface Module {
  connect(options: object): Client;
}

/** The modules as a consumer of the package gets them. */
const MODULES: [string, () => Promise<Module>][] = [
  ["import", async () => import(file("rtm-client.mjs"))],
  ["require", async () => require(file("rtm-client.cjs"))],
];

it.each(MODULES)("the client listens in a Node process (%s)", async (_how, load) => {
  const { connect } = await load();
  const relay = await startTestRelay();
  const errors: unknown[] = [];
  const client = connect({
    url: `ws://127.0.0.1:${relay.port}/ws`,
    token: () => token(["tail"]),
    webSocket: WebSocket,
    onError: (error: unknown) => errors.push(error),
  });
  try {
    const seen: unknown[] = [];
    await new Promise<void>((resolve, reject) => {
      client.subscribe("tail", {
        onSubscribed: () => {
          const messages = [1, 2, 3].map((n) => message("tail", n));
          relay.publisher.publish(messages, SOURCE).catch(reject);
        },
        onMessage: ({ payload }: { payload: unknown }) => {
          seen.push(payload);
          if (seen.length === 3) resolve();
        },
      });
    });
    expect(seen).toEqual([1, 2, 3]);
    expect(errors).toEqual([]);
  } finally {
    client.close();
    await relay.close();
  }
  expect(client.status.state).toBe("idle");
});

it("without a WebSocket class or a whole URL the reason is told", async () => {
  const { connect } = await MODULES[0]![1]();
  const { WebSocket: own } = globalThis;
  Reflect.deleteProperty(globalThis, "WebSocket");
  try {
    expect(() => connect({ url: "ws://127.0.0.1:1/ws" })).toThrow(/package ws/);
    expect(() => connect({ webSocket: WebSocket })).toThrow(/url must be wss/);
  } finally {
    if (own) globalThis.WebSocket = own;
  }
});
