import { describe, expect, it } from "vitest";
import { classifyOracleError, type ErrorClass } from "../../worker/oracle-errors.ts";
import { DriverFailedError, SessionHungError } from "../../worker/session-errors.ts";

const error = (code: string, message = code, more: object = {}) =>
  Object.assign(new Error(message), { code, ...more });

/** Codes that the driver and the database are known to give, by what has to be done. */
const KNOWN: Readonly<Partial<Record<ErrorClass, readonly string[]>>> = {
  empty: ["ORA-25228", "ORA-25254"],
  cancelled: ["ORA-01013", "NJS-123"],
  session_lost: [
    ...["NJS-500", "NJS-501", "NJS-521", "NJS-513", "NJS-003", "ORA-00028", "ORA-01012"],
    ...["ORA-01033", "ORA-01034", "ORA-01089", "ORA-01090", "ORA-01092", "ORA-02396"],
    ...["ORA-03113", "ORA-03114", "ORA-03135", "ORA-12537", "ORA-12570", "ORA-12571"],
  ],
  connect: [
    ...["NJS-503", "NJS-510", "NJS-511", "NJS-518", "NJS-519", "NJS-530", "NJS-504", "NJS-506"],
    ...["NJS-040", "NJS-076", "ORA-12514"],
  ],
  configuration: [
    ...["ORA-01017", "ORA-28000", "ORA-28001", "ORA-01045", "ORA-28040", "NJS-116", "NJS-138"],
    ...["NJS-533", "NJS-505", "NJS-507", "NJS-508", "NJS-529", "NJS-512", "NJS-514", "NJS-515"],
    ...["NJS-516", "NJS-517", "NJS-520", "NJS-101", "NJS-136", "ORA-24010", "ORA-25205"],
    ...["ORA-24033", "ORA-25242", "ORA-24047", "NJS-174", "ORA-25215"],
  ],
  queue_state: ["ORA-25226", "ORA-25207", "ORA-25200"],
  payload: ["NJS-089"],
  stale_state: ["ORA-04068", "ORA-04061", "ORA-04065", "ORA-06508"],
  resource: [
    ...["ORA-00018", "ORA-00020", "ORA-12516", "ORA-12519", "ORA-01652", "ORA-30036"],
    ...["ORA-01653", "ORA-01654", "ORA-01691"],
  ],
};

describe("classifyOracleError", () => {
  it.each(Object.entries(KNOWN))("%s", (errorClass, codes) => {
    const found = codes.map((code) => [code, classifyOracleError(error(code)).class]);
    expect(found).toEqual(codes.map((code) => [code, errorClass]));
  });

  it("looks through NJS-500 at the server's number", () => {
    expect(classifyOracleError(error("NJS-500", "", { errorNum: 28 })).code).toBe("ORA-00028");
    // A number that the table does not know is still a lost session.
    expect(classifyOracleError(error("NJS-500", "", { errorNum: 600 })).class).toBe("session_lost");
  });

  it("looks through NJS-511 at the listener's code", () => {
    const refused = error("NJS-511", "NJS-511: refused\nORA-12516: no handler");
    expect(classifyOracleError(refused).class).toBe("resource");
    expect(classifyOracleError(error("NJS-511", "refused ORA-99999")).class).toBe("connect");
  });

  it("takes the code out of a message, and knows nothing of the rest", () => {
    expect(classifyOracleError(new Error("ORA-25226: dequeue failed")).class).toBe("queue_state");
    expect(classifyOracleError(new Error("?")).class).toBe("unknown");
    expect(classifyOracleError(undefined).class).toBe("unknown");
  });

  it("does not trust isRecoverable, which is false for a refused connection", () => {
    expect(classifyOracleError(error("NJS-503", "", { isRecoverable: false })).class).toBe(
      "connect",
    );
  });

  it("knows this project's own errors", () => {
    expect(classifyOracleError(new SessionHungError("ping", 1)).class).toBe("session_lost");
    expect(classifyOracleError(new DriverFailedError("x", new TypeError("y"))).class).toBe(
      "payload",
    );
  });
});
