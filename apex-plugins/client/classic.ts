/** The classic script: adds the client to the global `rtm`, which the plug-ins share. */
import * as client from "./index.ts";

declare global {
  var rtm: Record<string, unknown> | undefined;
}

globalThis.rtm = Object.assign(globalThis.rtm ?? {}, client);
