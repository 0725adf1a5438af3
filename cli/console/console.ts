/** The console below `/console/` of the admin listener: its page, and what the page asks for. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { hostname } from "node:os";
import { join } from "node:path";
import express, { type NextFunction, type Request, type Response, type Router } from "express";
import { z } from "zod";
import { messageOf, RtmError } from "../../common/errors.ts";
import { issueTexts } from "../../common/issue.ts";
import { type Logger, RateLimitedLog } from "../../common/logger.ts";
import { textWithout } from "../../common/schema.ts";
import { nameProblem } from "../../relay/contract/message.ts";
import type { RtmConfig } from "../config.ts";
import { CommandError } from "../exit.ts";
import { type Roles, roleName } from "../roles.ts";
import { PACKAGE_ROOT, VERSION } from "../version.ts";
import { briefly, QueueAside } from "./aside.ts";
import type { Access, AccessInfo, Problem } from "./contract.ts";
import { EventStream } from "./event-stream.ts";
import { runLiveTail } from "./live-tail.ts";
import { Sampler, type Sources } from "./sampler.ts";
import { ConsoleAccess, readConsoleToken } from "./sign-in.ts";
import { type Greeting, Viewers } from "./viewers.ts";

const PAGE = join(PACKAGE_ROOT, "build/cli/console/page");
/** Streams at a time: the admin listener accepts 32 sockets, and others need some. */
const MOST_STREAMS = 16;
/** A header that a page of another site cannot send without asking first, which nothing here answers. */
const OWN_HEADER = "x-rtm-console";

const HEADERS = {
  // No inline script, no inline style, no HTML made from text, not inside of other pages.
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
    "require-trusted-types-for 'script'; trusted-types 'none'",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "cache-control": "no-store",
} as const;

export interface ConsoleOptions {
  readonly config: RtmConfig;
  readonly roles: Roles;
  readonly sources: Sources;
  /** Of the poison file; undefined where there is none. */
  readonly poisonDirectory: string | undefined;
  readonly log: Logger;
}

const TOKEN = "must be the text of service.console.tokenFile";
const MESSAGE_ID = "must be 32 hexadecimal digits, as GET aside lists them";
/** @param shape of the body of a POST */
const body = <T extends z.core.$ZodShape>(shape: T) =>
  z.strictObject(shape, {
    error: ({ code }) =>
      code === "invalid_type"
        ? "must be a JSON object, with content-type: application/json"
        : undefined,
  });
const signInBody = body({ token: z.string(TOKEN).min(1, TOKEN).max(1024, TOKEN) });
const requeueBody = body({
  messageId: z.string(MESSAGE_ID).regex(/^[0-9a-f]{32}$/i, MESSAGE_ID),
});
const tailQuery = z.object({
  channel: textWithout(nameProblem, "must be given once, as in tail?channel=sales"),
});

/** By status. */
const WRONG_BODY: Readonly<Record<number, string>> = {
  400: "the body: must be JSON",
  413: "the body: must not be longer than 4 KiB",
  415: "the body: must be UTF-8, plain or compressed by gzip",
};

/** What is refused, with its status. */
class Refusal extends RtmError {
  readonly status: number;

  constructor(status: number, code: string, message: string) {
    super(code, message);
    this.status = status;
  }
}

export class Console {
  readonly router: Router;
  readonly #options: ConsoleOptions;
  readonly #access: ConsoleAccess;
  /** Undefined without a database. */
  readonly #queueAside: QueueAside | undefined;
  readonly #viewers: Viewers;
  readonly #warnings: RateLimitedLog;
  readonly #streams = new Set<EventStream>();

  /** @throws {ConfigError} its token cannot be read */
  constructor(options: ConsoleOptions) {
    this.#options = options;
    const { config, roles, poisonDirectory } = options;
    const log = options.log.child({ component: "console" });
    this.#access = new ConsoleAccess(readConsoleToken(config.service.console.tokenFile));
    this.#queueAside = roles.worker
      ? new QueueAside({ config, stateDirectory: poisonDirectory, log })
      : undefined;
    this.#warnings = new RateLimitedLog(log);
    this.#viewers = new Viewers(new Sampler(options.sources), log);
    this.router = this.#routes();
  }

  /** Takes over a token; another one ends all sign-ins. */
  useToken(token: string | undefined): void {
    this.#access.use(token);
  }

  /** Ends what is open. */
  close(): void {
    for (const stream of this.#streams) stream.end();
  }

  #routes(): Router {
    const router = express.Router();
    router.use((_request, response, next) => {
      response.set(HEADERS);
      next();
    });
    const api = express.Router();
    api.use(refuseOtherSites);
    api.get("/access", (request, response) => {
      const { tokenConfigured } = this.#access;
      const access = this.#access.of(request);
      response.json({ access, tokenConfigured } satisfies AccessInfo);
    });
    const readBody = express.json({ limit: "4kb" });
    api.post("/sign-in", readBody, (request, response) => this.#signIn(request, response));
    api.post("/sign-out", (request, response) => {
      response.set("set-cookie", this.#access.signOut(request)).json({});
    });
    api.get("/events", this.#for("read"), (request, response) => this.#watch(request, response));
    api.get("/tail", this.#for("read"), (request, response) => this.#tail(request, response));
    api.get("/aside", this.#for("read"), async (_request, response) => {
      response.json(await this.#aside().list());
    });
    api.post("/requeue", this.#for("full"), readBody, async (request, response) => {
      const { messageId } = parsed(requeueBody, request.body);
      response.json(await this.#aside().requeue(messageId));
    });
    api.use((request) => {
      throw new Refusal(404, "not_found", `there is no ${request.method} ${request.path}`);
    });
    api.use(this.#problem);
    router.use("/api", api);
    router.use(express.static(PAGE, { cacheControl: false, etag: false }));
    return router;
  }

  /** Lets through who has at least this access. */
  #for(needed: Exclude<Access, "none">) {
    return (request: Request, _response: Response, next: NextFunction) => {
      const access = this.#access.of(request);
      const { tokenConfigured } = this.#access;
      if (access === "full" || access === needed) return next();
      if (access === "read") {
        throw new Refusal(403, "sign_in", "where a token is configured, acting needs it: sign in");
      }
      throw new Refusal(
        401,
        tokenConfigured ? "sign_in" : "no_token",
        tokenConfigured
          ? "sign in with the token of service.console.tokenFile"
          : "only this host may look: set service.console.tokenFile, or use an SSH tunnel",
      );
    };
  }

  #signIn(request: Request, response: Response): void {
    const { token } = parsed(signInBody, request.body);
    const secure = request.headers["x-forwarded-proto"] === "https";
    const result = this.#access.signIn(token, secure);
    if (result.outcome === "accepted") {
      response.set("set-cookie", result.cookie).json({});
      return;
    }
    const address = request.socket.remoteAddress;
    this.#warnings.warn("sign-in", { address, outcome: result.outcome }, "console sign-in refused");
    if (result.outcome === "too_many") {
      throw new Refusal(429, "too_many", "too many wrong tokens: wait a minute");
    }
    throw result.outcome === "wrong"
      ? new Refusal(401, "wrong_token", "this is not the token")
      : new Refusal(401, "no_token", "no token is configured: service.console.tokenFile");
  }

  #aside(): QueueAside {
    const aside = this.#queueAside;
    if (!aside) throw new Refusal(404, "no_database", "this process has no database");
    return aside;
  }

  #stream(response: ServerResponse): EventStream {
    if (this.#streams.size >= MOST_STREAMS) {
      throw new Refusal(503, "too_many", `${MOST_STREAMS} look on already`);
    }
    const stream = new EventStream(response);
    this.#streams.add(stream);
    stream.onEnd(() => this.#streams.delete(stream));
    return stream;
  }

  #mayView(request: IncomingMessage): () => boolean {
    return () => this.#access.of(request) !== "none";
  }

  #watch(request: Request, response: Response): void {
    const { config, roles } = this.#options;
    const { limits, slowClients } = config.relay;
    const greeting: Greeting = {
      version: VERSION,
      node: process.versions.node,
      host: hostname(),
      role: roleName(roles),
      pid: process.pid,
      startedAt: Math.round(performance.timeOrigin),
      access: this.#access.of(request),
      payloads: config.service.console.payloads,
      database: this.#queueAside !== undefined,
      limits: { connections: limits.connections, heldBytes: slowClients.totalBytes },
    };
    this.#viewers.add(this.#stream(response), greeting, this.#mayView(request));
  }

  #tail(request: Request, response: Response): void {
    const { channel } = parsed(tailQuery, request.query);
    const { inspection } = this.#options.sources;
    if (!inspection()) throw new Refusal(404, "no_relay", "this process has no relay");
    const { payloads } = this.#options.config.service.console;
    const mayView = this.#mayView(request);
    runLiveTail(this.#stream(response), { channel, payloads, inspection, mayView });
  }

  readonly #problem = (
    error: unknown,
    _request: Request,
    response: Response,
    // Express knows a handler of errors by its four parameters.
    _next: NextFunction,
  ): void => {
    if (response.headersSent) {
      response.destroy();
      return;
    }
    const answer = (status: number, code: string, message: string) =>
      response.status(status).json({ code, message } satisfies Problem);
    const { status: given } = error as { status?: unknown };
    if (error instanceof Refusal) answer(error.status, error.code, error.message);
    // Nothing is broken: it cannot be done as things are.
    else if (error instanceof CommandError) answer(409, "refused", error.message);
    // express.json, whose own words quote the body.
    else if (typeof given === "number") {
      answer(given, "bad_request", WRONG_BODY[given] ?? messageOf(error));
    } else {
      const code = (error as { code?: string }).code ?? "failed";
      this.#warnings.warn(code, { err: error }, "the console could not do what it was asked for");
      answer(502, code, briefly(error));
    }
  };
}

/** @throws {Refusal} 400, with what is wrong */
function parsed<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new Refusal(400, "bad_request", issueTexts(result.error.issues, "the body").join("; "));
}

/**
 * Keeps pages of other sites from making a browser ask: it would do so as this host, or with the cookie.
 * What acts or costs something needs a header of ours; a stream, which can have none, is told by the
 * browser's own Sec-Fetch-Site where it sends that.
 */
function refuseOtherSites(request: Request, _response: Response, next: NextFunction): void {
  const site = request.headers["sec-fetch-site"];
  if (site !== undefined && site !== "same-origin" && site !== "none") {
    throw new Refusal(403, "other_site", "a page of another site has asked for it");
  }
  const isStream = request.method === "GET" && /^\/(events|tail)$/.test(request.path);
  if (!isStream && request.headers[OWN_HEADER] === undefined) {
    throw new Refusal(403, "header_missing", `the header ${OWN_HEADER}: 1 is needed`);
  }
  next();
}
