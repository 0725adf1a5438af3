/**
 * What can be made to go wrong, as what it must be found, and a history that finds it: a check that cannot
 * fail would be none. Some break a rule of the relay's own code (`breaks`), others what reaches it or
 * comes from it.
 */
import { vi } from "vitest";
import { Channel } from "../../../relay/channels/channel.ts";
import { History } from "../../../relay/channels/history.ts";
import { KeptHistory } from "../../../relay/channels/kept-history.ts";
import { Retained } from "../../../relay/channels/retained.ts";
import { ClientConnection } from "../../../relay/clients/client-connection.ts";
import { ClientEvents } from "../../../relay/clients/client-events.ts";
import { Positions } from "../../../relay/clients/positions.ts";
import { RevocationFile } from "../../../relay/control/revocation-file.ts";
import { DuplicateWindow } from "../../../relay/log/duplicates.ts";
import { Locals } from "../../../relay/presence/locals.ts";
import type { Kind } from "./world.ts";

interface Sign {
  readonly seed: number;
  readonly kinds: readonly Kind[];
  readonly breaks?: () => { mockRestore(): void };
}

const { heard } = Retained.prototype;
const { recover } = History.prototype;
const { send } = ClientEvents.prototype;

export const FAULTS = {
  /** A message does not arrive. */
  "lost message": { seed: 1, kinds: ["gap", "missing", "last"] },
  /** A message arrives again. */
  "repeated message": { seed: 1, kinds: ["twice", "last"] },
  /** The relay does not learn of filters. */
  "no filter": { seed: 1, kinds: ["filter", "last"] },
  /** An age that is asked for is cut to nothing. */
  "short age": { seed: 2, kinds: ["gap", "missing", "recovery"] },
  /** They are answered and not carried out. */
  "idle revoke": { seed: 1, kinds: ["revoked", "stays"] },
  "idle unsubscribe": { seed: 1, kinds: ["revoked", "stays"] },
  "idle disconnect": { seed: 2, kinds: ["stays"] },
  "idle forget": { seed: 12, kinds: ["last"] },
  /** Every message is retained. */
  "endless last value": { seed: 8, kinds: ["last"] },
  /** What is retained for a second is retained for an hour. */
  "late last value": { seed: 46, kinds: ["last"] },
  /** Somebody is in the room of whom the model does not know. */
  ghost: { seed: 1, kinds: ["members"] },
  /** Pages that want to be seen do not say so. */
  unseen: { seed: 1, kinds: ["members"] },
  /** What a page sends does not arrive. */
  "lost event": { seed: 1, kinds: ["event"] },
  /** What is pending is not written before a channel's subscribers change. */
  "late flush": {
    seed: 1,
    kinds: ["twice", "gap", "filter", "last", "protocol"],
    breaks: () => vi.spyOn(Channel.prototype, "hasPending", "get").mockReturnValue(false),
  },
  /** What is left of a gap counts as all of it. */
  "half a gap": {
    seed: 7,
    kinds: ["recovery"],
    breaks: () =>
      vi.spyOn(History.prototype, "recover").mockImplementation(function (
        this: History,
        history,
        since,
        asked,
      ) {
        const whole = recover.call(this, history, since, asked);
        const isOurs = since && "epoch" in since && since.epoch === asked.epoch;
        if (whole.recovered || !isOurs || since.seq > history.seq) return whole;
        return { recovered: true, from: history.evictedSeq + 1 };
      }),
  },
  /** A newer message does not end what is retained. */
  "old last value": {
    seed: 9,
    kinds: ["last"],
    breaks: () =>
      vi.spyOn(Retained.prototype, "heard").mockImplementation(function (
        this: Retained,
        message,
        entry,
      ) {
        if (message.keptUntil !== undefined) heard.call(this, message, entry);
      }),
  },
  /** Connections that are open keep what is revoked. */
  "lasting rights": {
    seed: 1,
    kinds: ["revoked", "stays"],
    breaks: () => vi.spyOn(ClientConnection.prototype, "endRevoked").mockReturnValue(),
  },
  /** Revocations are not kept over a restart. */
  "forgotten revocation": {
    seed: 1,
    kinds: ["revoked"],
    breaks: () => vi.spyOn(RevocationFile.prototype, "append").mockReturnValue(true),
  },
  /** Nor is the history. */
  "forgotten history": {
    seed: 1,
    kinds: ["recovery"],
    breaks: () => vi.spyOn(KeptHistory.prototype, "save").mockReturnValue(),
  },
  /** Readers with a filter do not learn how far they have got. */
  "no position": {
    seed: 1,
    kinds: ["missing"],
    breaks: () => vi.spyOn(Positions.prototype, "moved").mockReturnValue(),
  },
  /** Who leaves is still seen. */
  "lasting member": {
    seed: 8,
    kinds: ["members"],
    breaks: () => vi.spyOn(Locals.prototype, "leave").mockReturnValue(),
  },
  /** A message that is handed over again is another one. */
  "no duplicate": {
    seed: 1,
    kinds: ["protocol"],
    breaks: () => vi.spyOn(DuplicateWindow.prototype, "find").mockReturnValue(undefined),
  },
  /** Who sends an event is taken for another one. */
  "echoed event": {
    seed: 1,
    kinds: ["event"],
    breaks: () =>
      vi.spyOn(ClientEvents.prototype, "send").mockImplementation(function (
        this: ClientEvents,
        event,
        sender,
      ) {
        return send.call(this, event, { ...sender, conn: "another" });
      }),
  },
} as const satisfies Readonly<Record<string, Sign>>;

export type Fault = keyof typeof FAULTS;
export const ALL_FAULTS = Object.keys(FAULTS) as Fault[];

/** Breaks what the fault breaks until it is told to mend it. */
export function make(fault: Fault | undefined): { mockRestore(): void } | undefined {
  return fault && (FAULTS[fault] as Sign).breaks?.();
}
