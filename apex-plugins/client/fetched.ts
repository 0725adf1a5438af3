/** The one name on which both files of the client agree. */

/** Where a classic script that was fetched leaves what it brings. */
export const FETCHED = Symbol.for("rtm.more");
