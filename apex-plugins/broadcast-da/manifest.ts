/** What Page Designer shows of the dynamic action "Broadcast". */

import {
  API_KEY,
  AUTHORIZATION_FUNCTION,
  BASE_URL,
  CHANNEL,
  EVENT_NAME,
  JSON_PAYLOAD,
  ON_ERROR,
  PAYLOAD_ITEM,
  RETAIN,
} from "../shared/attributes.ts";
import type { Manifest } from "../shared/manifest.ts";

export const broadcastDa: Manifest = {
  type: "DYNAMIC ACTION",
  name: "RTM_BROADCAST_DA",
  displayName: "Real-Time Messaging - Broadcast (DA)",
  category: "EXECUTE",
  standardAttributes: ["STOP_EXECUTION_ON_ERROR", "WAIT_FOR_RESULT"],
  releases: ["22.1"],
  plsql: [
    "apex-plugins/shared/plsql/errors.sql",
    "apex-plugins/shared/plsql/numbers.sql",
    "apex-plugins/shared/plsql/names.sql",
    "apex-plugins/shared/plsql/payload.sql",
    "apex-plugins/broadcast-da/broadcast-da.sql",
  ],
  functions: { render: "rtm_broadcast_render", ajax: "rtm_broadcast_ajax" },
  file: { name: "rtm-broadcast", entry: "apex-plugins/broadcast-da/page/index.ts" },
  help: `<p>Sends a message to everybody who listens to a channel. The page gives values only: channel,
event and the names of the items come from these attributes, on the server.</p>
<p>With Wait for Result the next action waits until the database has taken the message; Stop
Execution on Error needs it.</p>`,
  description: "Sends a real-time message from a page through the database.",
  keywords: ["real-time", "websocket", "push", "broadcast", "dynamic action"],
  attributes: [
    AUTHORIZATION_FUNCTION,
    API_KEY,
    BASE_URL,
    { ...CHANNEL, defaultValue: "test" },
    { ...EVENT_NAME, defaultValue: "ping" },
    PAYLOAD_ITEM,
    { ...ON_ERROR, defaultValue: "LOG" },
    {
      number: 7,
      label: "Payload",
      type: "SELECT LIST",
      help: "What is sent. Empty: the Payload Item.",
      values: [
        {
          display: "Page Items",
          value: "ITEMS",
          help: 'The present values of several items: {"P10_A": "1", "P10_B": "2"}.',
        },
        { display: "Static JSON", value: "JSON", help: "Always the same." },
        {
          display: "JavaScript Expression",
          value: "SCRIPT",
          help: "What an expression gives in the page. Users can change what their browser sends.",
        },
      ],
    },
    {
      number: 8,
      label: "Items",
      type: "PAGE ITEMS",
      help: "The items whose present values are sent, each under its name.",
      shownWhen: { attribute: 7, is: "EQUALS", value: "ITEMS" },
    },
    { ...JSON_PAYLOAD, number: 9, shownWhen: { attribute: 7, is: "EQUALS", value: "JSON" } },
    {
      number: 10,
      label: "JavaScript Expression",
      type: "TEXTAREA",
      help: `One expression that gives the payload; a semicolon after it does no harm. A promise is waited for. <code>this</code> is the dynamic action's context.
Substitutions are not replaced: use apex.item.`,
      examples: "<pre>({ x: this.browserEvent.pageX, who: apex.env.APP_USER })</pre>",
      shownWhen: { attribute: 7, is: "EQUALS", value: "SCRIPT" },
    },
    {
      number: 11,
      label: "Debounce",
      type: "INTEGER",
      unit: "milliseconds",
      help: `For events that fire often, such as key presses: a firing is sent when no other came for so
long, 1 to 60,000. With Wait for Result the actions after it run once, for the firing that is sent.
While the event goes on, nothing is sent; Throttle does not wait. Empty or 0: each is sent.`,
    },
    {
      number: 12,
      label: "Throttle",
      type: "INTEGER",
      unit: "milliseconds",
      help: `For events that fire often, when the first firing matters ("is typing"): it is sent at once,
and those within so long after it are left out, 1 to 60,000. The last one may be among them. With Wait
for Result the actions after a firing that is left out do not run. Empty or 0: none is left out.`,
    },
    {
      number: 13,
      label: "Add Sender",
      type: "CHECKBOX",
      defaultValue: "N",
      help: `Whether the payload, when it is an object, gets the member rtmSender with a mark of this page.
Listeners with the option Not My Own leave such messages of their own page out.`,
    },
    { ...RETAIN, number: 14 },
  ],
};
