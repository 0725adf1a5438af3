import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { verifyToken } from "../../relay/access/token.ts";
import { SECRET } from "../relay/support.ts";
import { rtm, temporaryDirectory } from "../support/programs.ts";

const OLD = "another-secret-that-is-long-enough-000";

function environment(kids = ["old", "new"]): NodeJS.ProcessEnv {
  const secrets = [
    { kid: "old", secret: OLD },
    { kid: "new", secret: SECRET },
  ].filter(({ kid }) => kids.includes(kid));
  return { RTM_RELAY_TOKENS_SECRETS: JSON.stringify(secrets) };
}

const keys = new Map([
  ["old", Buffer.from(OLD)],
  ["new", Buffer.from(SECRET)],
]);

const rules = (secrets: ReadonlyMap<string, Uint8Array>) => ({
  secrets,
  clockTolerance: 0,
  maxChannels: 10,
  maxLifetime: 86_400_000,
});

async function mint(...args: string[]): Promise<string> {
  const run = await rtm(["token", "mint", ...args], environment()).finished;
  expect(run).toMatchObject({ code: 0, stderr: "" });
  return run.stdout.trim();
}

describe("rtm token mint", () => {
  it("makes a token that the relay takes, with the newest secret", async () => {
    const token = await mint("sales", "stock*", "--sub", "SCOTT");
    const grant = verifyToken(token, rules(keys));
    expect(grant).toMatchObject({ subject: "SCOTT", channels: ["sales", "stock*"] });
    expect(JSON.parse(Buffer.from(token.split(".")[0]!, "base64url").toString()).kid).toBe("new");
  });

  it("takes lifetime and secret", async () => {
    const token = await mint("sales", "--sub", "SCOTT", "--lifetime", "2h", "--kid", "old");
    const { exp, iat } = JSON.parse(Buffer.from(token.split(".")[1]!, "base64url").toString());
    expect(exp - iat).toBe(7200);
    expect(verifyToken(token, rules(new Map([["old", keys.get("old")!]])))).toBeDefined();
  });

  it.each([
    [["sales"], 2, "--sub"],
    [["--sub", "SCOTT"], 2, "channel"],
    [["sales", "--sub", "SCOTT", "--lifetime", "soon"], 2, "a duration such as 15m is needed"],
    [["sales", "--sub", "SCOTT", "--lifetime", "2d"], 2, "from 1s to 1d"],
    [
      ["sales", "--sub", "SCOTT", "--kid", "x"],
      1,
      "--kid x: relay.tokens.secrets has no such kid, only old, new",
    ],
    [["a*b", "--sub", "SCOTT"], 1, "RTM_TOKEN_CLAIMS"],
  ])("%j is refused with %i", async (args, code, message) => {
    const run = await rtm(["token", "mint", ...args], environment()).finished;
    expect(run).toMatchObject({ code, stdout: "" });
    expect(run.stderr).toContain(message);
  });

  it("needs a secret", async () => {
    const args = ["token", "mint", "sales", "--sub", "SCOTT"];
    const run = await rtm(args, { RTM_RELAY_INSECURE: "true" }).finished;
    expect(run).toMatchObject({ code: 1, stdout: "" });
    expect(run.stderr).toContain("relay.tokens.secrets is empty");
  });
});

describe("rtm token explain", () => {
  it("shows claims and rights, from standard input, a file or the environment", async () => {
    const token = await mint("sales", "--sub", "SCOTT");
    const file = join(temporaryDirectory(), "token");
    writeFileSync(file, `${token}\n`);
    const runs = [
      rtm(["token", "explain"], environment(), `${token}\n`),
      rtm(["token", "explain", "--token-file", file], environment()),
      rtm(["token", "explain"], { ...environment(), RTM_TOKEN: token }),
    ];
    for (const { code, stdout } of await Promise.all(runs.map((run) => run.finished))) {
      expect(code).toBe(0);
      const explained = JSON.parse(stdout);
      expect(explained).toMatchObject({
        header: { alg: "HS256", kid: "new" },
        claims: { sub: "SCOTT", channels: ["sales"] },
        valid: true,
        grants: { subject: "SCOTT", channels: ["sales"] },
      });
      const { exp, iat } = explained.claims;
      expect(explained.grants.endsAt).toBe(new Date(exp * 1000).toISOString());
      expect(explained.grants.issuedAt).toBe(new Date(iat * 1000).toISOString());
    }
  });

  it("says why a token is not taken", async () => {
    const token = await mint("sales", "--sub", "SCOTT");
    const run = await rtm(["token", "explain"], environment(["old"]), token).finished;
    expect(run.code).toBe(1);
    expect(JSON.parse(run.stdout)).toMatchObject({
      claims: { sub: "SCOTT" },
      valid: false,
      problem: "the token's kid is none of the configured secrets",
    });
    const rubbish = await rtm(["token", "explain"], environment(), "rubbish").finished;
    expect(rubbish.code).toBe(1);
    expect(JSON.parse(rubbish.stdout)).toMatchObject({ valid: false });
  });
});
