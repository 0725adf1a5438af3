/** The classic script: adds the client to the global `rtm`, which the plug-ins share. */
import { publish } from "../shared/page/namespace.ts";
import * as client from "./index.ts";

publish(client);
