/** A proxy that gives what listens on a port a path, as nginx/rtm-ords.inc does. */
import { type AddressInfo, connect, createServer } from "node:net";
import { onTestFinished } from "vitest";

/**
 * Takes `/rtm` away from the request of a connection; anything else is answered with 404. Ends with the
 * test.
 * @returns the URL of its root
 */
export async function startPathProxy(port: number): Promise<string> {
  const server = createServer((client) => {
    client.on("error", () => {});
    client.once("data", (head) => {
      const text = head.toString("latin1");
      if (!/^[A-Z]+ \/rtm\//.test(text)) {
        client.end("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        return;
      }
      const behind = connect(port, "127.0.0.1");
      behind.write(
        text.replace("/rtm/", "/").replace(/connection: keep-alive/i, "connection: close"),
        "latin1",
      );
      behind.pipe(client).pipe(behind);
      for (const socket of [behind, client]) {
        socket.on("error", () => behind.destroy());
        socket.on("close", () => {
          behind.destroy();
          client.destroy();
        });
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
