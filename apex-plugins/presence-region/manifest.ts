/** What Page Designer shows of the region "Presence". */

import { AUTHORIZATION_FUNCTION } from "../shared/attributes.ts";
import type { Manifest } from "../shared/manifest.ts";

export const presenceRegion: Manifest = {
  type: "REGION TYPE",
  name: "RTM_PRESENCE_REGION",
  displayName: "Real-Time Messaging - Presence",
  standardAttributes: ["AJAX_ITEMS_TO_SUBMIT"],
  releases: ["22.1"],
  plsql: [
    "apex-plugins/shared/plsql/errors.sql",
    "apex-plugins/shared/plsql/numbers.sql",
    "apex-plugins/shared/plsql/names.sql",
    "apex-plugins/shared/plsql/user.sql",
    "apex-plugins/shared/plsql/settings.sql",
    "apex-plugins/shared/plsql/token-life.sql",
    "apex-plugins/presence-region/presence-region.sql",
  ],
  functions: { render: "rtm_presence_render", ajax: "rtm_presence_ajax" },
  events: [
    { name: "rtm_presence_joined", displayName: "Joined" },
    { name: "rtm_presence_left", displayName: "Left" },
    { name: "rtm_presence_locked", displayName: "Locked" },
    { name: "rtm_presence_unlocked", displayName: "Unlocked" },
  ],
  file: {
    name: "rtm-presence",
    entry: "apex-plugins/presence-region/page/index.ts",
    later: { name: "rtm-more", entry: "apex-plugins/client/classic-more.ts" },
    style: "apex-plugins/presence-region/page/presence.css",
  },
  help: `<p>Shows who has the same page or record open, and who only has it in the background. The server
says who the user is, what others see of the user and since when; the page cannot change it.</p>
<p>The events Joined and Left fire when somebody comes or goes; <code>this.data</code> is
<code>{channel, user, name, since, count}</code>. Locked fires when somebody else edits the record who came
first, Unlocked when nobody does any more: <code>{channel, user, name, since}</code>.</p>
<p>The relay needs a rule for the channels (relay.presence.rules). Names and pictures are others' words: write
them into the page as text.</p>
<p>A refresh of the region asks the server for the channel again, with the session state of that moment.</p>`,
  description: "Shows who is here: avatars, who edits a record, and who edits which row of a grid.",
  keywords: ["real-time", "websocket", "presence", "record lock", "collaboration", "region"],
  attributes: [
    AUTHORIZATION_FUNCTION,
    {
      number: 2,
      scope: "APPLICATION",
      label: "Relay URL",
      type: "TEXT",
      help: "Used by regions whose own Base WebSocket URL is empty.",
      examples: "<pre>wss://relay.example/ws</pre>",
    },
    {
      number: 1,
      label: "Channel",
      type: "TEXT",
      help: `Whoever has a region with the same channel open is seen there. &amp;ITEM. is replaced on the
server by the value in session state; an empty value, and a * or a comma in a value, is an error, and then
nobody is shown. At most 123 bytes.`,
      examples: "<pre>row:ORDERS:&P10_ID.</pre><pre>page:dashboard</pre>",
    },
    {
      number: 2,
      label: "Display Name",
      type: "TEXT",
      defaultValue: "&APP_USER.",
      help: "What others see of the user, at most 60 characters. Empty: the name of the APEX user.",
      examples: "<pre>&P0_FULL_NAME.</pre>",
    },
    {
      number: 3,
      label: "Picture",
      type: "TEXT",
      help: `The address of the user's picture, http or https, or a path of this host. Without one, and where
it cannot be loaded, the initials are shown.`,
      examples: "<pre>&P0_PHOTO_URL.</pre>",
    },
    {
      number: 4,
      label: "Look",
      type: "SELECT LIST",
      defaultValue: "AVATARS",
      help: "How people are shown. Empty: avatars.",
      values: [
        {
          display: "Avatars",
          value: "AVATARS",
          help: "Pictures or initials; the name is read out, and shown when pointed at.",
        },
        { display: "Avatars and Names", value: "NAMES", help: "Pictures or initials, and names." },
        { display: "Number", value: "NUMBER", help: "How many there are." },
      ],
    },
    {
      number: 5,
      label: "Most Shown",
      type: "INTEGER",
      defaultValue: "8",
      help: "So many people are shown, 1 to 100; the others are counted (+3). Empty: 8.",
    },
    {
      number: 6,
      label: "Access",
      type: "SELECT LIST",
      defaultValue: "FUNCTION",
      help: `Who may be seen here, and see others. The server decides it for each channel and again for each
new token. Empty: the authorization function.`,
      values: [
        {
          display: "Authorization Function",
          value: "FUNCTION",
          help: `The function of the component settings is asked, with the operations LISTEN and PRESENCE.
Without one nobody is seen.`,
        },
        {
          display: "Everybody on the Page",
          value: "PAGE",
          help: `Every user who may open the page; a function of the component settings is asked too.
Protect the items of the channel: a user can set an item that is not protected.`,
        },
      ],
    },
    {
      number: 7,
      label: "Record Lock Hint",
      type: "CHECKBOX",
      defaultValue: "N",
      help: `Says who edits the record, and since when, to all that have come later. The event Locked is there
for a dynamic action that disables the form. It is a hint: the database's own locking decides
(lost update detection of forms).`,
    },
    {
      number: 8,
      label: "Live Grid",
      type: "TEXT",
      help: `The HTML DOM ID (before APEX 26.1: Static ID) of an Interactive Grid with a primary key. Rows
that somebody else edits are marked with who and since when; the rows that this page edits are told to the
others. A Listener with On Message: Refresh Rows and the option Tell New and Deleted Rows completes it.`,
      examples: "<pre>orders</pre>",
    },
    {
      number: 9,
      label: "Options",
      type: "CHECKBOXES",
      defaultValue: "AWAY",
      help: "What else the region does. Empty: none of it.",
      values: [
        {
          display: "Show Who Is Away",
          value: "AWAY",
          help: "Whose page was in the background for half a minute is shown as away (Settings: awaySeconds).",
        },
        { display: "Show Myself", value: "MYSELF", help: "The user is shown among the others." },
        {
          display: "See Without Being Seen",
          value: "WATCH_ONLY",
          help: "Only where the relay's rule has watchOnly.",
        },
        {
          display: "Read-Only Rows",
          value: "READ_ONLY",
          help: "Live Grid: a row that somebody else edits cannot be edited until he leaves it.",
        },
        {
          display: "Start When Visible",
          value: "LAZY",
          help: `The user is seen from when the region comes into view, such as on a tab that is opened.`,
        },
        {
          display: "Stay Connected When Hidden",
          value: "STAY",
          help: `Without it a page that was hidden for five minutes leaves, and comes back as a new visitor
when it is shown.`,
        },
      ],
    },
    {
      number: 10,
      label: "Base WebSocket URL",
      type: "TEXT",
      help: `Where the relay listens. Empty: the Relay URL of the component settings, and without one the
path /rtm/ws on the host that serves this application. The same as that of the page's listeners: they share
one socket.`,
      examples: "<pre>wss://relay.example/ws</pre>",
    },
    {
      number: 11,
      label: "Token Life",
      type: "INTEGER",
      unit: "minutes",
      defaultValue: "480",
      help: `For how long somebody who does not touch the page is seen, 1 to 1440, and never longer than the
APEX session lives. Empty: the setting token_ttl_s of the database (15 minutes).`,
    },
    {
      number: 12,
      label: "Settings",
      type: "TEXTAREA",
      translatable: true,
      help: `More, as a JSON object: awaySeconds (30) for the option Show Who Is Away, and texts in another language,
in which &amp;ITEM. is replaced.
<ul>
<li>label (Who is here), you (you), away (away), more (#count# more), count (#count# here), nobody
(Nobody else is here)</li>
<li>came (#name# has come), left (#name# has left): read out to those who do not see</li>
<li>edits (#name# edits this record since #time#)</li>
<li>Live Grid: rowEdits (#name# edits this row since #time#), kept (Changed by #name#, yours is kept),
somebody (somebody else), added (New rows: #count#), deleted (Deleted rows: #count#), fetch (Show them), live (Live), paused (Paused),
offline (Offline), pause (Pause), resume (Resume)</li>
</ul>`,
      examples: '<pre>{"label": "Wer ist hier", "away": "abwesend"}</pre>',
    },
  ],
};
