/** Commands reach a relay that a proxy gives a path, as nginx/rtm-ords.inc does (`/rtm/`). */
import { type AddressInfo, connect, createServer } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import { below, webSocketBelow } from "../../cli/relay-url.ts";
import { API_KEY, startTestRelay, token } from "../relay/support.ts";
import { rtm } from "../support/programs.ts";
import { until } from "../support/until.ts";

/** Takes `/rtm` away from the first request of a connection; anything else is a 404. @returns its URL */
async function proxy(port: number): Promise<string> {
  const server = createServer((client) => {
    client.once("data", (head) => {
      const text = head.toString("latin1");
      if (!/^[A-Z]+ \/rtm\//.test(text)) {
        client.end("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        return;
      }
      const relay = connect(port, "127.0.0.1");
      relay.write(
        text.replace("/rtm/", "/").replace(/connection: keep-alive/i, "connection: close"),
        "latin1",
      );
      relay.pipe(client).pipe(relay);
      for (const socket of [relay, client]) socket.on("error", () => relay.destroy());
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

it("a path of the URL stays, with a slash at its end or without one", () => {
  for (const base of ["https://apps.example.com/rtm", "https://apps.example.com/rtm/"]) {
    expect(below(base, "api/history?channel=a").href).toBe(
      "https://apps.example.com/rtm/api/history?channel=a",
    );
    expect(webSocketBelow(base).href).toBe("wss://apps.example.com/rtm/ws");
  }
  expect(below("http://127.0.0.1:3000", "readyz").href).toBe("http://127.0.0.1:3000/readyz");
});

it("publish, channels and tail go through it, and the root of the host is no relay", {
  timeout: 120_000,
}, async () => {
  const scopes = ["publish", "read"];
  const relay = await startTestRelay({ apiKeys: [{ name: "admin", key: API_KEY, scopes }] });
  onTestFinished(() => relay.close());
  const host = await proxy(relay.port);
  const env = { RTM_API_KEY: API_KEY, RTM_TOKEN: await token(["sales"]) };
  const tail = rtm(["tail", "sales", "-n", "1", "--url", `${host}/rtm`], env);
  await until("it is subscribed", async () =>
    /rtm_relay_subscriptions 1\b/.test(await relay.registry.metrics()),
  );
  const published = await rtm(["publish", "sales", "1", "--url", `${host}/rtm/`], env).finished;
  expect(published, published.stderr).toMatchObject({ code: 0, stderr: "" });
  expect((await tail.finished).stdout).toContain('"payload":1');
  const [listed, root] = await Promise.all([
    rtm(["channels", "--url", `${host}/rtm`], env).finished,
    rtm(["channels", "--url", host], env).finished,
  ]);
  expect(listed.stdout).toBe("sales\t0\t1\t1\n");
  expect(root).toMatchObject({ code: 1, stderr: expect.stringContaining("answered 404") });
});
