/** A relay that a test scripts frame by frame, and the surroundings of a client without a page. */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { WebSocket, WebSocketServer } from "ws";
import { RtmClient, type Token } from "../../../apex-plugins/client/client.ts";
import type { Environment } from "../../../apex-plugins/client/environment.ts";
import { publish } from "../../../apex-plugins/client/events.ts";
import type { Status } from "../../../apex-plugins/client/link.ts";
import type { Position } from "../../../apex-plugins/client/listener.ts";
import { Members } from "../../../apex-plugins/client/members.ts";
import { RelayConnection } from "../../../apex-plugins/client/relay-connection.ts";
import {
  type ClientFrame,
  type EventLimits,
  type ServerFrame,
  SUBPROTOCOL,
} from "../../../relay/contract/protocol.ts";

/** Values that arrive one after the other, for tests that wait for the next one. */
export class Arrivals<T> {
  readonly all: T[] = [];
  #read = 0;
  #waiting: (() => void)[] = [];

  push(value: T): void {
    this.all.push(value);
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** The next unread value; the test's own timeout is the deadline. */
  async next(): Promise<T> {
    while (this.#read >= this.all.length) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    return this.all[this.#read++]!;
  }

  async until(wanted: (value: T) => boolean): Promise<T> {
    for (;;) {
      const value = await this.next();
      if (wanted(value)) return value;
    }
  }
}

export class Peer {
  readonly frames = new Arrivals<ClientFrame>();
  readonly closed: Promise<number>;
  readonly #socket: WebSocket;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on("message", (data) => this.frames.push(JSON.parse(String(data))));
    this.closed = once(socket, "close").then(([code]) => code as number);
  }

  send(frame: ServerFrame | object | string): void {
    this.#socket.send(typeof frame === "string" ? frame : JSON.stringify(frame));
  }

  close(code: number): void {
    this.#socket.close(code);
  }

  /** Like a relay that was killed: the client sees 1006. */
  terminate(): void {
    this.#socket.terminate();
  }

  /** Answers the connect frame; returns it. */
  async accept(
    options: { pingMs?: number; expiresInMs?: number | null; events?: EventLimits } = {},
  ) {
    const frame = await this.frames.next();
    if (frame.op !== "connect") throw new Error(`expected connect, got ${frame.op}`);
    this.send({
      op: "connected",
      protocol: SUBPROTOCOL,
      pingMs: options.pingMs ?? 60_000,
      expiresInMs: options.expiresInMs === undefined ? 600_000 : options.expiresInMs,
      limits: { frameBytes: 65_536, messageBytes: 65_536, channels: 100 },
      ...(options.events ? { conn: "c1", events: options.events } : {}),
    });
    return frame;
  }

  subscribed(channel: string, seq: number, recovered: boolean, epoch = "e1"): void {
    this.send({ op: "subscribed", channel, epoch, seq, recovered });
  }

  message(channel: string, seq: number, options: { eventName?: string; id?: string } = {}): void {
    const { eventName = "ping", id = `id-${channel}-${seq}` } = options;
    this.send({ channel, eventName, payload: { n: seq }, id, seq, ts: 1 });
  }
}

export class ScriptedRelay {
  readonly peers = new Arrivals<Peer>();
  readonly #server: WebSocketServer;

  private constructor(server: WebSocketServer) {
    this.#server = server;
    server.on("connection", (socket) => this.peers.push(new Peer(socket)));
  }

  static async start(): Promise<ScriptedRelay> {
    const server = new WebSocketServer({
      host: "127.0.0.1",
      port: 0,
      handleProtocols: (offered) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
    });
    await once(server, "listening");
    return new ScriptedRelay(server);
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  async stop(): Promise<void> {
    for (const socket of this.#server.clients) socket.terminate();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

export class Page {
  readonly errors: unknown[] = [];
  readonly statuses = new Arrivals<Status>();
  readonly connection: RelayConnection;
  ageMs = 1234.5;

  /** `before`: where the tab's earlier page stood. */
  constructor(url: string, before: Readonly<Record<string, Position>> = {}) {
    const environment: Environment = {
      connect(address, handlers) {
        const socket = new WebSocket(address, SUBPROTOCOL);
        let live = true;
        socket.on("open", () => live && handlers.open());
        socket.on("message", (data) => live && handlers.frame(String(data)));
        socket.on("close", (code) => live && handlers.close(code));
        socket.on("error", () => undefined);
        return {
          send: (text) => socket.send(text),
          abandon() {
            live = false;
            socket.close(1000);
          },
        };
      },
      beforeFrame: (task) => void setImmediate(task),
      pageAgeMs: () => this.ageMs,
      positionsBefore: () => before,
      // The backoff stays short without being zero.
      random: () => 0.02,
      report: (error) => this.errors.push(error),
      more: async () => ({ Members, publish, fallback: () => Promise.reject() as never }),
    };
    this.connection = new RelayConnection(environment, url);
    this.connection.link.watch((status) => this.statuses.push(status));
  }

  client(token?: Token): RtmClient {
    return new RtmClient(this.connection, token);
  }
}
