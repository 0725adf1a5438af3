/** rtm-listener.js: the browser client and the Listener's function, in the global `rtm`. */
import { connect } from "../../client/script.ts";
import { StopError } from "../../client/token.ts";
import { publish } from "../../shared/page/namespace.ts";
import { publishEvent } from "./client-events.ts";
import { listen } from "./listen.ts";
import { askToNotify } from "./notify.ts";
import { holdRegion, refreshRegion } from "./region.ts";

publish({
  connect,
  StopError,
  listen,
  publish: publishEvent,
  askToNotify,
  holdRegion,
  refreshRegion,
});
