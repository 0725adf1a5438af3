/** The engine over TLS, with a user that has the rights of docs/cluster.md and no others. */
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { openLog } from "../../relay/open-log.ts";
import { RecordingReader } from "../log-contract/reader.ts";
import { Client, log, message, SOURCE, startTestRelay, testConfig } from "../relay/support.ts";
import { Authority } from "../support/certificates.ts";
import { documentedRights } from "../support/engine-rights.ts";
import { freePort } from "../support/free-port.ts";
import { has, temporaryDirectory } from "../support/programs.ts";
import { ENGINE_MISSING, RedisServer } from "../support/redis-server.ts";
import { until } from "../support/until.ts";

const missing = ENGINE_MISSING || (has("openssl") ? "" : " (skipped: no openssl)");
const PASSWORD = "pass word/with:all@signs";

interface TlsEngine {
  readonly port: number;
  readonly directory: string;
  readonly authority: Authority;
}

/** @param clients whether it asks for certificates @param alternative whom its own names */
async function tlsEngine(clients: "yes" | "no", alternative = "IP:127.0.0.1"): Promise<TlsEngine> {
  const directory = temporaryDirectory();
  const authority = new Authority(directory, "authority");
  const { certFile, keyFile } = authority.issue("engine", alternative);
  const port = await freePort();
  const engine = await RedisServer.start(
    ...["--tls-port", `${port}`, "--tls-cert-file", certFile, "--tls-key-file", keyFile],
    ...["--tls-ca-cert-file", authority.certFile, "--tls-auth-clients", clients],
  );
  await engine.command("ACL", "SETUSER", "rtm", "on", `>${PASSWORD}`, ...documentedRights());
  await engine.command("ACL", "SETUSER", "default", "off");
  return { port, directory, authority };
}

/** As docs/cluster.md sets a node up: the address comes from a file. */
function configOn({ port, directory }: TlsEngine, tls: object): object {
  const urlFile = join(directory, "engine-url");
  writeFileSync(urlFile, `rediss://rtm:${encodeURIComponent(PASSWORD)}@127.0.0.1:${port}/0\n`);
  chmodSync(urlFile, 0o600);
  return { insecure: true, log: { kind: "valkey", urlFile, tls, grace: "60s" } };
}

async function relayOn(engine: TlsEngine, tls: object) {
  const relay = await startTestRelay(configOn(engine, tls));
  onTestFinished(() => relay.close());
  return relay;
}

/** Why a node does not reach the log. */
async function problemOf(engine: TlsEngine, tls: object): Promise<string> {
  const node = openLog(testConfig(configOn(engine, tls)), { log, clock: () => performance.now() });
  onTestFinished(() => node.close());
  await node.follow(new RecordingReader());
  let text = "";
  await until("it says why", async () => {
    const [answer] = await node.append([message("sales", 1)], { source: SOURCE });
    text = (answer as { message: string }).message;
    return !text.includes("has not been reached yet");
  });
  return text;
}

describe.skipIf(missing !== "")(`the log's engine over TLS${missing}`, () => {
  it("log-tls: nodes share a log with an authority of their own and a user of few rights", async () => {
    const engine = await tlsEngine("no");
    const tls = { caFile: engine.authority.certFile };
    const [a, b] = [await relayOn(engine, tls), await relayOn(engine, tls)];
    const client = await Client.connect(b, { subscribe: [{ channel: "sales" }] });
    expect(await client.nextN(2)).toMatchObject([{ op: "connected" }, { op: "subscribed" }]);
    const answers = await a.publisher.publish([message("sales", 1), message("sales", 2)], SOURCE);
    expect(answers).toMatchObject([{ status: "accepted" }, { status: "accepted" }]);
    expect((await client.nextN(2)).map(({ payload }) => payload)).toEqual([1, 2]);
  });

  it("log-tls-authority: an engine whose certificate another authority signed is not believed", async () => {
    const engine = await tlsEngine("no");
    const strange = new Authority(engine.directory, "stranger");
    expect(await problemOf(engine, { caFile: strange.certFile })).toMatch(/certificate/);
    expect(await problemOf(engine, {})).toMatch(/certificate/);
  });

  it("log-tls-name: a certificate for another host is not believed", async () => {
    const engine = await tlsEngine("no", "DNS:engine.example.com");
    const problem = await problemOf(engine, { caFile: engine.authority.certFile });
    expect(problem).toMatch(/does not match certificate|not in the cert's list/);
  });

  it("log-tls-clients: an engine that asks for certificates gets this node's", async () => {
    const engine = await tlsEngine("yes");
    const caFile = engine.authority.certFile;
    expect(await problemOf(engine, { caFile })).not.toBe("");
    const own = engine.authority.issue("node", "DNS:node.example.com");
    const relay = await relayOn(engine, { caFile, ...own });
    await until("it is taken", async () => {
      const [answer] = await relay.publisher.publish([message("sales", 1)], SOURCE);
      return answer?.status === "accepted";
    });
  });
});
