/** The relay's HTTP server: pages' files, REST, and the upgrade to WebSocket. */
import { createServer, type Server } from "node:http";
import type { Socket } from "node:net";
import express, { type Express } from "express";
import type { LocalPublisher } from "../channels/local-publisher.ts";
import { Admission } from "../clients/admission.ts";
import type { Clients } from "../clients/clients.ts";
import { isWebSocket, Upgrades } from "../clients/upgrade.ts";
import type { Serving } from "../node/serving.ts";
import { apiHandler } from "./api.ts";
import { createBroadcast } from "./broadcast.ts";
import { Intake } from "./intake.ts";
import { createLookups, LOOKUPS } from "./lookup.ts";
import { PublishSockets } from "./publishing/publish-sockets.ts";
import { endAfterBody, pipelineLimit } from "./request-bounds.ts";
import { addFallbacks, addRestRoutes, isBroadcast } from "./routes.ts";
import { Streams } from "./streams.ts";

/** An idle HTTP connection is kept longer than nginx keeps it (60 s), so that nginx closes it. */
const KEEP_ALIVE_MS = 65_000;
/** Time for a whole request with its body, ms. */
const REQUEST_MS = 60_000;

export interface HttpOptions {
  readonly clients: Clients;
  readonly publisher: LocalPublisher;
  readonly serving: Serving;
  readonly isReady: () => boolean;
  /** Directories served under a path. */
  readonly staticPaths: Readonly<Record<string, string>>;
  /** Adds routes of other rooms before the final 404. */
  readonly extend: (app: Express) => void;
}

export interface Http {
  /** Does not listen yet. */
  readonly server: Server;
  readonly upgrades: Upgrades;
  readonly publishSockets: PublishSockets;
}

export function createHttp(options: HttpOptions): Http {
  const { clients, publisher, serving } = options;
  const { config } = clients;
  const app = express();
  app.disable("x-powered-by").disable("etag").disable("query parser");
  app.set("trust proxy", [...config.trustedProxies]);
  const intake = new Intake(publisher, config.limits);
  const broadcast = createBroadcast({ clients, intake, notServing: () => serving.problem });
  const answer = createLookups({ clients, notServing: () => serving.problem });
  const lookups = new Map(
    Object.entries(LOOKUPS).map(([path, lookup]) => [
      path,
      apiHandler(clients, (request, response) => answer(lookup, request, response)),
    ]),
  );
  addRestRoutes(app, { broadcast, lookups, isReady: options.isReady });
  for (const [path, directory] of Object.entries(options.staticPaths)) {
    app.use(path, express.static(directory));
  }
  options.extend(app);
  addFallbacks(app, clients);
  const serverOptions = {
    headersTimeout: config.connectDeadline,
    requestTimeout: Math.max(REQUEST_MS, config.connectDeadline),
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: Math.max(100, Math.floor(config.connectDeadline / 4)),
    shouldUpgradeCallback: isWebSocket,
  };
  const admission = new Admission(clients, serving);
  const upgrades = new Upgrades(clients, admission);
  const publishSockets = new PublishSockets({ clients, intake, serving, upgrades });
  const streams = new Streams(clients, admission);
  const mayAnswer = pipelineLimit((request) =>
    clients.requestRefused("pipelining", request, "a client sent too many requests at once"),
  );
  const server = createServer(serverOptions, (request, response) => {
    if (!mayAnswer(request)) return;
    // Whoever reads a stream, or waits for a poll, has nothing to ask on the same connection.
    if (streams.owns(request.socket)) {
      request.socket.destroy();
      return;
    }
    if (isBroadcast(request)) {
      broadcast(request, response);
      return;
    }
    if (streams.handle(request, response)) return;
    endAfterBody(request, response);
    if (!upgrades.answerWithoutUpgrade(request, response)) app(request, response);
  });
  server.on("upgrade", (request, socket, head) => {
    const ways = publishSockets.wants(request) ? publishSockets : upgrades;
    ways.handle(request, socket, head);
  });
  server.on("clientError", (error, socket) => {
    // An answer would land in the middle of its stream.
    if (streams.owns(socket as Socket)) socket.destroy();
    else upgrades.handleMalformed(error, socket);
  });
  return { server, upgrades, publishSockets };
}
