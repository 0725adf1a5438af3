/**
 * Stands for the load balancer of the demo with several nodes: in turn, without sticky sessions, and past
 * a node that does not answer. What a real one needs is in docs/cluster.md.
 */
import { once } from "node:events";
import { type IncomingMessage, request, type ServerResponse } from "node:http";
import { connect, type Socket } from "node:net";
import type { Duplex } from "node:stream";

export class Front {
  readonly #ports: readonly number[];
  /** Counted apart: with a fixed number of requests each, all pages might end on one node. */
  #requests = 0;
  #sockets = 0;

  constructor(ports: readonly number[]) {
    this.#ports = ports;
  }

  /** A connection to the node whose turn it is, or the next one that takes it; undefined: none does. */
  async #connect(turn: number): Promise<Socket | undefined> {
    const from = turn % this.#ports.length;
    for (const port of [...this.#ports.slice(from), ...this.#ports.slice(0, from)]) {
      const socket = connect({ host: "127.0.0.1", port, noDelay: true });
      try {
        await once(socket, "connect");
        return socket;
      } catch {
        // Its process is gone: the next one.
      }
    }
    return undefined;
  }

  async pass(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const socket = await this.#connect(this.#requests++);
    if (!socket) {
      outgoing.writeHead(502).end("no node answers\n");
      return;
    }
    const { method, url: path, headers } = incoming;
    const call = request({ createConnection: () => socket, method, path, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode as number, answer.headers);
      answer.pipe(outgoing);
    });
    call.on("error", () => {
      if (outgoing.headersSent) outgoing.destroy();
      else outgoing.writeHead(502).end("the node is gone\n");
    });
    incoming.pipe(call);
  }

  /** Passes a WebSocket on, byte by byte. */
  async upgrade(incoming: IncomingMessage, client: Duplex, head: Buffer): Promise<void> {
    client.on("error", () => client.destroy());
    const node = await this.#connect(this.#sockets++);
    if (!node || client.destroyed) {
      node?.destroy();
      client.destroy();
      return;
    }
    node.on("error", () => node.destroy());
    node.on("close", () => client.destroy());
    client.on("close", () => node.destroy());
    node.write(headOf(incoming));
    node.write(head);
    client.pipe(node).pipe(client);
  }
}

/** The request as it came. */
function headOf({ method, url, rawHeaders }: IncomingMessage): string {
  const lines = [`${method} ${url} HTTP/1.1`];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    lines.push(`${rawHeaders[index]}: ${rawHeaders[index + 1]}`);
  }
  return `${lines.join("\r\n")}\r\n\r\n`;
}
