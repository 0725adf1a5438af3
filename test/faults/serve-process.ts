/** `rtm serve` in a process of its own, as an administrator starts it. */
import { type Program, rtm } from "../support/programs.ts";
import { PASSWORD, type World } from "../worker/support.ts";

export interface ServeProcess {
  readonly process: Program;
  readonly port: number;
  /** Status of /readyz on the admin listener, and the codes of its reasons. */
  ready(): Promise<{ status: number; reasons: string[] }>;
  /** Whether it dequeues. */
  leads(): Promise<boolean>;
}

/** It is ended with the test. @param deadlineMs of its start */
export async function serveProcess(
  world: World,
  env: NodeJS.ProcessEnv = {},
  deadlineMs?: number,
): Promise<ServeProcess> {
  const process = rtm(["serve"], {
    RTM_DATABASE_CONNECT_STRING: world.emulator.connectString,
    RTM_DATABASE_USER: "RTM",
    RTM_DATABASE_PASSWORD: PASSWORD,
    RTM_WORKER_QUEUES: '[{"name":"RTM_QUEUE","wait":"1s"}]',
    RTM_RELAY_INSECURE: "true",
    RTM_RELAY_PORT: "0",
    RTM_SERVICE_ADMIN_PORT: "0",
    ...env,
  });
  const [, adminPort] = await process.printed(
    /"adminPort":(\d+).*"msg":"admin listener"/,
    deadlineMs,
  );
  const [, port] = await process.printed(/"port":(\d+).*"msg":"relay listens"/, deadlineMs);
  const admin = `http://127.0.0.1:${adminPort}`;
  return {
    process,
    port: Number(port),
    async ready() {
      const response = await fetch(`${admin}/readyz`);
      const { reasons } = (await response.json()) as { reasons: { code: string }[] };
      return { status: response.status, reasons: reasons.map(({ code }) => code) };
    },
    async leads() {
      const text = await (await fetch(`${admin}/metrics`)).text();
      return /^rtm_worker_state\{[^}]*state="active"[^}]*\} 1$/m.test(text);
    },
  };
}
