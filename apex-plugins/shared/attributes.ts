/** Attributes that several plug-ins have, with the same words. */
import type { Attribute } from "./manifest.ts";

export const AUTHORIZATION_FUNCTION: Attribute = {
  number: 1,
  scope: "APPLICATION",
  label: "Authorization Function",
  type: "TEXT",
  maxLength: 255,
  help: `A function of your own that decides who may hear or send on a channel. Empty: every user who
may use the page may use its channels.

It is called as
<pre>my_schema.my_function(
  p_user      in varchar2,  -- the APEX user
  p_channel   in varchar2,  -- the channel; a prefix ends with *
  p_operation in varchar2   -- LISTEN, SEND or PRESENCE
) return boolean</pre>
and must return true. False, null and an error mean no.`,
  examples: "<pre>chat_security.may_use_channel</pre>",
};

export const API_KEY: Attribute = {
  number: 1,
  label: "API Key",
  type: "TEXT",
  help: `The key for the relay's REST interface. It stays in the database: the page never sees it.

Leave it empty. It is used only when the database sends by HTTP, and then RTM_CONFIG is the better
place for it, because everybody who can edit the application can read an attribute. With a queue it
is ignored.`,
};

export const BASE_URL: Attribute = {
  number: 2,
  label: "Base URL",
  type: "TEXT",
  help: `The address of the relay, for example https://relay.example. Leave it empty: it is used only
when the database sends by HTTP, and then RTM_CONFIG has it. With a queue it is ignored.`,
};

export const CHANNEL: Attribute = {
  number: 3,
  label: "Channel",
  type: "TEXT",
  help: `The channel to send to, 1 to 128 bytes. &amp;ITEM. is replaced on the server by
the value in session state; an empty value, a * or a comma in it is an error.`,
  examples: "<pre>sales</pre><pre>room:&P10_ROOM.</pre>",
};

export const EVENT_NAME: Attribute = {
  number: 4,
  label: "Event Name",
  type: "TEXT",
  help: `Says what happened, 1 to 128 bytes. Listeners choose by it. Substitutions as in Channel.`,
  examples: "<pre>order-created</pre>",
};

export const JSON_PAYLOAD: Attribute = {
  number: 0,
  label: "JSON",
  type: "TEXTAREA",
  help: "Sent as it is, without substitutions. It must be valid JSON.",
  examples: '<pre>{"what": "prices"}</pre>',
};

export const ON_ERROR: Attribute = {
  number: 6,
  label: "On Error",
  type: "SELECT LIST",
  help: "What happens when the message cannot be sent. Empty: the error is raised.",
  values: [
    {
      display: "Raise",
      value: "RAISE",
      help: "The error is shown to the user, and what comes after does not run.",
    },
    {
      display: "Log",
      value: "LOG",
      help: "The error goes into RTM_LOG and the debug log. Everything else goes on.",
    },
    { display: "Ignore", value: "IGNORE", help: "Everything else goes on." },
  ],
};

export const RETAIN: Attribute = {
  number: 0,
  label: "Retain",
  type: "INTEGER",
  unit: "seconds",
  help: `For so long the relay keeps the message as the last value of its channel and event, 1 to 604,800 (a
week): a Listener with the option Last Values gets it, however late its page is opened. A message of the same event
without Retain ends what is kept: let all its senders agree. Empty: it is not kept.`,
  examples: "<pre>86400</pre>",
};

export const PAYLOAD_ITEM: Attribute = {
  number: 5,
  label: "Payload Item",
  type: "PAGE ITEM",
  help: `The item whose value is sent, as {"itemName": "P10_MESSAGE", "value": "Hello"}. Empty, and no
Payload chosen: the payload is {}.`,
  shownWhen: { attribute: 7, is: "NULL" },
};
