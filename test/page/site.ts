/**
 * The application server of the page tests: renders pages as APEX would (scripts of the exports,
 * a nonce for the one inline script, a strict policy) and stands in for the plug-ins' PL/SQL, of
 * which it follows listener.sql and broadcast-da.sql. The scripts in the page are the ones that
 * the exports in dist/ embed.
 */
import { randomBytes, randomUUID } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createRequire } from "node:module";
import { type AddressInfo, connect, type Socket } from "node:net";
import { build } from "esbuild";
import { sessionClaim } from "../../emulator/schema/rtm-control.ts";
import { userChannel } from "../../emulator/schema/rtm-schema.ts";
import { signJwt } from "../../relay/access/jwt.ts";
import { embeddedFiles } from "../apex/reader.ts";
import type { RegionKind } from "./browser/regions-double.ts";
import { PresenceServer, type Session } from "./presence-server.ts";
import { SECRET, type Stack } from "./stack.ts";

const DIST = "apex-plugins/dist";
const SCRIPTS = {
  "/rtm-listener.js": ["dynamic_action_plugin_rtm_listener_da.sql", "js/rtm-listener.min.js"],
  "/rtm-listener.css": ["dynamic_action_plugin_rtm_listener_da.sql", "css/rtm-listener.min.css"],
  "/rtm-presence.js": ["region_type_plugin_rtm_presence_region.sql", "js/rtm-presence.min.js"],
  "/rtm-presence.css": ["region_type_plugin_rtm_presence_region.sql", "css/rtm-presence.min.css"],
  "/rtm-more.js": ["dynamic_action_plugin_rtm_listener_da.sql", "js/rtm-more.min.js"],
  "/rtm-broadcast.js": ["dynamic_action_plugin_rtm_broadcast_da.sql", "js/rtm-broadcast.min.js"],
} as const;

/** As APEX answers instead of JSON when the session is gone: its login page. */
const LOGIN_PAGE = `<!doctype html><html><form><input type="hidden" name="p_flow_id" value="100"
id="pFlowId"><h1>Log in</h1></form></html>`;

/** Answers to a renewal that say nothing about the session. */
const TROUBLE = {
  "ORA-04068": [200, "application/json", '{"error":"ORA-04068: existing state of packages"}'],
  incident: [200, "application/json", '{"error":"Contact your administrator. Incident 7"}'],
  "proxy page": [200, "text/html", "<!doctype html><html><h1>We will be back</h1></html>"],
  "503": [503, "text/html", "<html><h1>Service Unavailable</h1></html>"],
  "not made": [200, "application/json", '{"code":"token_not_made"}'],
} as const;

export type Attributes = Readonly<Record<number, string>>;

export type ActionSpec = (
  | { readonly listener: Attributes }
  | { readonly broadcast: Attributes }
  /** Native "Execute JavaScript Code": the body of a function. */
  | { readonly script: string }
) & {
  readonly wait?: boolean;
  readonly stopOnError?: boolean;
  readonly affected?: string;
};

export interface DynamicActionSpec {
  /** `ready` is Page Load. */
  readonly event: string;
  readonly on?: string;
  readonly actions: readonly ActionSpec[];
}

export type { RegionKind };

export interface RegionSpec {
  readonly id: string;
  readonly kind: RegionKind;
  /** Primary keys of the rows; without them the region's model has no identity. */
  readonly keys?: readonly string[];
}

export interface PageSpec {
  readonly items?: readonly string[];
  readonly displayOnly?: readonly string[];
  readonly buttons?: readonly string[];
  /** A text is a report region with that id. */
  readonly regions?: readonly (string | RegionSpec)[];
  readonly actions: readonly DynamicActionSpec[];
  /** Attributes of a presence region with the id PEOPLE. */
  readonly presence?: Attributes;
  /** False: no policy at all. Without `relay` the page may not connect to it. Default strict. */
  readonly policy?: false | "without relay";
  /** More body text, and a stylesheet or script by path. */
  readonly body?: string;
  readonly head?: string;
}

interface Registered {
  readonly kind: "listener" | "broadcast";
  readonly attributes: Attributes;
}

function optionsOf(attributes: Attributes): string[] {
  return (attributes[13] ?? "").split(":").filter(Boolean);
}

export class Site {
  readonly #server: Server;
  readonly #double: string;
  readonly #pages = new Map<string, PageSpec>();
  readonly #actions = new Map<string, Registered>();
  readonly #files = new Map<string, Buffer>();
  /** Presence regions as rendered, and for whom; by AJAX identifier. */
  readonly #presence = new Map<
    string,
    { readonly server: PresenceServer; readonly user: string }
  >();
  readonly #upgraded = new Set<Socket>();
  #stack: Stack | undefined;
  /** The APEX session: false once it has ended. */
  alive: boolean | "login page" = true;
  /** What a renewal meets instead of our callback, while the session lives. */
  trouble: "ORA-04068" | "incident" | "proxy page" | "503" | "not made" | undefined;
  /** Whether there is APEX_SESSION.EMIT_TIMEOUTS. */
  timeouts = true;
  /** The collection RTM_LISTENERS: what was granted, by the number that a page is given. */
  readonly #grants: Attributes[] = [];
  /** Who is logged in when a page is rendered. */
  user = "SCOTT";
  secret = SECRET;
  tokenLifetimeMs = 900_000;
  /** Channels the installation's authorization function refuses. */
  readonly refused = new Set<string>();
  /** Channels for which it says no to SEND only. */
  readonly mute = new Set<string>();
  /** Whether the presence plug-in's component settings name that function. */
  presenceFunction = false;
  /** Number of the APEX session that pages are rendered in; undefined: tokens name none. */
  session: number | undefined;
  /** Session state. */
  readonly state = new Map<string, string>();
  /** Kinds of AJAX calls, in order. */
  readonly ajaxCalls: string[] = [];
  /** Awaited before a plug-in script is answered: the page is rendered, but does not run yet. */
  beforeScript: () => Promise<void> = async () => {};
  /** Content of a region; when it throws, the region's refresh fails. */
  region: (id: string) => string | Promise<string> = () => "";
  /** Whether the next broadcasts fail, in their order. */
  readonly failing: boolean[] = [];
  /** When set, a broadcast fails with this text. */
  broadcastError: string | undefined;

  private constructor(double: string) {
    this.#double = double;
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch((error) => {
        response.writeHead(500).end(String(error));
      });
    });
    this.#server.on("upgrade", (request, socket) => this.#proxy(request, socket as Socket));
  }

  static async start(): Promise<Site> {
    const { outputFiles } = await build({
      entryPoints: ["test/page/browser/apex-double.ts"],
      bundle: true,
      write: false,
      format: "iife",
      target: "es2022",
    });
    const site = new Site(outputFiles[0]!.text);
    site.#server.listen(0, "127.0.0.1");
    await once(site.#server, "listening");
    return site;
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The database that broadcasts go to. */
  use(stack: Stack): void {
    this.#stack = stack;
  }

  /** Adds a page; returns its address. */
  page(spec: PageSpec): string {
    const path = `/page/${this.#pages.size + 1}`;
    this.#pages.set(path, spec);
    return this.origin + path;
  }

  /** Adds a file; returns its path. */
  file(path: string, content: string | Buffer): string {
    this.#files.set(path, Buffer.from(content));
    return path;
  }

  async close(): Promise<void> {
    for (const socket of this.#upgraded) socket.destroy();
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? "/", this.origin);
    const page = this.#pages.get(pathname);
    if (page) return this.#render(page, response);
    if (pathname.endsWith("/apex_session.emit_timeouts")) return this.#timeouts(response);
    if (pathname === "/ajax") return this.#ajax(request, response);
    if (pathname === "/region") {
      try {
        response.end(await this.region(searchParams.get("id") ?? ""));
      } catch (error) {
        response.writeHead(500).end(String(error));
      }
      return;
    }
    const content = await this.#static(pathname);
    if (content === undefined) {
      response.writeHead(404).end();
      return;
    }
    const type = pathname.endsWith(".css") ? "text/css" : "text/javascript";
    response.writeHead(200, { "content-type": type }).end(content);
  }

  #timeouts(response: ServerResponse): void {
    if (!this.timeouts) {
      response.writeHead(404).end("<h1>Not found</h1>");
      return;
    }
    const left = this.alive === true ? 3_600_000 : 0;
    response
      .writeHead(200, { "content-type": "application/json" })
      .end(JSON.stringify({ idle_time_ms: left, life_time_ms: left, max_idle_time_ms: 3_600_000 }));
  }

  async #static(pathname: string): Promise<Buffer | undefined> {
    const added = this.#files.get(pathname);
    if (added) return added;
    if (pathname === "/jquery.js") {
      return readFileSync(createRequire(import.meta.url).resolve("jquery/dist/jquery.min.js"));
    }
    if (pathname === "/apex.js") return Buffer.from(this.#double);
    const script = SCRIPTS[pathname as keyof typeof SCRIPTS];
    if (!script) return undefined;
    await this.beforeScript();
    const [file, name] = script;
    return embeddedFiles(readFileSync(`${DIST}/${file}`, "utf8")).get(name);
  }

  async #render(page: PageSpec, response: ServerResponse): Promise<void> {
    const nonce = randomBytes(12).toString("base64");
    const relay = page.policy === "without relay" ? "" : ` ws://127.0.0.1:${this.#stack?.port}`;
    const policy =
      `default-src 'self'; script-src 'self' 'nonce-${nonce}'; style-src 'self'; ` +
      `connect-src 'self'${relay}; img-src 'self' data:; object-src 'none'; base-uri 'none'`;
    const lists = await Promise.all(page.actions.map((action) => this.#dynamicAction(action)));
    const { items = [], displayOnly = [], buttons = [], regions = [], presence } = page;
    const people = presence === undefined ? undefined : this.#renderPresence(presence);
    const html = `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>page</title>
<script src="/jquery.js"></script><script src="/apex.js"></script>
<link rel="stylesheet" href="/rtm-listener.css">
<script src="/rtm-listener.js"></script><script src="/rtm-broadcast.js"></script>
${people ? '<link rel="stylesheet" href="/rtm-presence.css"><script src="/rtm-presence.js"></script>' : ""}
${page.head ?? ""}
<script nonce="${nonce}">window.pageActions=[${lists.join(",\n")}];
${people?.onload ?? ""}</script>
</head><body>
<div id="APEX_SUCCESS_MESSAGE"></div><div id="APEX_ERROR_MESSAGE"></div>
${items.map((id) => `<input id="${id}" name="${id}" data-item>`).join("\n")}
${displayOnly.map((id) => `<span id="${id}_DISPLAY"></span><input type="hidden" id="${id}" data-item>`).join("\n")}
${buttons.map((id) => `<button type="button" id="${id}">${id}</button>`).join("\n")}
${people?.html ?? ""}
${regions.map(regionHtml).join("\n")}
${this.#session(this.user).substituted(page.body ?? "")}
</body></html>`;
    response.writeHead(200, {
      "content-type": "text/html; charset=utf-8",
      ...(page.policy === false ? {} : { "content-security-policy": policy }),
    });
    response.end(html);
  }

  #session(user: string): Session {
    return {
      user,
      url: this.#stack?.url ?? "",
      secret: this.secret,
      lifetimeMs: this.tokenLifetimeMs,
      allows: this.presenceFunction ? (channel) => !this.refused.has(channel) : undefined,
      substituted: (text) =>
        text.replace(/&(\w+)\./g, (_, name) =>
          name === "APP_USER" ? user : (this.state.get(name) ?? ""),
        ),
    };
  }

  /** rtm_presence_render of presence-region.sql. */
  #renderPresence(attributes: Attributes): { html: string; onload: string } {
    const id = `presence${this.#presence.size + 1}`;
    const { user } = this;
    const server = new PresenceServer(attributes);
    this.#presence.set(id, { server, user });
    const configuration = literal(JSON.stringify(server.configuration(this.#session(user))));
    return {
      html: '<div id="PEOPLE" class="js-apex-region" role="region" aria-label="People"><div class="rtm-Presence" id="rtm_presence_1"></div></div>',
      onload: `jQuery(()=>rtm.presence("rtm_presence_1",${configuration},"${id}"));`,
    };
  }

  async #dynamicAction({ event, on, actions }: DynamicActionSpec): Promise<string> {
    const list = await Promise.all(actions.map((action) => this.#action(action)));
    const selector = on === undefined ? "" : `selector:${JSON.stringify(on)},`;
    return `{event:${JSON.stringify(event)},${selector}actions:[${list.join(",")}]}`;
  }

  async #action(action: ActionSpec): Promise<string> {
    const common = [
      `waitForResult:${action.wait ?? false}`,
      `stopExecutionOnError:${action.stopOnError ?? false}`,
      action.affected === undefined ? "" : `affectedElements:${JSON.stringify(action.affected)}`,
    ].filter(Boolean);
    if ("script" in action) {
      return `{name:"script",javascriptFunction:function(){${action.script}},${common}}`;
    }
    const kind = "listener" in action ? "listener" : "broadcast";
    const attributes = "listener" in action ? action.listener : action.broadcast;
    const id = `id${this.#actions.size + 1}`;
    this.#actions.set(id, { kind, attributes });
    const rendered =
      kind === "listener" ? await this.#renderListener(attributes) : renderBroadcast(attributes);
    const attribute01 = literal(JSON.stringify(rendered.configuration));
    return `{name:${JSON.stringify(kind)},javascriptFunction:${rendered.fn},attribute01:${attribute01},ajaxIdentifier:${JSON.stringify(id)},${common}}`;
  }

  /** The list is split first; then `&ITEM.` and `#USER#` are replaced, and none may be empty. */
  #channels(names: string): string[] {
    return list(names).flatMap((name) => {
      const empty = [...name.matchAll(/&(\w+)\./g)].some(([, item]) => !this.state.get(item!));
      if (empty || (name === "#USER#" && this.user === "nobody")) return [];
      if (name === "#USER#") return [userChannel(this.user)];
      return [this.#session(this.user).substituted(name)];
    });
  }

  async #token(attributes: Attributes, grants: readonly string[] = []) {
    const noted = grants.flatMap((number): Attributes[] => {
      const grant = this.#grants[Number(number)];
      return grant ? [grant] : [];
    });
    const channelsOf = (option?: string) => {
      const all = [attributes, ...noted].filter(
        (each) => option === undefined || optionsOf(each).includes(option),
      );
      const names = new Set(all.flatMap((each) => this.#channels(each[2] ?? "test")));
      return [...names].filter((name) => !this.refused.has(name));
    };
    const channels = channelsOf();
    if (channels.length === 0) return undefined;
    const [join, watch] = [channelsOf("JOIN"), channelsOf("WATCH")];
    const publish = channelsOf("EVENTS").filter((name) => !this.mute.has(name));
    const { member: info } = attributes[15] === undefined ? {} : JSON.parse(attributes[15]);
    const iat = Math.floor(Date.now() / 1000);
    const token = signJwt(
      { kid: "k1" },
      {
        sub: this.user,
        channels,
        ...(this.session === undefined ? {} : { sid: sessionClaim(this.session) }),
        ...(join.length + watch.length > 0 ? { presence: { join, watch, info } } : {}),
        ...(publish.length > 0 ? { publish } : {}),
        // Otherwise two of the same second were one.
        jti: randomUUID(),
        iat,
        exp: iat + Math.ceil(this.tokenLifetimeMs / 1000),
      },
      Buffer.from(this.secret),
    );
    return { token, channels: channels.filter((name) => !name.endsWith("*")) };
  }

  /** rtm_listener_render of listener.sql. */
  async #renderListener(attributes: Attributes) {
    const minted = await this.#token(attributes);
    const fn = "rtm.listen";
    if (!minted) {
      return { fn, configuration: { error: "Channel: you may not listen to any of the channels" } };
    }
    const access = attributes[12] ?? "TOKEN";
    const grant = this.#grants.push(attributes) - 1;
    const { member: _member, ...settings } =
      attributes[15] === undefined ? {} : JSON.parse(attributes[15]);
    const configuration = {
      url: attributes[1] ?? this.#stack?.url,
      channels: minted.channels,
      events: list(attributes[3] ?? "ping"),
      apexEvent: attributes[4] ?? "rtm-message",
      onMessage: attributes[5] || null,
      items: list(attributes[6] ?? ""),
      regions: list(attributes[7] ?? ""),
      text: attributes[8] ?? null,
      throttleMs: Number(attributes[9] ?? 200),
      refreshAfterGap: attributes[10] === "REFRESH",
      fireChange: (attributes[11] ?? "Y") === "Y",
      options: optionsOf(attributes),
      settings,
      ...(access === "PUBLIC"
        ? {}
        : { token: minted.token, renew: true, grant, sessionEnded: "Your session has expired" }),
    };
    return { fn, configuration };
  }

  async #ajax(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = new URLSearchParams(await text(request));
    const action = this.#actions.get(body.get("ajaxIdentifier") ?? "");
    const presence = this.#presence.get(body.get("ajaxIdentifier") ?? "");
    this.ajaxCalls.push(presence ? "presence" : (action?.kind ?? "unknown"));
    for (const [name, value] of body) if (/^P\d+_/.test(name)) this.state.set(name, value);
    if (this.alive === "login page") {
      response.writeHead(200, { "content-type": "text/html" }).end(LOGIN_PAGE);
      return;
    }
    if (this.alive && action?.kind === "listener" && this.trouble) {
      const [status, type, answer] = TROUBLE[this.trouble];
      response.writeHead(status, { "content-type": type }).end(answer);
      return;
    }
    const answer = (value: object) => {
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(value));
    };
    if (!this.alive) answer({ error: "Your session has expired." });
    else if (presence) answer(presence.server.answer(body, this.#session(presence.user)));
    else if (action?.kind === "listener") {
      const minted = await this.#token(action.attributes, body.getAll("f01"));
      answer(minted ? { token: minted.token } : { code: "not_authorized" });
    } else if (action?.kind === "broadcast") {
      const sender = body.get("x01") ?? undefined;
      answer(await this.#broadcast(action.attributes, body.getAll("f01").join(""), sender));
    } else response.writeHead(404).end();
  }

  /** rtm_broadcast_ajax of broadcast-da.sql. */
  async #broadcast(attributes: Attributes, request: string, sender?: string): Promise<object> {
    const { source, items, onError } = broadcastSource(attributes);
    try {
      const failing = this.failing.shift();
      if (this.broadcastError !== undefined || failing) throw new Error(this.broadcastError);
      let payload: unknown = {};
      if (source === "JSON") payload = JSON.parse(attributes[9] ?? "{}");
      else if (source === "SCRIPT") payload = JSON.parse(request);
      else if (items.length > 0) {
        const values: unknown = JSON.parse(request);
        if (!Array.isArray(values) || values.length !== items.length) throw new Error("values");
        payload =
          source === "ITEM"
            ? { itemName: items[0], value: values[0] }
            : Object.fromEntries(items.map((item, index) => [item, values[index]]));
      }
      if (attributes[13] === "Y" && sender && isObject(payload)) {
        payload = { ...payload, rtmSender: sender };
      }
      const channel = this.#session(this.user).substituted(attributes[3] ?? "");
      const retain = attributes[14] === undefined ? {} : { retain: Number(attributes[14]) };
      const message = { channel, eventName: attributes[4] ?? "", payload, ...retain };
      await this.#stack?.transaction([message]);
      return { status: "OK" };
    } catch {
      if (onError === "RAISE") return { error: "The message could not be sent." };
      return { status: onError === "LOG" ? "LOGGED" : "IGNORED" };
    }
  }

  /** What the nginx location of the article does: any path below /ords/ to the plain URL. */
  #proxy(request: IncomingMessage, client: Socket): void {
    const relay = connect(this.#stack?.port ?? 0, "127.0.0.1", () => {
      const headers = request.rawHeaders
        .map((value, index) => (index % 2 === 0 ? `${value}: ` : `${value}\r\n`))
        .join("");
      relay.write(`GET /ws?channel=dashboard&format=payload HTTP/1.1\r\n${headers}\r\n`);
      relay.pipe(client).pipe(relay);
    });
    for (const socket of [relay, client]) {
      this.#upgraded.add(socket);
      socket.on("error", () => socket.destroy());
      socket.on("close", () => {
        relay.destroy();
        client.destroy();
      });
    }
  }
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function regionHtml(region: string | RegionSpec): string {
  const spec: RegionSpec = typeof region === "string" ? { id: region, kind: "report" } : region;
  const { id, kind, keys } = spec;
  const rows = keys === undefined ? "" : ` data-keys="${keys.join(",")}"`;
  return `<div id="${id}" class="js-apex-region" data-kind="${kind}"${rows}></div>`;
}

/** A literal inside a script element: no end tag may appear in it. */
function literal(text: string): string {
  return JSON.stringify(text).replaceAll("<", "\\u003c");
}

function list(value: string): string[] {
  return value
    .split(",")
    .map((entry) => entry.trim())
    .filter(Boolean);
}

function broadcastSource(attributes: Attributes) {
  const source = attributes[7] ?? (attributes[5] === undefined ? "NONE" : "ITEM");
  const items = source === "ITEM" ? [attributes[5] ?? ""] : list(attributes[8] ?? "");
  return { source, items, onError: attributes[6] ?? "RAISE" };
}

/** rtm_broadcast_render of broadcast-da.sql. */
function renderBroadcast(attributes: Attributes) {
  const { source, items, onError } = broadcastSource(attributes);
  const script = attributes[10];
  const configuration = {
    source: source === "JSON" ? "NONE" : source,
    items,
    onError,
    debounceMs: Number(attributes[11] ?? 0),
    throttleMs: Number(attributes[12] ?? 0),
    sender: attributes[13] === "Y",
  };
  const fn =
    source === "SCRIPT"
      ? `function(){return rtm.broadcast.call(this,function(){var value=${script}\n;return value;});}`
      : "rtm.broadcast";
  return { fn, configuration };
}

async function text(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  return Buffer.concat(pieces).toString("utf8");
}
