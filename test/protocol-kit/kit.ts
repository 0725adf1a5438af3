/**
 * The protocol kit: black-box tests of a relay against docs/protocol.md. It knows a URL and
 * credentials, nothing else; limits are taken from the relay's own `connected` frame.
 */
import { describeConnection } from "./connection-cases.ts";
import { describeEvents } from "./event-cases.ts";
import { type KitTarget, openKit } from "./kit-world.ts";
import { describeOtherWays } from "./other-ways-cases.ts";
import { describePublishing } from "./publishing-cases.ts";
import { describeRecovery } from "./recovery-cases.ts";
import { describeRights } from "./rights-cases.ts";

export type { KitTarget };

/** Registers the tests. `get` is called inside them. */
export function protocolKit(get: () => KitTarget): void {
  const kit = openKit(get);
  describeConnection(kit);
  describeRecovery(kit);
  describeRights(kit);
  describePublishing(kit);
  describeEvents(kit);
  describeOtherWays(kit);
}
