/** The lint run enforces who may import whom (docs/architecture.md). */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const FORBIDDEN = [
  ["common", "../relay/contract/message.ts"],
  ["common", "../worker/config.ts"],
  ["relay", "../worker/config.ts"],
  ["relay", "oracledb"],
  ["relay/contract", "../config/config.ts"],
  ["relay/contract", "../../common/errors.ts"],
  ["relay/contract", "zod"],
  ["relay/wire", "../contract/message.ts"],
  ["relay/wire", "../channels/hub.ts"],
  ["relay/access", "../channels/hub.ts"],
  ["relay/access", "../clients/clients.ts"],
  ["relay/log", "../channels/hub.ts"],
  ["relay/access", "../presence/presence.ts"],
  ["relay/config", "../access/keys.ts"],
  ["relay/config", "../relay.ts"],
  ["relay/node", "../channels/hub.ts"],
  ["relay/node", "../config/config.ts"],
  ["relay/log", "../config/config.ts"],
  ["relay/log", "../config/log.ts"],
  ["relay/log", "../metrics.ts"],
  ["relay/log/valkey", "../../channels/hub.ts"],
  ["relay/log/valkey", "../../config/log.ts"],
  ["relay/log/valkey", "../../../worker/config.ts"],
  ["relay/channels", "../clients/clients.ts"],
  ["relay/channels", "../access/token.ts"],
  ["relay/channels", "../http/routes.ts"],
  ["relay/channels", "../presence/presence.ts"],
  ["relay/channels", "../../worker/config.ts"],
  ["relay/channels", "oracledb"],
  ["relay/presence", "../clients/clients.ts"],
  ["relay/presence", "../http/routes.ts"],
  ["relay/presence", "../relay.ts"],
  ["relay/presence", "../../worker/config.ts"],
  ["relay/channels", "../control/control.ts"],
  ["relay/presence", "../control/control.ts"],
  ["relay/clients", "../control/control.ts"],
  ["relay/clients", "../http/routes.ts"],
  ["relay/clients", "../relay.ts"],
  ["relay/control", "../http/routes.ts"],
  ["relay/control", "../relay.ts"],
  ["relay/control", "../wire/wire.ts"],
  ["relay/remote-publisher", "../http/intake.ts"],
  ["relay/remote-publisher", "../channels/local-publisher.ts"],
  ["relay/remote-publisher", "../../worker/hand-over.ts"],
  ["relay/http", "../control/control.ts"],
  ["relay/http", "../wire/wire.ts"],
  ["relay/http", "../../cli/config.ts"],
  ["worker", "../relay/channels/hub.ts"],
  ["worker", "../cli/config.ts"],
  ["emulator", "../common/errors.ts"],
  ["cli", "../test/worker/support.ts"],
  ["cli/demo", "../../test/worker/support.ts"],
  ["apex-plugins/client", "../../relay/contract/message.ts"],
  ["apex-plugins/client", "../../common/errors.ts"],
] as const;
const ALLOWED = [
  ["relay", "../common/errors.ts"],
  ["relay/contract", "./message.ts"],
  ["relay/wire", "./frame.ts"],
  ["relay/wire", "../../common/errors.ts"],
  ["relay/wire", "ws"],
  ["relay/access", "../contract/patterns.ts"],
  ["relay/access", "../config/keys.ts"],
  ["relay/config", "../contract/patterns.ts"],
  ["relay/config", "../../common/schema.ts"],
  ["relay/node", "../contract/protocol.ts"],
  ["relay/channels", "../node/stats.ts"],
  ["relay/channels", "../config/config.ts"],
  ["relay/access", "../../common/secret-file.ts"],
  ["relay/log", "./fact.ts"],
  ["relay/log", "./valkey/valkey-log.ts"],
  ["relay/log", "../contract/message.ts"],
  ["relay/log", "../../common/errors.ts"],
  ["relay/log/valkey", "../fact.ts"],
  ["relay/log/valkey", "../../contract/message.ts"],
  ["relay/log/valkey", "../../../common/errors.ts"],
  ["relay/log/valkey", "ioredis"],
  ["relay/channels", "../wire/frame.ts"],
  ["relay/channels", "../contract/message.ts"],
  ["relay/channels", "../../common/errors.ts"],
  ["relay/presence", "../access/claims.ts"],
  ["relay/presence", "../channels/hub.ts"],
  ["relay/presence", "../log/fact.ts"],
  ["relay/presence", "../wire/frame.ts"],
  ["relay/clients", "../presence/attendance.ts"],
  ["relay/clients", "../channels/outlet.ts"],
  ["relay/clients", "../access/token.ts"],
  ["relay/clients", "../wire/wire.ts"],
  ["relay/control", "../access/revocations.ts"],
  ["relay/control", "../clients/clients.ts"],
  ["relay/control", "../contract/control.ts"],
  ["relay/control", "../log/fact.ts"],
  ["relay/remote-publisher", "../contract/publisher.ts"],
  ["relay/remote-publisher", "../http/broadcast-answer.ts"],
  ["relay/remote-publisher", "../../common/errors.ts"],
  ["relay/http", "../clients/clients.ts"],
  ["relay/http", "../contract/control.ts"],
  ["relay/http", "../channels/local-publisher.ts"],
  ["worker", "../relay/contract/message.ts"],
  ["worker", "../relay/contract/publisher.ts"],
  ["worker", "oracledb"],
  ["cli", "../emulator/index.ts"],
  ["apex-plugins/client", "../../relay/contract/protocol.ts"],
] as const;

describe("import arrows", () => {
  let directory: string;
  let output: string;

  const fileOf = (kind: string, index: number, folder: string) => `${folder}/${kind}${index}.ts`;

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "rtm-arrows-"));
    cpSync("biome.json", join(directory, "biome.json"));
    for (const [kind, arrows] of [
      ["forbidden", FORBIDDEN],
      ["allowed", ALLOWED],
    ] as const) {
      for (const [index, [folder, target]] of arrows.entries()) {
        const file = join(directory, fileOf(kind, index, folder));
        mkdirSync(dirname(file), { recursive: true });
        writeFileSync(file, `import { x } from "${target}";\n\nexport const y = x;\n`);
      }
    }
    const biome = resolve("node_modules/.bin/biome");
    const run = spawnSync(
      biome,
      ["lint", ".", "--vcs-enabled=false", "--max-diagnostics=none", "--colors=off"],
      { cwd: directory, encoding: "utf8" },
    );
    output = run.stdout + run.stderr;
  });

  afterAll(() => rmSync(directory, { recursive: true }));

  const complaint = (file: string) =>
    new RegExp(`${file.replaceAll(".", "\\.")}:\\d+:\\d+ lint/style/noRestrictedImports`);

  it.each(FORBIDDEN.map((arrow, index) => [...arrow, index] as const))(
    "%s/ must not import %s",
    (folder, _target, index) => {
      expect(output).toMatch(complaint(fileOf("forbidden", index, folder)));
    },
  );

  it.each(ALLOWED.map((arrow, index) => [...arrow, index] as const))(
    "%s/ may import %s",
    (folder, _target, index) => {
      expect(output).not.toMatch(complaint(fileOf("allowed", index, folder)));
    },
  );
});
