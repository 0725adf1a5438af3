/** What Page Designer shows of the dynamic action "Listener". */

import { AUTHORIZATION_FUNCTION } from "../shared/attributes.ts";
import type { Manifest } from "../shared/manifest.ts";

export const listener: Manifest = {
  type: "DYNAMIC ACTION",
  name: "RTM_LISTENER_DA",
  displayName: "Real-Time Messaging - Listener (DA)",
  category: "INIT",
  standardAttributes: ["REGION", "ONLOAD"],
  releases: ["22.1"],
  plsql: [
    "apex-plugins/shared/plsql/errors.sql",
    "apex-plugins/shared/plsql/numbers.sql",
    "apex-plugins/shared/plsql/names.sql",
    "apex-plugins/shared/plsql/user.sql",
    "apex-plugins/shared/plsql/lists.sql",
    "apex-plugins/shared/plsql/settings.sql",
    "apex-plugins/shared/plsql/token-life.sql",
    "apex-plugins/listener/listener.sql",
  ],
  functions: { render: "rtm_listener_render", ajax: "rtm_listener_ajax" },
  events: [
    { name: "rtm_listener_message", displayName: "Message" },
    { name: "rtm_listener_status", displayName: "Status" },
    { name: "rtm_listener_members", displayName: "Members" },
    { name: "rtm_listener_event", displayName: "Client Event" },
  ],
  file: {
    name: "rtm-listener",
    entry: "apex-plugins/listener/page/index.ts",
    later: { name: "rtm-more", entry: "apex-plugins/client/classic-more.ts" },
    style: "apex-plugins/listener/page/listener.css",
  },
  help: `<p>Listens to channels of the relay and reacts in the page. The server makes a token that
grants exactly the channels named here; the page never sees a key. All listeners of a page share one
WebSocket, which comes back by itself and receives what it missed.</p>
<p>Every message fires the APEX event; <code>this.data</code> is the message:
<code>{channel, eventName, payload, id, seq, ts}</code>. Payloads come from outside: never write them
into the page as HTML.</p>
<p>The event Status tells what the connection does: <code>this.data.state</code> is connecting,
connected, subscribed, gap (messages may be missing: fetch the data again), waiting, token, denied,
paused or stopped, parked (hidden for long), pending (a grid with unsaved edits waits), kept (a row that is
edited here was changed by somebody else), rows (new or deleted rows) or missing (no such region);
<code>this.data.code</code> says why.</p>
<p>The event Members (Options: See Who Is Here) tells who is in a channel:
<code>{channel, members, count, joined, left}</code>. A member is {user, info, connections}.</p>
<p>The event Client Event fires for what other pages send with rtm.publish (Options: Send Client Events), such as
who is typing: <code>{channel, eventName, payload, from, ts}</code>; from.user is the sender. Such events are no
messages: nobody stores them, and On Message does nothing with them. Their names begin with client:, and Event
Name has to name them, or to be *.</p>`,
  description:
    "Listens to real-time messages pushed by the database and refreshes regions, sets items or notifies.",
  keywords: ["real-time", "websocket", "push", "advanced queuing", "dynamic action"],
  attributes: [
    AUTHORIZATION_FUNCTION,
    {
      number: 2,
      scope: "APPLICATION",
      label: "Relay URL",
      type: "TEXT",
      help: "Used by listeners whose own Base WebSocket URL is empty.",
      examples: "<pre>wss://relay.example/ws</pre>",
    },
    {
      number: 1,
      label: "Base WebSocket URL",
      type: "TEXT",
      help: `Where the relay listens. Empty: the Relay URL of the component settings, and without one the
path /rtm/ws on the host that serves this application (nginx/rtm-ords.inc). A page served by https
needs wss.`,
      examples: "<pre>wss://relay.example/ws</pre><pre>/rtm/ws</pre>",
    },
    {
      number: 2,
      label: "Channel",
      type: "TEXT",
      defaultValue: "test",
      help: `One channel or several, separated by commas. &amp;ITEM. is replaced on the server by the value in
session state at the time the page is rendered; an empty value, and a * or a comma in a value, is an
error, so that a value can never widen what the user may hear.
<p>#USER# is the channel of the user who has logged in.</p>
<p>A name that ends with * grants a prefix without listening to it: scripts of the page can then
subscribe to single channels of it with rtm.connect.</p>
<p>Empty: test.</p>`,
      examples: "<pre>sales</pre><pre>sales, room:&P10_ROOM., #USER#</pre>",
    },
    {
      number: 3,
      label: "Event Name",
      type: "TEXT",
      defaultValue: "ping",
      help: "The events to react to, separated by commas, or * for all. Empty: ping.",
      examples: "<pre>*</pre><pre>order-created, order-changed</pre>",
    },
    {
      number: 4,
      label: "APEX Event Name",
      type: "TEXT",
      defaultValue: "rtm-message",
      help: `The event that every message fires, for dynamic actions of the type Custom. It is triggered on
the affected elements, without any on the page's body, and bubbles. Avoid a full stop in the name:
jQuery takes what follows it for a namespace. Empty: rtm-message.`,
    },
    {
      number: 5,
      label: "On Message",
      type: "SELECT LIST",
      defaultValue: "EVENT",
      help: `What a message does besides firing the event. Empty: a payload with itemName and value sets
that item, when the page has it.`,
      values: [
        { display: "Event Only", value: "EVENT", help: "Nothing else." },
        {
          display: "Set Items",
          value: "ITEMS",
          help: `Sets the item that the payload names with itemName and value, or the items that have a
member of their name in the payload.`,
        },
        {
          display: "Refresh Regions",
          value: "REFRESH",
          help: `Refreshes the regions, once for a burst of messages and not while the page is hidden. An
Interactive Grid with unsaved edits is refreshed when they are saved.`,
        },
        {
          display: "Refresh Rows",
          value: "ROWS",
          help: `For an Interactive Grid, Cards and other regions with a model and a primary key: fetches
only the rows whose keys the payload names ({"id": 7}, {"ids": [7, 8]}, a value or a list). Everything
else refreshes the region: a row that the page does not have, a payload without a key, another type
of region.`,
        },
        {
          display: "Notify",
          value: "NOTIFY",
          help: `Shows a notification in a corner of the page; a list shows one for each element. Three at a
time, the others wait, and those that are too many are counted. Messages of validations stay.`,
        },
        {
          display: "Set Badge",
          value: "BADGE",
          help: `Counts messages on an element of the page: a navigation entry, a list item, a button. Settings
say which.`,
        },
      ],
    },
    {
      number: 6,
      label: "Items",
      type: "PAGE ITEMS",
      help: "Only these items may be set by a message. Empty: any item of the page.",
      shownWhen: { attribute: 5, is: "EQUALS", value: "ITEMS" },
    },
    {
      number: 7,
      label: "Regions",
      type: "TEXT",
      help: `HTML DOM IDs (before APEX 26.1: Static IDs) of the regions to refresh, separated by commas.
Empty: the affected elements, when they are a region.`,
      examples: "<pre>orders, totals</pre>",
    },
    {
      number: 8,
      label: "Notification",
      type: "TEXT",
      translatable: true,
      help: `The text; #name# is replaced by that member of the payload, whatever its case. Empty: the member
message or value of the payload, or the payload itself.`,
      examples: "<pre>Order #id# has arrived</pre>",
      shownWhen: { attribute: 5, is: "EQUALS", value: "NOTIFY" },
    },
    {
      number: 9,
      label: "Throttle",
      type: "INTEGER",
      unit: "milliseconds",
      defaultValue: "200",
      help: `Regions are refreshed when no message came for so long; a burst that does not end is cut after
ten times as long. 0 to 60,000. Empty: 200.`,
    },
    {
      number: 10,
      label: "When Messages Are Missing",
      type: "SELECT LIST",
      defaultValue: "REFRESH",
      help: `What happens when the relay cannot replay what was missed, for example after it crashed.
The event Status fires with the state gap in any case. Empty: event only.`,
      values: [
        { display: "Refresh Regions", value: "REFRESH", help: "Refreshes the regions." },
        { display: "Event Only", value: "EVENT", help: "Leaves it to your dynamic actions." },
      ],
    },
    {
      number: 11,
      label: "Fire Change Event",
      type: "CHECKBOX",
      defaultValue: "N",
      help: `Whether an item set by a message fires its change event. A value that the item has already
fires nothing, and the Broadcast action does not send back what a message put there. Empty: yes.`,
    },
    {
      number: 12,
      label: "Access",
      type: "SELECT LIST",
      defaultValue: "TOKEN",
      help: "How the page proves that it may listen. Empty: by a token.",
      values: [
        {
          display: "Token",
          value: "TOKEN",
          help: `The server makes a token for this user and these channels. It is renewed while somebody
uses the page, so that an idle page does not keep its APEX session alive: one call for all listeners of
the page.`,
        },
        {
          display: "Public Channels",
          value: "PUBLIC",
          help: "No token. The channels must be in publicChannels of the relay's configuration.",
        },
      ],
    },
    {
      number: 13,
      label: "Options",
      type: "CHECKBOXES",
      defaultValue: "KEEP_PAGE",
      help: "What else the listener does. Empty: none of it.",
      values: [
        {
          display: "Maintain Pagination",
          value: "KEEP_PAGE",
          help: "A refreshed region stays on its page. Without it the region starts again at its first page.",
        },
        {
          display: "Connection Indicator",
          value: "INDICATOR",
          help: `A small badge says whether the page is live, catching up, offline, or has to sign in again.
It stands in the element with the attribute data-rtm-indicator, without one in a corner of the page.`,
        },
        {
          display: "From Now On",
          value: "NOW",
          help: `Messages from the moment on in which the action fires. Without it those since the
navigation to the page come too, also to a listener that is fired late.`,
        },
        {
          display: "Last Values",
          value: "LAST",
          help: `Begins with the newest message of each event, whatever its age, in place of those since the
navigation: for a page that shows the present state. Let the sender keep it (p_retain_s), so that it is there
for as long as it should be. The Settings say with last how many of each event. The state gap comes only
where the relay may not have all of them.`,
        },
        {
          display: "Not My Own",
          value: "OTHERS",
          help: `Messages that a Broadcast action of this very page has sent, with Add Sender, are left out.`,
        },
        {
          display: "Notify the System When Hidden",
          value: "SYSTEM",
          help: `On Message: Notify. While the page is hidden the operating system shows the notification,
when the user has allowed it: let a button ask with rtm.askToNotify(). Such a page stays connected.`,
        },
        {
          display: "Leave the Page Unchanged",
          value: "UNCHANGED",
          help: `An item that the user has not changed counts as unchanged after a message has set it, so
that Warn on Unsaved Changes does not ask.`,
        },
        {
          display: "Be Seen by Others",
          value: "JOIN",
          help: `The user is a member of the channels while the page is open: others see the user's name, and
what the Settings say with member. The relay needs a rule (relay.presence.rules).`,
        },
        {
          display: "See Who Is Here",
          value: "WATCH",
          help: `The event Members fires when it is known who is there, and at every change. Whoever sees others
must be seen, unless the relay's rule says otherwise.`,
        },
        {
          display: "Send Client Events",
          value: "EVENTS",
          help: `Scripts of the page may send events for a moment, such as who is typing, to the other pages that
listen to these channels: <code>rtm.publish("room:7", "client:typing", {})</code>. They do not go through the
database. The relay needs a rule (relay.clientEvents.channels), and the authorization function is asked with
SEND.`,
        },
        {
          display: "Tell New and Deleted Rows",
          value: "TELL",
          help: `On Message: Refresh Rows. A row that the page does not have, or that was deleted, does not
refresh the region: the event Status tells it with the state rows. Changed rows are fetched as ever.`,
        },
        {
          display: "Stay Connected When Hidden",
          value: "STAY",
          help: `Without it a page that was hidden for five minutes gives up its socket, and catches up when
it is shown.`,
        },
      ],
    },
    {
      number: 14,
      label: "Token Life",
      type: "INTEGER",
      unit: "minutes",
      defaultValue: "480",
      help: `How long a token lets the page listen, 1 to 1440, and never longer than the APEX session
lives. A page that nobody touches stays live for so long; a user who logs out can hear for so long what
the page was told, if he keeps it open. Empty: the setting token_ttl_s of the database (15 minutes).`,
      shownWhen: { attribute: 12, is: "NOT_EQUALS", value: "PUBLIC" },
    },
    {
      number: 15,
      label: "Settings",
      type: "TEXTAREA",
      translatable: true,
      help: `More, as a JSON object; &amp;ITEM. is replaced in its texts.
<ul>
<li>key: Refresh Rows. The member of the payload that holds the primary key or a list of keys. Without
it id, ids, key or keys, or the same of the member row. The case of the name does not matter. by: the member
that says who has changed the row; without it by, changed_by or updated_by.</li>
<li>type (success, info, warning, error), title, link, seconds (8; 0: until it is closed), position
(top-end, top-start, top-center, bottom-end, bottom-start, bottom-center), cssClass, close and more (their
texts): Notify. #name# is replaced in type, title and link; in a link it is encoded.</li>
<li>badge (a DOM id or a selector), count (the member with the count; without it every message counts
one), clear (the event that clears it; without it a click), badgeLabel (its text, #count# new): Set
Badge.</li>
<li>last: how many messages of each event, 1 to 10 (1): Last Values.</li>
<li>member: an object of at most 512 bytes that others see of the user, such as {"name": "&amp;P0_NAME."}: Be
Seen by Others.</li>
<li>live, catchingUp, offline, signIn: the texts of the connection indicator.</li>
</ul>`,
      examples: '<pre>{"key": "ORDER_ID"}</pre>',
    },
  ],
};
