/** What the client does when its connection is closed: the table of docs/protocol.md, "Close codes". */

/** What a close code asks of the client (docs/protocol.md, "Close codes"). */
export type CloseAction = "reconnect" | "token" | "stop";

export function closeAction(code: number): CloseAction {
  const range = Math.floor(code / 100);
  if (range === 41) return "token";
  return range === 42 || code === 1009 ? "stop" : "reconnect";
}
