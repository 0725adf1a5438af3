/** What an installed `rtm` must do, however it was installed. */
import { expect } from "vitest";
import { WebSocket } from "ws";
import { freePort } from "../support/free-port.ts";
import { Program } from "../support/programs.ts";
import { ENGINE_PROGRAM, RedisServer } from "../support/redis-server.ts";
import { until } from "../support/until.ts";

/** How an installed command is started. */
export interface Installed {
  /** Program and first arguments. */
  readonly command: readonly [string, ...string[]];
  readonly env?: NodeJS.ProcessEnv;
}

const DEADLINE_MS = 60_000;

function start({ command: [program, ...first], env }: Installed, args: readonly string[]): Program {
  return new Program(program, [...first, ...args], env);
}

async function stop(program: Program): Promise<void> {
  program.kill("SIGTERM");
  expect(await program.exited, program.output).toBe(0);
}

/** Waits until `/readyz` of a relay says yes. */
export async function ready(url: string): Promise<void> {
  const answer = () =>
    fetch(`${url}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    );
  await until(`${url} is ready`, answer, DEADLINE_MS);
}

/** The whole path: driver, emulator, worker, relay, page. */
export async function runsDemo(installed: Installed): Promise<void> {
  const demo = start(installed, ["demo", "--port", "0"]);
  const [url] = await demo.printed(/http:\/\/127\.0\.0\.1:\d+/, DEADLINE_MS);
  await ready(url);
  expect((await fetch(`${url}/demo/`)).status).toBe(200);
  expect((await fetch(`${url}/client/rtm-client.js`)).status).toBe(200);
  const socket = new WebSocket(`${url.replace("http", "ws")}/ws?channel=sales`);
  let received = "";
  socket.on("message", (data) => {
    received = data.toString();
  });
  await until("an order has come through", () => received !== "", DEADLINE_MS);
  expect(JSON.parse(received)).toMatchObject({ channel: "sales" });
  socket.terminate();
  await stop(demo);
}

/** A relay on a shared log: the engine's client is part of every package. */
export async function runsOnEngine(installed: Installed): Promise<void> {
  if (ENGINE_PROGRAM === undefined) {
    console.log("not tried on a shared log: neither valkey-server nor redis-server is installed");
    return;
  }
  const engine = await RedisServer.start();
  const port = await freePort();
  const relay = start(
    {
      ...installed,
      env: {
        PATH: process.env.PATH,
        ...installed.env,
        RTM_RELAY_INSECURE: "true",
        RTM_RELAY_PORT: `${port}`,
        RTM_SERVICE_ADMIN_PORT: "0",
        RTM_RELAY_LOG_KIND: "valkey",
        RTM_RELAY_LOG_URL: engine.url,
      },
    },
    ["relay"],
  );
  await ready(`http://127.0.0.1:${port}`);
  await stop(relay);
}
