/** Our check of tokens against the library `jose`, which knows all of RFC 7515 and 7519. */
import { createHmac } from "node:crypto";
import fc from "fast-check";
import { errors, jwtVerify, SignJWT } from "jose";
import { describe, expect, it } from "vitest";
import { TokenError } from "../../relay/access/claims.ts";
import { explainToken, mintToken, verifyToken } from "../../relay/access/token.ts";
import { SECRET } from "./support.ts";

const RUNS = process.env.RTM_TEST_LONG === "1" ? 100_000 : 1000;
const NOW = 1_795_333_000_000;
const SECONDS = NOW / 1000;
const TOLERANCE_S = 30;
const key = Buffer.from(SECRET);
const other = Buffer.from(`${SECRET}x`);
const rules = {
  secrets: new Map([["k1", key]]),
  clockTolerance: TOLERANCE_S * 1000,
  maxChannels: 5,
  maxLifetime: 86_400_000,
};

function raw(header: string | Buffer, claims: string | Buffer, secret = key): string {
  const signed = [header, claims].map((part) => Buffer.from(part).toString("base64url")).join(".");
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

function make(claims: object, header: object = {}, secret = key): string {
  const all = { sub: "s", exp: SECONDS + 60, channels: ["a"], ...claims };
  return raw(JSON.stringify({ alg: "HS256", ...header }), JSON.stringify(all), secret);
}

function ours(token: string): string {
  try {
    verifyToken(token, rules, NOW);
    return "valid";
  } catch (error) {
    expect(error).toBeInstanceOf(TokenError);
    return (error as TokenError).reason;
  }
}

async function theirs(token: string): Promise<string> {
  try {
    await jwtVerify(token, key, {
      algorithms: ["HS256"],
      clockTolerance: TOLERANCE_S,
      currentDate: new Date(NOW),
      requiredClaims: ["sub", "exp"],
    });
    return "valid";
  } catch (error) {
    return error instanceof errors.JWTExpired ? "token_expired" : "token_invalid";
  }
}

describe("a token", () => {
  it("that is well formed is judged as jose judges it", async () => {
    const seconds = fc.oneof(
      fc.integer({ min: SECONDS - 100, max: SECONDS + 100 }),
      fc.constantFrom(SECONDS - TOLERANCE_S, SECONDS + TOLERANCE_S, 0, "1", null, [], -5),
    );
    const claims = fc.record(
      {
        exp: seconds,
        nbf: seconds,
        iat: fc.integer({ min: SECONDS - 80_000, max: SECONDS }),
        sub: fc.constantFrom("s", "x"),
      },
      { requiredKeys: ["sub"] },
    );
    const header = fc.record(
      {
        alg: fc.constantFrom("HS256", "HS256", "HS256", "none", "HS512", "RS256", "hs256", 1, null),
        kid: fc.constant("k1"),
        typ: fc.constantFrom("JWT", "at+jwt", "x"),
      },
      { requiredKeys: ["alg"] },
    );
    const secret = fc.constantFrom(key, key, key, other);
    await fc.assert(
      fc.asyncProperty(header, claims, secret, async (header, claims, secret) => {
        const all = { ...claims, channels: ["a"] };
        const token = raw(JSON.stringify(header), JSON.stringify(all), secret);
        expect(ours(token)).toBe(await theirs(token));
      }),
      { numRuns: RUNS },
    );
  });

  it("that was changed anywhere is refused, and never taken where jose refuses it", async () => {
    const good = make({}, { kid: "k1" });
    const change = fc.record({
      at: fc.nat(good.length),
      drop: fc.nat(3),
      put: fc.oneof(fc.string({ maxLength: 3 }), fc.constantFrom("=", ".", "..", "-", "_", " ")),
    });
    await fc.assert(
      fc.asyncProperty(change, async ({ at, drop, put }) => {
        const token = good.slice(0, at) + put + good.slice(at + drop);
        const verdict = ours(token);
        expect(verdict).toBe(token === good ? "valid" : "token_invalid");
        if (verdict === "valid") expect(await theirs(token)).toBe("valid");
      }),
      { numRuns: RUNS },
    );
  });

  it("of random parts under a right signature is never taken where jose refuses it", async () => {
    const part = fc.oneof(
      fc.json(),
      fc.constantFrom('{"alg":"HS256"}', `{"sub":"s","exp":${SECONDS + 9},"channels":[]}`),
      fc.constantFrom('{"alg":"HS256","crit":["b64"],"b64":false}', '{"alg":"HS256","crit":[]}'),
      fc.constantFrom("﻿{}", "[]", "null", '{"alg":"HS256","alg":"none"}', ""),
    );
    const bytes = fc.oneof(
      { weight: 4, arbitrary: part.map((text) => Buffer.from(text)) },
      { weight: 1, arbitrary: fc.uint8Array().map((array) => Buffer.from(array)) },
    );
    await fc.assert(
      fc.asyncProperty(bytes, bytes, async (header, claims) => {
        const token = raw(header, claims);
        if (ours(token) === "valid") expect(await theirs(token)).toBe("valid");
      }),
      { numRuns: RUNS },
    );
  });

  it("that jose signs is taken, and the other way round", async () => {
    const signed = await new SignJWT({ channels: ["a", "b*"] })
      .setProtectedHeader({ alg: "HS256", kid: "k1" })
      .setSubject("sübject")
      .setExpirationTime(SECONDS + 60)
      .sign(key);
    expect(verifyToken(signed, rules, NOW)).toEqual({
      subject: "sübject",
      channels: ["a", "b*"],
      publish: [],
      presence: { join: [], watch: [] },
      endsAt: NOW + 60_000,
    });
    const minted = mintToken(
      { subject: "sübject", channels: ["a"], lifetimeMs: 1500, kid: "k1", secret: key },
      NOW,
    );
    const { payload, protectedHeader } = await jwtVerify(minted, key, {
      currentDate: new Date(NOW),
    });
    expect(protectedHeader).toEqual({ alg: "HS256", typ: "JWT", kid: "k1" });
    expect(payload).toEqual({ channels: ["a"], sub: "sübject", iat: SECONDS, exp: SECONDS + 2 });
  });

  it.each([
    ["exp", 1e306],
    ["exp", 8_640_000_000_001],
    ["nbf", -1e306],
    ["iat", "yesterday"],
    ["exp", undefined],
    ["sub", ""],
    ["sub", "x".repeat(257)],
    ["channels", "a"],
    ["channels", ["a", "b*c"]],
    ["jti", 7],
    ["jti", ""],
    ["sid", null],
    ["sid", "x".repeat(257)],
    ["self", "user:*"],
    ["self", 1],
    ["publish", "a"],
    ["publish", [1]],
    ["presence", []],
    ["presence", null],
    ["presence.join", { join: "a" }],
    ["presence.watch", { watch: ["a", "*b"] }],
    ["presence.info", { info: "Scott" }],
    ["presence.info", { info: { name: "ü".repeat(252) } }],
  ])("with the claim %s of %j is token_invalid, and the message names it", (name, value) => {
    const token = make({ [name.split(".")[0] as string]: value });
    expect(ours(token)).toBe("token_invalid");
    expect(explainToken(token, rules, NOW)).toMatchObject({
      valid: false,
      problem: expect.stringContaining(name),
    });
  });

  it("with more channels than limits.tokenChannels is refused before they are looked at", () => {
    expect(ours(make({ channels: ["1", "2", "3", "4", "5"] }))).toBe("valid");
    expect(ours(make({ channels: ["1", "2", "3", "4", "5", 6] }))).toBe("token_limit");
  });

  it("says what it may do beside reading, who it stands for, and by what it can be revoked", () => {
    const info = { name: "x".repeat(501) };
    const claims = {
      iat: SECONDS - 5.5,
      jti: "j",
      sid: "s1",
      self: "user:SCOTT",
      publish: ["a"],
      presence: { join: ["a", "b*"], watch: ["*"], info, other: 1 },
    };
    expect(verifyToken(make(claims), rules, NOW)).toEqual({
      subject: "s",
      channels: ["a"],
      publish: ["a"],
      presence: { join: ["a", "b*"], watch: ["*"], info: JSON.stringify(info) },
      issuedAt: NOW - 5500,
      endsAt: NOW + 60_000,
      id: "j",
      sid: "s1",
      self: "user:SCOTT",
    });
    for (const list of [{ publish: "123456" }, { presence: { join: "123456" } }]) {
      const text = JSON.stringify(list).replace('"123456"', '["1","2","3","4","5","6"]');
      expect(ours(make(JSON.parse(text)))).toBe("token_limit");
    }
  });

  it.each([
    ["issued a day before its end", { iat: SECONDS, exp: SECONDS + 86_400 }, "valid"],
    ["that lives a second longer", { iat: SECONDS, exp: SECONDS + 86_401 }, "token_invalid"],
    ["issued long ago, for longer", { iat: SECONDS - 86_400, exp: SECONDS + 1 }, "token_invalid"],
    ["of unknown issue that ends in a day", { exp: SECONDS + 86_400 }, "valid"],
    ["of unknown issue that ends later", { exp: SECONDS + 86_440 }, "token_invalid"],
    ["issued in the far future", { iat: SECONDS * 2, exp: SECONDS * 2 + 1 }, "token_invalid"],
  ])("%s: at most tokens.maxLifetime", (_, claims, verdict) => {
    expect(ours(make(claims))).toBe(verdict);
    const longer = { ...rules, maxLifetime: 30 * 86_400_000 };
    if (SECONDS * 2 !== (claims as { iat?: number }).iat) {
      expect(verifyToken(make(claims), longer, NOW)).toMatchObject({ subject: "s" });
    }
  });

  it("is judged by the claims only after its signature", () => {
    expect(ours(make({ exp: SECONDS - 1000 }, {}, other))).toBe("token_invalid");
    expect(ours(make({ exp: SECONDS - 1000 }))).toBe("token_expired");
  });

  it("needs a kid that is configured, and one at all where there are several secrets", () => {
    const two = { ...rules, secrets: new Map([...rules.secrets, ["k2", other]]) };
    expect(verifyToken(make({}, { kid: "k2" }, other), two, NOW)).toMatchObject({ subject: "s" });
    for (const header of [{}, { kid: "k3" }, { kid: 1 }, { kid: "k1" }]) {
      expect(() => verifyToken(make({}, header, other), two, NOW)).toThrow(TokenError);
    }
  });
});
