/** The port through which the worker learns who is present, for the database. The relay implements it. */

/** A user in a channel: of the whole relay, whatever node the connections are on. */
export interface PresentMember {
  readonly channel: string;
  /** The claim `sub`. */
  readonly user: string;
  /** 0: the user has left. */
  readonly connections: number;
  /** What others see of the user: JSON text of at most 512 bytes; absent when there is nothing. */
  readonly info?: string | undefined;
  /** Since when the user is there, ms since 1970. */
  readonly sinceMs: number;
}

/** Only channels whose presence rule says `database`. Read by one worker, one call after the other. */
export interface PresenceFeed {
  /**
   * @param full true: everybody who is there (connections above 0); from then on changes count from this
   * answer. False: whoever has come, has changed or has left since the last answer, once each, as it is now.
   * @returns undefined while it settles, after a start or a new epoch: who is not in the list may be about
   * to come back. The next answer is then asked for in full.
   */
  read(full: boolean): readonly PresentMember[] | undefined;
}
