/** Holds the Oracle database of a test run: started when the first test asks, one for all. */
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import type { TestProject } from "vitest/node";
import { messageOf } from "../../common/errors.ts";
import type { OracleAnswer } from "./target.ts";

/** Any image of gvenzl/oracle-free; the slim ones are small, and have no MLE. */
const IMAGE = process.env.RTM_TEST_ORACLE_IMAGE ?? "gvenzl/oracle-free:23-slim-faststart";
const SERVICE = "FREEPDB1";
const USER = "RTM_TEST";
const STARTUP_TIMEOUT_MS = 600_000;

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  let stop = async () => {};
  let answer: Promise<OracleAnswer | { error: string }> | undefined;
  const server = createServer((socket) => {
    answer ??= openDatabase((stopContainer) => {
      stop = stopContainer;
    }).catch((error) => ({ error: messageOf(error) }));
    answer.then((value) => socket.end(JSON.stringify(value)));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  project.provide("oracleLease", (server.address() as AddressInfo).port);
  return async () => {
    server.close();
    await stop();
    const given = await answer;
    if (given && "skip" in given) {
      console.log(`Oracle: ${skippedTests(project)} tests skipped: ${given.skip}`);
    }
  };
}

function skippedTests(project: TestProject): number {
  let count = 0;
  for (const module of project.vitest.state.getTestModules()) {
    if (!module.moduleId.endsWith(".oracle.test.ts")) continue;
    count += [...module.children.allTests("skipped")].length;
  }
  return count;
}

async function openDatabase(onStarted: (stop: () => Promise<void>) => void): Promise<OracleAnswer> {
  const { env } = process;
  if (env.RTM_TEST_ORACLE === "off") return { skip: "RTM_TEST_ORACLE=off" };
  const connectString = env.RTM_TEST_ORACLE_CONNECT_STRING;
  const user = env.RTM_TEST_ORACLE_USER;
  const password = env.RTM_TEST_ORACLE_PASSWORD;
  if (connectString && user && password) return { connectString, user, password };
  if (connectString || user || password) {
    throw new Error(
      "RTM_TEST_ORACLE_CONNECT_STRING, RTM_TEST_ORACLE_USER and RTM_TEST_ORACLE_PASSWORD belong together",
    );
  }
  const required = env.RTM_TEST_ORACLE === "required";
  const { getContainerRuntimeClient } = await import("testcontainers");
  try {
    await getContainerRuntimeClient();
  } catch (error) {
    const skip = `RTM_TEST_ORACLE_CONNECT_STRING is not set and Docker is not reachable (${messageOf(error)})`;
    if (required) throw new Error(skip);
    return { skip };
  }
  return startContainer(onStarted);
}

async function startContainer(
  onStarted: (stop: () => Promise<void>) => void,
): Promise<OracleAnswer> {
  const { OracleDbContainer } = await import("@testcontainers/oraclefree");
  const password = `Rtm_${randomBytes(9).toString("hex")}`;
  const script = await readFile(new URL("oracle-free.sql", import.meta.url), "utf8");
  const content = script.replaceAll("&user", USER).replaceAll("&password", password);
  const target = "/container-entrypoint-initdb.d/10_rtm_test.sql";
  const container = await new OracleDbContainer(IMAGE)
    .withPassword(password)
    .withCopyContentToContainer([{ content, target }])
    .withStartupTimeout(STARTUP_TIMEOUT_MS)
    .start();
  onStarted(async () => {
    await container.stop();
  });
  return {
    connectString: `${container.getHost()}:${container.getPort()}/${SERVICE}`,
    user: USER,
    password,
  };
}
