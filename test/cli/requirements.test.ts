/** What a start and check-config with a role say of files that cannot be read: all of them at once. */
import { expect, it } from "vitest";
import { rtmConfig } from "../../cli/config.ts";
import { ROLES } from "../../cli/roles.ts";
import { requireRoles } from "../../cli/service/requirements.ts";
import { parseConfig } from "../../common/config.ts";

it("names every file of a relay with a shared log", () => {
  const config = parseConfig(rtmConfig, {
    service: { console: { tokenFile: "/nonexistent/console" } },
    relay: {
      tokens: { secrets: [{ kid: "k", secretFile: "/nonexistent/token" }] },
      log: {
        kind: "valkey",
        urlFile: "/nonexistent/url",
        tls: {
          caFile: "/nonexistent/ca",
          certFile: "/nonexistent/certificate",
          keyFile: "/nonexistent/key",
        },
      },
      presence: { hashSecretFile: "/nonexistent/hash" },
    },
  });
  const missing = (key: string, file: string) =>
    expect.stringMatching(new RegExp(`^${key}\\b.*/nonexistent/${file} .*there is no such file`));
  expect(() => requireRoles(config, ROLES.relay)).toThrow(
    expect.objectContaining({
      problems: [
        missing("relay.tokens", "token"),
        missing("relay.log.tls.caFile", "ca"),
        missing("relay.log.tls.certFile", "certificate"),
        missing("relay.log.tls.keyFile", "key"),
        missing("relay.log.urlFile", "url"),
        missing("relay.presence.hashSecretFile", "hash"),
        missing("service.console.tokenFile", "console"),
      ],
    }),
  );
});
