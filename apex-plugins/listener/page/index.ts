/** rtm-listener.js: the browser client and the Listener's function, in the global `rtm`. */
import * as client from "../../client/index.ts";
import { publish } from "../../shared/page/namespace.ts";
import { listen } from "./listen.ts";
import { askToNotify } from "./notify.ts";
import { holdRegion, refreshRegion } from "./region.ts";

publish({ ...client, listen, askToNotify, holdRegion, refreshRegion });
