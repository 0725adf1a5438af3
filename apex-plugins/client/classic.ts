/** The classic script: adds the client to the global `rtm`, which the plug-ins share. */
import { publish } from "../shared/page/namespace.ts";
import { connect } from "./script.ts";
import { StopError } from "./token.ts";

publish({ connect, StopError });
