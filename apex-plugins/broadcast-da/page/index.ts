/** rtm-broadcast.js: the Broadcast dynamic action's function, in the global `rtm`. */
import { publish } from "../../shared/page/namespace.ts";
import { broadcast } from "./broadcast.ts";

publish({ broadcast });
