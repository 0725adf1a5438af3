import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** A TCP relay whose line can be cut at a chosen moment. One client at a time. */
export interface CuttableLine {
  readonly port: number;
  /** Nothing the client sends arrives from now on. */
  blockRequests(): void;
  /** The client gets no answer from now on; resolves when the database has sent one. */
  blockAnswers(): Promise<void>;
  /** Resets both sides. */
  cut(): void;
  close(): Promise<void>;
}

export async function openLine(host: string, port: number): Promise<CuttableLine> {
  const sockets = new Set<Socket>();
  let requests = true;
  let answers = true;
  let answered = () => {};
  const server = createServer((client) => {
    const database = connect(port, host);
    for (const socket of [client, database]) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        sockets.delete(socket);
        client.destroy();
        database.destroy();
      });
    }
    client.on("data", (chunk) => requests && database.write(chunk));
    database.on("data", (chunk) => {
      if (answers) client.write(chunk);
      else answered();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const cut = () => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    blockRequests() {
      requests = false;
    },
    blockAnswers() {
      answers = false;
      return new Promise((resolve) => {
        answered = resolve;
      });
    },
    cut,
    close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      cut();
      return closed;
    },
  };
}
