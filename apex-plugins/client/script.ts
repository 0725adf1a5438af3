/** The client as a classic script: what it has to fetch later lies beside it. */
import { connectionTo } from "./browser.ts";
import { connector } from "./connect.ts";
import type { More } from "./environment.ts";
import { FETCHED } from "./fetched.ts";
import { NOT_LOADED } from "./socket.ts";

const own = document.currentScript as HTMLScriptElement | null;

/** `…/js/rtm-listener.min.js?v=7` has `…/js/rtm-more.min.js?v=7` beside it. */
export function beside(src: string): string {
  const url = new URL(src);
  url.pathname = url.pathname.replace(/[^/]*?(\.min)?(\.js)?$/, "rtm-more$1.js");
  return url.href;
}

function fetchMore(): Promise<More> {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = beside(own!.src);
    script.nonce = own!.nonce;
    script.onload = () => resolve((globalThis as unknown as Record<symbol, More>)[FETCHED]!);
    script.onerror = () => reject(new Error(NOT_LOADED));
    document.head.append(script);
  });
}

export const connect = connector((url, _options, more) => connectionTo(url, more), fetchMore);
