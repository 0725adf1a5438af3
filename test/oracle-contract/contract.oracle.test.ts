import { describe } from "vitest";
import { describeContract } from "./contract.ts";
import { oracleTarget } from "./oracle-target.ts";
import { oracleAccess } from "./target.ts";

const oracle = await oracleAccess();

describe.skipIf("skip" in oracle)("Oracle", () => {
  describeContract("AQ contract: Oracle", () => {
    if ("skip" in oracle) throw new Error(oracle.skip);
    return oracleTarget(oracle);
  });
});
