/** NATS as a baseline: its server as it comes, and clients that speak its text protocol. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { channelName, MESSAGE_BYTES } from "./protocol.ts";

/** Where the server is: RTM_BENCH_NATS, or on the PATH. */
const PROGRAM = process.env.RTM_BENCH_NATS ?? "nats-server";
/** Of CPU times in /proc, on every Linux that Node runs on (proc(5), USER_HZ). */
const TICKS_PER_SECOND = 100;
/** How often a start is looked at, ms, and how often at most. */
const POLL_MS = 20;
const MAX_POLLS = 250;

/** Its version; undefined where there is no NATS server. */
export function natsVersion(): string | undefined {
  const { status, stdout } = spawnSync(PROGRAM, ["--version"], { encoding: "utf8" });
  return status === 0 ? stdout.trim() : undefined;
}

export interface NatsServer {
  readonly port: number;
  readonly process: ChildProcess;
  /** User and system time so far, µs. */
  cpuMicros(): number;
}

export async function startNats(): Promise<NatsServer> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as AddressInfo;
  probe.close();
  const directory = mkdtempSync(join(tmpdir(), "rtm-bench-"));
  const config = join(directory, "nats.conf");
  // Pings would be counted as bytes of messages.
  writeFileSync(config, `listen: "127.0.0.1:${port}"\nping_interval: "1h"\n`);
  const child = spawn(PROGRAM, ["-c", config], { stdio: "ignore" });
  process.on("exit", () => {
    child.kill("SIGKILL");
    rmSync(directory, { recursive: true });
  });
  for (let poll = 0; poll < MAX_POLLS; poll++) {
    try {
      const socket = connect(port, "127.0.0.1");
      await once(socket, "connect");
      socket.destroy();
      return { port, process: child, cpuMicros: () => cpuMicrosOf(child.pid as number) };
    } catch {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }
  throw new Error("nats-server did not start");
}

function cpuMicrosOf(pid: number): number {
  // The name of the program, in brackets, may hold blanks.
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  const [user, system] = [Number(fields[11]), Number(fields[12])];
  return ((user + system) / TICKS_PER_SECOND) * 1e6;
}

async function open(port: number, commands: string): Promise<Socket> {
  const socket = connect(port, "127.0.0.1").setNoDelay();
  await once(socket, "connect");
  socket.write(`CONNECT {"verbose":false,"pedantic":false}\r\n${commands}PING\r\n`);
  let text = "";
  while (!text.endsWith("PONG\r\n")) {
    const [chunk] = (await once(socket, "data")) as [Buffer];
    text += chunk.toString();
  }
  return socket;
}

/** Subscribes to a channel; `arrived` is called for each message with its number. */
export async function subscribeNats(
  port: number,
  channel: number,
  arrived: (channel: number, number: number) => void,
  acknowledge: () => void,
): Promise<void> {
  const name = channelName(channel);
  const socket = await open(port, `SUB ${name} 1\r\n`);
  const each = `MSG ${name} 1 ${MESSAGE_BYTES}\r\n`.length + MESSAGE_BYTES + 2;
  let bytes = 0;
  let received = 0;
  // All messages have one length, so counting them is counting bytes.
  socket.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    while ((received + 1) * each <= bytes) arrived(channel, received++);
    acknowledge();
  });
}

/** Sends one message to a channel, as long as the ones that our clients get. */
export async function natsPublisher(port: number): Promise<(channels: readonly number[]) => void> {
  const socket = await open(port, "");
  const body = "x".repeat(MESSAGE_BYTES);
  return (channels) => {
    let text = "";
    for (const channel of channels) {
      text += `PUB ${channelName(channel)} ${MESSAGE_BYTES}\r\n${body}\r\n`;
    }
    socket.write(text);
  };
}
