/** The second file as a classic script, which script.ts fetches. */
import { FETCHED } from "./fetched.ts";
import * as more from "./more.ts";

Object.assign(globalThis, { [FETCHED]: { ...more } });
