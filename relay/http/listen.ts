/** Opens and closes HTTP listeners. */
import { once } from "node:events";
import type { Server } from "node:http";
import { messageOf, RtmError } from "../../common/errors.ts";

/** @throws {RtmError} RTM_LISTEN; `key` is the configuration key that it names */
export async function listen(
  server: Server,
  host: string,
  port: number,
  key: string,
): Promise<void> {
  try {
    server.listen({ host, port });
    await once(server, "listening");
  } catch (error) {
    throw new RtmError(
      "RTM_LISTEN",
      `${key}: cannot listen on ${host}:${port}: ${messageOf(error)}`,
      {
        cause: error,
      },
    );
  }
}

/** Closes at once, with all connections. */
export async function closeServer(server: Server | undefined): Promise<void> {
  if (!server?.listening) {
    server?.closeAllConnections();
    return;
  }
  const closed = once(server, "close");
  server.close();
  server.closeAllConnections();
  await closed;
}
