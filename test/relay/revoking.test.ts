/** What is revoked is forgotten by no clock that is ahead: neither by this node's nor by another's. */
import { afterEach, expect, it, vi } from "vitest";
import { Revocations } from "../../relay/access/revocations.ts";
import type { Clients } from "../../relay/clients/clients.ts";
import { revocationFact } from "../../relay/control/revocation-fact.ts";
import { Revoking } from "../../relay/control/revoking.ts";
import { FactTables, isFact, type Notice } from "../../relay/log/fact.ts";
import type { Log } from "../../relay/log/log.ts";
import { log as logger } from "./support.ts";

const DAY_MS = 86_400_000;

afterEach(() => {
  vi.useRealTimers();
});

function start() {
  vi.useFakeTimers({ toFake: ["Date", "performance"] });
  const tables = new FactTables();
  const revocations = new Revocations(0);
  const messageLog = {
    sizeOf: async (table: "revoked") => [...tables.of(table)].length,
    note: (batch: readonly Notice[]) => {
      for (const fact of batch.filter(isFact)) {
        tables.apply(fact);
        revoking.apply(fact);
      }
      return batch.map(() => ({ status: "accepted" }));
    },
  } as unknown as Log;
  const clients = { revocations, connections: [], presence: undefined } as unknown as Clients;
  const revoking = new Revoking({ clients, messageLog, log: logger, heardFile: undefined });
  const revoke = (key: string, untilMs: number) =>
    messageLog.note([revocationFact(key, { before: 5, untilMs })]);
  /** Two passes of what is done every minute or so. */
  const sweep = async () => {
    for (let n = 0; n < 2; n++) {
      vi.advanceTimersByTime(100_000);
      revoking.tick();
      await Promise.resolve();
    }
  };
  const known = () => [...tables.of("revoked")].map(({ key }) => key);
  const lose = (key: string) => tables.apply({ table: "revoked", key, value: null, rank: 5 });
  return { revoking, revocations, revoke, sweep, known, lose };
}

it("what has ended is removed from the log a week later, so a clock that is ahead by less removes nothing", async () => {
  const { revoke, revocations, sweep, known } = start();
  await revoke("sub:OLD", Date.now() - 7 * DAY_MS - 1);
  await revoke("sub:ENDED", Date.now() - 6 * DAY_MS);
  await revoke("sub:NOW", Date.now() + DAY_MS);
  await sweep();
  expect(known()).toEqual(["sub:ENDED", "sub:NOW"]);
  expect(revocations.size).toBe(2);
});

it("when very many are remembered, what has ended goes at once and makes room", async () => {
  const { revoke, sweep, known } = start();
  for (let n = 0; n < 26_000; n++) await revoke(`sub:${n}`, Date.now() - 1);
  await revoke("sub:NOW", Date.now() + DAY_MS);
  await sweep();
  for (let n = 0; n < 100; n++) await Promise.resolve();
  expect(known()).toEqual(["sub:NOW"]);
});

it("what another node sweeps too early stays in force here, and is said to all again", async () => {
  const { revoking, revocations, revoke, known } = start();
  await revoke("sub:NOW", Date.now() + DAY_MS);
  const removal = { table: "revoked", key: "sub:NOW", value: null, rank: 5 } as const;
  revoking.apply(removal);
  expect(revocations.get("sub:NOW")).toBeDefined();
  await revoking.sayAgain();
  expect(known()).toEqual(["sub:NOW"]);
  vi.setSystemTime(Date.now() + 2 * DAY_MS);
  revoking.apply(removal);
  expect(revocations.get("sub:NOW")).toBeUndefined();
});

it("what somebody removed from the log's table is said to it again", async () => {
  const { revoke, sweep, known, lose } = start();
  await revoke("sub:A", Date.now() + DAY_MS);
  await revoke("sub:B", Date.now() + DAY_MS);
  lose("sub:A");
  expect(known()).toEqual(["sub:B"]);
  await sweep();
  await vi.waitFor(() => expect(known().sort()).toEqual(["sub:A", "sub:B"]));
});
