/** Frames about members, built once for all who get them. */
import { SharedFrames } from "../channels/control-frames.ts";
import type { Member } from "./member.ts";

/** Members in one frame. */
const PER_FRAME = 200;

function memberText({ user, connections, info }: Member): string {
  const shown = info === undefined ? "" : `,"info":${info}`;
  return `{"user":${JSON.stringify(user)}${shown},"connections":${connections}}`;
}

/** @param settleMs so long others may still come who were there all the time; 0: all are there */
export function listFrames(
  channel: string,
  members: readonly Member[],
  settleMs: number,
): SharedFrames {
  const head = `{"op":"members","channel":${JSON.stringify(channel)},"count":${members.length}`;
  const settle = settleMs > 0 ? `,"settleMs":${Math.ceil(settleMs)}` : "";
  const texts: string[] = [];
  for (let at = 0; at === 0 || at < members.length; at += PER_FRAME) {
    const part = members.slice(at, at + PER_FRAME);
    const more = at + PER_FRAME < members.length;
    texts.push(`${head},"members":[${part.map(memberText).join()}],"more":${more}${settle}}`);
  }
  return new SharedFrames(texts);
}

export function changeFrame(
  channel: string,
  count: number,
  change: { readonly left: readonly string[]; readonly joined: readonly Member[] },
): SharedFrames {
  const left = JSON.stringify(change.left);
  const joined = change.joined.map(memberText).join();
  const head = `{"op":"presence","channel":${JSON.stringify(channel)},"count":${count}`;
  return new SharedFrames([`${head},"left":${left},"joined":[${joined}]}`]);
}

export function countFrame(channel: string, count: number): SharedFrames {
  return new SharedFrames([JSON.stringify({ op: "presence", channel, count, listed: false })]);
}
