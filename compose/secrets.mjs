/** Makes the files of secrets that are not there yet: node secrets.mjs <folder>. */
import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error("a folder is needed");
mkdirSync(folder, { recursive: true });

// Oracle's rules for passwords: a letter first, upper and lower case, a digit; at most 30 characters.
const password = () => `Rtm1${randomBytes(12).toString("hex")}`;
const secret = () => randomBytes(32).toString("hex");
const files = {
  "oracle-password": password,
  "owner-password": password,
  "worker-password": password,
  "app-password": password,
  "test-password": password,
  "apex-password": () => `${password()}!`,
  "token-secret": secret,
  "api-key": secret,
};
for (const [name, make] of Object.entries(files)) {
  try {
    // For every user of these containers: the volume is reached by no other.
    writeFileSync(join(folder, name), make(), { flag: "wx", mode: 0o444 });
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
  }
}
