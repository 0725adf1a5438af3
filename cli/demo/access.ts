/**
 * Who may do what in the demo: keys of its own, made at every start. The orders are public; names are
 * seen, tiles are filled, and visitors wave, by a token.
 */
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { signJwt } from "../../relay/access/jwt.ts";
import { askRelay } from "../relay-api.ts";

/** Of the demo's orders. */
export const SALES = "sales";
/** The newest totals, one event for each region. */
export const WALL = "wall";
/** Who has the page open; those who look at it are in `floor~here` too. */
export const FLOOR = "floor";

const KID = "demo";
/** Life of a visitor's token, s. Renewed by the page. */
const LIFETIME_S = 900;

export class DemoAccess {
  /** Holds the key for the command line, which reads, publishes and manages everything. */
  readonly keyFile: string;
  readonly #key = randomBytes(24).toString("base64url");
  readonly #secret = randomBytes(32).toString("base64url");

  /** @param directory that nobody else can read */
  constructor(directory: string) {
    this.keyFile = join(directory, "api-key");
    writeFileSync(this.keyFile, `${this.#key}\n`, { mode: 0o600 });
  }

  /** The part of the relay's configuration, the same on all nodes. */
  get config(): object {
    return {
      publicChannels: [SALES],
      // Whoever forwards the port sees the page under another name; a token comes from the page's host only.
      origins: ["*"],
      tokens: { secrets: [{ kid: KID, secret: this.#secret }] },
      apiKeys: [{ name: "demo", key: this.#key, scopes: ["publish", "manage", "read"] }],
      // A tab that is closed is seen for so long: a page that is reloaded does not leave.
      presence: { rules: [{ channels: `${FLOOR}*` }], grace: "5s" },
      // Visitors wave to each other.
      clientEvents: { channels: [FLOOR] },
    };
  }

  /** A token under which `user` is seen with `name`. */
  token(user: string, name: string): string {
    // With its fraction, so that of two tokens of one second the newer one counts.
    const iat = Date.now() / 1000;
    const floor = [FLOOR, `${FLOOR}~here`];
    const presence = { join: floor, watch: floor, info: { name } };
    const claims = { sub: user, channels: [SALES, WALL, ...floor], publish: [FLOOR], presence };
    const secret = Buffer.from(this.#secret);
    return signJwt({ kid: KID }, { ...claims, iat, exp: iat + LIFETIME_S }, secret);
  }

  /**
   * Ends what the tokens of `user` grant.
   * @param port of the relay, or of what stands before several
   * @throws {Error} no relay took it
   */
  async revoke(user: string, port: number): Promise<void> {
    const body = JSON.stringify({ op: "revoke", user, before: Date.now() + 1 });
    const url = `http://127.0.0.1:${port}`;
    await askRelay(
      { path: "api/broadcast", scope: "manage", body },
      { url, keyFile: this.keyFile },
    );
  }
}
