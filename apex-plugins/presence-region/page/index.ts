/** rtm-presence.js: the presence region's function, in the global `rtm`. */
import { publish } from "../../shared/page/namespace.ts";
import { presence } from "./presence.ts";

publish({ presence });
