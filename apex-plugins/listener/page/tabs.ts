/** What the tabs of one browser tell each other, so that a user is told once. */

export interface TabNote {
  /** A notification that was shown. */
  readonly shown?: string;
  /** A badge that was cleared. */
  readonly cleared?: string;
}

const watchers: ((note: TabNote) => void)[] = [];
let channel: BroadcastChannel | undefined;

function open(): BroadcastChannel | undefined {
  if (channel || typeof BroadcastChannel === "undefined") return channel;
  channel = new BroadcastChannel("rtm");
  channel.onmessage = ({ data }) => {
    if (typeof data !== "object" || data === null) return;
    for (const watcher of watchers) watcher(data as TabNote);
  };
  return channel;
}

export function tellTabs(note: TabNote): void {
  open()?.postMessage(note);
}

export function watchTabs(watcher: (note: TabNote) => void): void {
  watchers.push(watcher);
  open();
}
