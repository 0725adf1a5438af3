/**
 * The switch for tests on a real Oracle database. Files named `*.oracle.test.ts` use it:
 *
 *     const oracle = await oracleAccess();
 *     describe.skipIf("skip" in oracle)("on Oracle", () => { ... });
 *
 * A database is there when RTM_TEST_ORACLE_CONNECT_STRING (host:port/service), RTM_TEST_ORACLE_USER
 * and RTM_TEST_ORACLE_PASSWORD are set, or else when Docker is reachable: then one container serves
 * the whole run. RTM_TEST_ORACLE=off skips in any case. Without a database the tests are skipped,
 * and the run ends with one line that says how many and why.
 *
 * The user needs what `oracle-free.sql` grants. That script makes the container's user.
 */
import { connect } from "node:net";
import { inject } from "vitest";

export interface OracleAccess {
  connectString: string;
  user: string;
  password: string;
}

export type OracleAnswer = OracleAccess | { skip: string };

declare module "vitest" {
  interface ProvidedContext {
    /** Port of the process that starts the container (global-setup.ts). */
    oracleLease: number;
  }
}

/** Asks for the database; waits while a container starts. */
export function oracleAccess(): Promise<OracleAnswer> {
  return new Promise((resolve, reject) => {
    const socket = connect(inject("oracleLease"), "127.0.0.1");
    let text = "";
    socket.setEncoding("utf8");
    socket.on("data", (chunk: string) => {
      text += chunk;
    });
    socket.on("error", reject);
    socket.on("end", () => {
      const answer = JSON.parse(text) as OracleAnswer | { error: string };
      if ("error" in answer) reject(new Error(answer.error));
      else resolve(answer);
    });
  });
}
