/** A connection whose URL has said all that it wants: a token, and channels. */
import type { Since } from "../contract/protocol.ts";
import { ClientConnection } from "./client-connection.ts";
import { isProblem } from "./client-frame.ts";

export abstract class UrlConnection extends ClientConnection {
  /** Presents the URL's token. False: it was refused, and the client is closed. */
  protected enter(token: string | undefined): boolean {
    if (token === undefined || this.clients.config.insecure) return true;
    const grant = this.present(token);
    if (!isProblem(grant)) return true;
    this.close(grant.close, "the token was refused");
    return false;
  }

  /** Those of the URL's channels that it may read; undefined: none, and the client is closed. */
  protected grantedOf(
    channels: readonly string[],
    token: string | undefined,
  ): readonly string[] | undefined {
    const now = Date.now();
    const granted = channels.filter((channel) => this.rights.allows(channel, now));
    if (granted.length > 0) return granted;
    this.clients.stats.authFailed(token === undefined ? "token_required" : "channel_forbidden");
    if (token === undefined) this.close("token_required", "a token is needed");
    else this.close("forbidden", "the token grants none of the channels");
    return undefined;
  }

  /** Goes on with `next` when it can be judged where the client wants to go on from. */
  protected whenJudged(
    channels: readonly string[],
    sinceOf: (channel: string) => Since | undefined,
    next: () => void,
  ): void {
    const { hub } = this.clients;
    const ask = channels.some((channel) => hub.mustCatchUp(channel, sinceOf(channel)));
    if (ask) this.whenCaughtUp(next);
    else next();
  }
}
