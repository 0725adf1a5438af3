/**
 * What hardly any page needs: the ways without WebSockets, who else is there, and what is said to them. A
 * file of its own, which is fetched when it is needed (docs/client.md).
 */
import type { More } from "./environment.ts";
import { Fallback } from "./fallback.ts";
import { http } from "./http.ts";

export { publish } from "./events.ts";
export { Members } from "./members.ts";

export const fallback: More["fallback"] = (options) => new Fallback(http, options);
