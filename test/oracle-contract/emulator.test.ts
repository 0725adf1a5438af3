import { describeContract } from "./contract.ts";
import { emulatorTarget } from "./emulator-target.ts";

describeContract("AQ contract: emulator, 19c framing, a lost session counts no attempt", () =>
  emulatorTarget({ profile: "19c", lostSessionCountsAttempt: false }),
);

describeContract("AQ contract: emulator, 23ai framing, a lost session counts an attempt", () =>
  emulatorTarget({ profile: "23ai", lostSessionCountsAttempt: true }),
);
