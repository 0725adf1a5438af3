import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { rtm, temporaryDirectory } from "../support/programs.ts";

const IS_ROOT = process.getuid?.() === 0;

const mode = (path: string) => statSync(path).mode & 0o777;

describe("rtm init", () => {
  it("writes a configuration that check-config takes, and secrets that only owner and group read", async () => {
    const directory = join(temporaryDirectory(), "apex-rtm");
    const { code, stdout, stderr } = await rtm(["init", "--dir", directory]).finished;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    for (const name of ["rtm.json", "token-secret", "api-key"]) {
      expect(stdout).toContain(`created ${join(directory, name)}`);
      expect(mode(join(directory, name))).toBe(0o640);
    }
    expect(mode(directory)).toBe(0o750);
    const secret = readFileSync(join(directory, "token-secret"), "utf8").trim();
    expect(Buffer.from(secret, "base64url")).toHaveLength(32);
    expect(stdout).not.toContain(secret);

    const config = join(directory, "rtm.json");
    const check = await rtm(["check-config", "--config", config, "--role", "relay"]).finished;
    expect(check).toMatchObject({ code: 0, stderr: "" });
  });

  it("makes other secrets each time, and never changes a file that is there", async () => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, "token-secret"), "mine");
    await rtm(["init", "--dir", directory]).finished;
    const key = readFileSync(join(directory, "api-key"), "utf8");
    const again = await rtm(["init", "--dir", directory]).finished;
    expect(again.code).toBe(0);
    expect(again.stdout).toContain(`kept    ${join(directory, "rtm.json")}`);
    expect(readFileSync(join(directory, "token-secret"), "utf8")).toBe("mine");
    expect(readFileSync(join(directory, "api-key"), "utf8")).toBe(key);
  });

  it("writes below the root of an image what is right once that is the root", async () => {
    const root = temporaryDirectory();
    const { code, stdout } = await rtm(["init", "--root", root]).finished;
    expect(code).toBe(0);
    expect(stdout).toContain("created /etc/apex-rtm/rtm.json");
    const text = readFileSync(join(root, "etc/apex-rtm/rtm.json"), "utf8");
    expect(text).not.toContain(root);
    expect(JSON.parse(text)).toMatchObject({
      relay: { apiKeys: [{ keyFile: "/etc/apex-rtm/api-key" }] },
    });
  });

  it.skipIf(!IS_ROOT)(
    `gives the files to the group apex-rtm of that root${IS_ROOT ? "" : " (skipped: needs root)"}`,
    async () => {
      const root = temporaryDirectory();
      mkdirSync(join(root, "etc"));
      writeFileSync(join(root, "etc/group"), "root:x:0:\napex-rtm:x:4711:\n");
      await rtm(["init", "--root", root]).finished;
      for (const name of ["", "rtm.json", "token-secret", "api-key"]) {
        expect(statSync(join(root, "etc/apex-rtm", name))).toMatchObject({ uid: 0, gid: 4711 });
      }
    },
  );

  it.skipIf(!IS_ROOT)(
    `lets that group read them whatever root's umask is${IS_ROOT ? "" : " (skipped: needs root)"}`,
    async () => {
      const root = temporaryDirectory();
      mkdirSync(join(root, "etc"));
      writeFileSync(join(root, "etc/group"), "apex-rtm:x:4711:\n");
      const before = process.umask(0o077);
      const { finished } = rtm(["init", "--root", root]);
      process.umask(before);
      await finished;
      for (const name of ["rtm.json", "token-secret", "api-key"]) {
        expect([name, mode(join(root, "etc/apex-rtm", name))]).toEqual([name, 0o640]);
      }
    },
  );

  it("says what to do when the directory cannot be made", async () => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, "file"), "");
    const { code, stderr } = await rtm(["init", "--dir", join(directory, "file/below")]).finished;
    expect(code).toBe(1);
    expect(stderr).toContain("or name a --dir of yours");
  });
});
