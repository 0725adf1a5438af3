/** Directories of the database driver: what check-config, a start, doctor and `rtm db` say of wrong ones. */
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { rtmConfig } from "../../cli/config.ts";
import { checkLogon } from "../../cli/doctor/database.ts";
import type { Finding } from "../../cli/doctor/report.ts";
import { placeProblems, placeTexts } from "../../cli/oracle-places.ts";
import { parseConfig } from "../../common/config.ts";
import { rtm, temporaryDirectory } from "../support/programs.ts";

const WRONG = { configDir: "/nonexistent/tns", walletLocation: "/dev/null" };
const PROBLEMS = [
  "database.configDir: /nonexistent/tns: there is no such directory; name the directory that holds tnsnames.ora",
  "database.walletLocation: /dev/null is not a directory; name the directory that holds ewallet.pem",
];

it("names what is not there, and what is no directory", () => {
  expect(placeTexts(WRONG)).toEqual(PROBLEMS);
  expect(placeTexts({ configDir: "/dev/null/below", walletLocation: undefined })).toEqual([
    expect.stringContaining("there is no such directory"),
  ]);
});

it("has nothing against directories, empty ones too, none at all, and the system's certificates", () => {
  const directory = temporaryDirectory();
  writeFileSync(join(directory, "tnsnames.ora"), "");
  for (const walletLocation of [directory, undefined, "SYSTEM", "system"]) {
    expect(placeProblems({ configDir: directory, walletLocation })).toEqual([]);
  }
});

it.each([
  ["a directory", 0o000, 0o644],
  ["its file", 0o755, 0o000],
])("names %s that may not be read, and whom to give it", (_what, ofDirectory, ofFile) => {
  const above = temporaryDirectory();
  chmodSync(above, 0o755);
  const wallet = join(above, "wallet");
  mkdirSync(wallet);
  writeFileSync(join(wallet, "ewallet.pem"), "");
  chmodSync(join(wallet, "ewallet.pem"), ofFile);
  chmodSync(wallet, ofDirectory);
  // Root reads everything, and must be it again to remove the directory.
  const isRoot = process.getuid?.() === 0;
  onTestFinished(() => {
    if (isRoot) process.seteuid!(0);
    chmodSync(wallet, 0o755);
  });
  if (isRoot) process.seteuid!(65_534);
  expect(placeTexts({ configDir: undefined, walletLocation: wallet })).toEqual([
    `database.walletLocation: ${wallet}/ewallet.pem may not be read by the user of this process; ` +
      `give ${wallet} and its files to the service's group: chgrp -R apex-rtm, chmod -R g+rX`,
  ]);
});

it("check-config, a start and rtm db name them and end with 2; check-config without a role warns", {
  timeout: 120_000,
}, async () => {
  const environment = {
    RTM_DATABASE_CONNECT_STRING: "127.0.0.1:9/x",
    RTM_DATABASE_USER: "RTM",
    RTM_DATABASE_PASSWORD: "password",
    RTM_DATABASE_CONFIG_DIR: WRONG.configDir,
    RTM_DATABASE_WALLET_LOCATION: WRONG.walletLocation,
    RTM_WORKER_PUBLISH_URL: "http://127.0.0.1:9",
    RTM_RELAY_INSECURE: "true",
  };
  const [alone, ...refused] = await Promise.all(
    [["check-config"], ["check-config", "--role", "worker"], ["worker"], ["db", "status"]].map(
      (verb) => rtm(verb, environment).finished,
    ),
  );
  expect([alone!.code, alone!.stderr]).toEqual([0, ""]);
  for (const problem of PROBLEMS) expect(alone!.stdout).toContain(`warning: ${problem}`);
  for (const { code, stderr } of refused) {
    expect(code).toBe(2);
    for (const problem of PROBLEMS) expect(stderr).toContain(problem);
  }
});

it("doctor has a line for each, with the fix", async () => {
  const config = parseConfig(rtmConfig, {
    relay: { insecure: true },
    database: { connectString: "127.0.0.1:9/x", user: "RTM", password: "password", ...WRONG },
  });
  const findings: Finding[] = [];
  await checkLogon(config, (finding) => findings.push(finding));
  expect(findings.slice(0, 2)).toEqual([
    {
      check: "database.configDir",
      verdict: "FAILED",
      detail: "/nonexistent/tns: there is no such directory",
      fix: "name the directory that holds tnsnames.ora",
    },
    {
      check: "database.walletLocation",
      verdict: "FAILED",
      detail: "/dev/null is not a directory",
      fix: "name the directory that holds ewallet.pem",
    },
  ]);
});
