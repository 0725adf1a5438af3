/** Where APEX finds the functions of the plug-ins. */

/** The one global of the plug-ins. Each plug-in's script adds its functions to it. */
export function publish(members: object): void {
  globalThis.rtm = Object.assign(globalThis.rtm ?? {}, members);
}

declare global {
  var rtm: Record<string, unknown> | undefined;
}
