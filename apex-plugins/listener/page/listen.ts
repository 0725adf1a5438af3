/** The function that the Listener dynamic action calls. */
import type { MessageFrame } from "../../../relay/contract/protocol.ts";
import { connect } from "../../client/script.ts";
import type { TokenOptions } from "../../client/token.ts";
import { member } from "../../shared/page/payload.ts";
import { renewalFor } from "../../shared/page/renewal.ts";
import { SENDER, senderId } from "../../shared/page/sender.ts";
import { Badge } from "./badge.ts";
import { publishThrough } from "./client-events.ts";
import { type ListenerConfig, parseConfig } from "./config.ts";
import { type ChannelState, sharedIndicator } from "./indicator.ts";
import { setItems } from "./items.ts";
import { rowsOf } from "./keys.ts";
import { notify } from "./notify.ts";
import { Regions } from "./refresh.ts";
import type { Option } from "./settings.ts";
import { type Tell, tellConnection, teller } from "./status.ts";

/** Declared by the plug-in; it comes beside the event that the attribute names. */
const MESSAGE_EVENT = "rtm_listener_message";
const MEMBERS_EVENT = "rtm_listener_members";
const CLIENT_EVENT = "rtm_listener_event";

/** With more listeners one token for all is fetched instead of presenting one for each. */
const TOKENS = 20;
/** Minutes after which a hidden page gives up its socket. */
const PARK_MINUTES = 5;

/** Dynamic actions that listen already. A context is new for every firing, the action is not. */
const started = new Set<string>();

function reaction(config: ListenerConfig, regions: Regions, status: Tell) {
  const { onMessage, items, fireChange, settings, options } = config;
  const badge = onMessage === "BADGE" ? new Badge(settings, status) : undefined;
  const how = { fireChange, unchanged: options.includes("UNCHANGED") };
  return ({ payload, id, eventName }: MessageFrame) => {
    if (onMessage === "" || onMessage === "ITEMS") {
      setItems(payload, items, onMessage === "ITEMS", how);
    } else if (onMessage === "REFRESH") {
      regions.ask();
    } else if (onMessage === "ROWS") {
      regions.askRows(rowsOf(payload, eventName, settings));
    } else if (onMessage === "NOTIFY") {
      notify(config, id, payload);
    } else {
      badge?.receive(payload);
    }
  };
}

function regionIds(config: ListenerConfig, affected: ApexElements | undefined): readonly string[] {
  if (config.regions.length > 0) return config.regions;
  return (affected?.toArray() ?? []).map(({ id }) => id).filter((id) => id !== "");
}

function tokenOf(config: ListenerConfig, ajaxIdentifier: string | null | undefined) {
  const { token, renew, grant, sessionEnded } = config;
  if (token === undefined) return undefined;
  const options: TokenOptions = { initial: token };
  if (!renew || !ajaxIdentifier) return options;
  const { size } = started;
  return {
    initial: grant !== undefined && size > TOKENS ? undefined : token,
    renew: renewalFor({ ajaxIdentifier, grant, sessionEnded }),
  };
}

/** Starts listening as the dynamic action's attributes say. A second firing changes nothing. */
export function listen(this: DynamicActionContext): void {
  const { attribute01 = "{}", ajaxIdentifier } = this.action;
  const key = ajaxIdentifier ?? attribute01;
  if (started.has(key)) return;
  started.add(key);
  const config = parseConfig(attribute01);
  const { affectedElements: affected } = this;
  const targets = affected && affected.length > 0 ? affected.toArray() : [document.body];
  const fire = (event: string, data: object) => {
    for (const target of targets) apex.event.trigger(target, event, data);
  };
  const status = teller(targets);
  if (config.error !== undefined) {
    apex.debug.error("rtm: the Listener is not usable:", config.error);
    status({ state: "stopped", code: "configuration", message: config.error });
    return;
  }
  const has = (option: Option) => config.options.includes(option);
  const regions = new Regions(
    regionIds(config, affected),
    {
      quietMs: config.throttleMs,
      keepPagination: has("KEEP_PAGE"),
      tellRows: has("TELL"),
    },
    status,
  );
  const react = reaction(config, regions, status);
  const indicator = has("INDICATOR") ? sharedIndicator(config.settings) : undefined;
  const note = (channel: string, state: ChannelState) =>
    indicator?.channel(`${key} ${channel}`, state);
  for (const channel of config.channels) note(channel, "new");
  try {
    const client = connect({
      url: config.url,
      park: has("STAY") || has("SYSTEM") ? false : PARK_MINUTES,
    });
    publishThrough(client, config.channels);
    client.onStatus((change) => {
      tellConnection(targets, config.url, change);
      indicator?.connection(config.url, change);
    });
    client.subscribe(config.channels, {
      events: config.events,
      from: has("NOW") ? "live" : "page",
      last: has("LAST") ? Number(config.settings.last ?? 1) : undefined,
      token: tokenOf(config, ajaxIdentifier),
      presence: { join: has("JOIN"), watch: has("WATCH") },
      onMessage(message) {
        if (has("OTHERS") && member(message.payload, SENDER) === senderId()) return;
        react(message);
        fire(config.apexEvent, message);
        if (config.apexEvent !== MESSAGE_EVENT) fire(MESSAGE_EVENT, message);
      },
      onEvent(event) {
        fire(CLIENT_EVENT, event);
      },
      onMembers(channel, members, count, { joined, left, user }) {
        fire(MEMBERS_EVENT, { channel, members, count, joined, left, user });
      },
      onSubscribed(channel, recovered) {
        note(channel, "subscribed");
        status({ state: recovered ? "subscribed" : "gap", channel });
        if (!recovered && config.refreshAfterGap) regions.ask();
      },
      onSuspended(channel, code) {
        note(channel, "suspended");
        status({ state: "token", channel, code });
      },
      onDenied(channel, code, message) {
        note(channel, "denied");
        apex.debug.error("rtm: channel refused:", channel, code, message);
        status({ state: "denied", channel, code, message });
      },
    });
  } catch (error) {
    apex.debug.error("rtm: the Listener could not start:", error);
    status({ state: "stopped", code: "configuration", message: String(error) });
  }
}
