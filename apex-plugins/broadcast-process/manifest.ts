/** What Page Designer shows of the process "Broadcast". */

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

const EVERYWHERE = [
  "APEX_APPLICATION_PAGE_PROC",
  "APEX_APPL_AUTOMATION_ACTIONS",
  "APEX_APPL_TASKDEF_ACTIONS",
] as const;

export const broadcastProcess: Manifest = {
  type: "PROCESS TYPE",
  name: "RTM_BROADCAST_PROCESS",
  displayName: "Real-Time Messaging - Broadcast (Process)",
  componentTypes: { "22.1": EVERYWHERE, "23.2": [...EVERYWHERE, "APEX_APPL_WORKFLOW_ACTIVITIES"] },
  releases: ["22.1", "23.2"],
  plsql: [
    "apex-plugins/shared/plsql/errors.sql",
    "apex-plugins/shared/plsql/numbers.sql",
    "apex-plugins/shared/plsql/names.sql",
    "apex-plugins/shared/plsql/payload.sql",
    "apex-plugins/broadcast-process/broadcast-process.sql",
  ],
  functions: { execution: "rtm_broadcast_execute" },
  help: `<p>Sends a message to everybody who listens to a channel, as part of the transaction: with the
queue, nobody sees it before the commit, and nobody at all after a rollback.</p>
<p>APEX may commit in the middle of page processing. With Session State Commits set to End of Request
(23.1 and later) it does so once, at the end.</p>`,
  description:
    "Sends a real-time message as part of the transaction of a page, automation or task.",
  keywords: ["real-time", "websocket", "push", "broadcast", "process"],
  attributes: [
    AUTHORIZATION_FUNCTION,
    API_KEY,
    BASE_URL,
    CHANNEL,
    EVENT_NAME,
    { ...PAYLOAD_ITEM, label: "Source Item (Payload)" },
    ON_ERROR,
    {
      number: 7,
      label: "Payload",
      type: "SELECT LIST",
      help: "What is sent. Empty: the Source Item. In automations and tasks there are no page items.",
      values: [
        {
          display: "Page Items",
          value: "ITEMS",
          help: 'The session state of several items: {"P10_A": "1", "P10_B": "2"}.',
        },
        {
          display: "SQL Query",
          value: "SQL",
          help: `The rows as a list of objects. Without a row nothing is sent, and the process counts as
skipped.`,
        },
        {
          display: "PL/SQL Expression",
          value: "PLSQL",
          help: "JSON text that an expression gives, at most 32,767 bytes.",
        },
        { display: "Static JSON", value: "JSON", help: "Always the same." },
      ],
    },
    {
      number: 8,
      label: "Items",
      type: "PAGE ITEMS",
      help: "The items whose session state is sent, each under its name.",
      shownWhen: { attribute: 7, is: "EQUALS", value: "ITEMS" },
    },
    {
      number: 9,
      label: "SQL Query",
      type: "SQL",
      help: `Each row becomes an object with the column names. Dates are ISO 8601 texts; numbers of more than
15 digits are texts, because JavaScript would round them.`,
      examples: "<pre>select id, status from orders where id = :P10_ID</pre>",
      shownWhen: { attribute: 7, is: "EQUALS", value: "SQL" },
    },
    {
      number: 10,
      label: "PL/SQL Expression",
      type: "PLSQL EXPRESSION",
      help: "Gives JSON text. Build it with json_object, never by concatenation.",
      examples: "<pre>order_api.as_json(:P10_ID)</pre>",
      shownWhen: { attribute: 7, is: "EQUALS", value: "PLSQL" },
    },
    { ...JSON_PAYLOAD, number: 11, shownWhen: { attribute: 7, is: "EQUALS", value: "JSON" } },
    { ...RETAIN, number: 12 },
  ],
};
