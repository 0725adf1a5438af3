/** The verbs of the `rtm` command and their flags. docs/cli.md is kept equal to it by a test. */
import { Command, Option } from "commander";
import { createLogger, LOG_LEVELS, type LogLevel } from "../common/logger.ts";
import {
  DEFAULT_URL,
  entryNumber,
  messageNumber,
  nodeNumber,
  oneOf,
  portNumber,
  positiveDuration,
  relayBaseUrl,
  urlOption,
} from "./arguments.ts";
import { EXIT } from "./exit.ts";
import { ROLE_NAMES, ROLES, type Role } from "./roles.ts";
import { VERSION } from "./version.ts";

const ROLE_DESCRIPTIONS: Readonly<Record<Role, string>> = {
  serve: "worker and relay in one process",
  worker: "the worker alone; it posts to worker.publishUrl",
  relay: "the relay alone",
};

/** Where `rtm top` looks for the admin listener: the defaults of service.admin. */
const DEFAULT_ADMIN_URL = "http://127.0.0.1:3001";

/** These write their log there, and nothing else (common/log-output.ts). */
const SERVICES = new Set(["serve", "worker", "relay"]);

function endAtClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code === "EPIPE") process.exit(EXIT.ok);
  // A full disk, say.
  process.stderr.write(`rtm: standard output cannot be written: ${error.message}\n`);
  process.exit(EXIT.failed);
}

function endSilently(): void {
  process.exit(EXIT.failed);
}

/** A command that reads the configuration. */
function configured(parent: Command, name: string, description: string): Command {
  return parent
    .command(name)
    .description(description)
    .option("-c, --config <file>", "configuration file (docs/configuration.md)");
}

/** Aborted by SIGINT or SIGTERM. */
function untilStopped(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => stop.abort());
  return stop.signal;
}

function addServices(rtm: Command): void {
  for (const role of ROLE_NAMES) {
    configured(rtm, role, ROLE_DESCRIPTIONS[role]).action(async ({ config }) => {
      const { runService } = await import("./service/run.ts");
      process.exit(await runService(config, ROLES[role]));
    });
  }
}

function addDemo(rtm: Command): void {
  rtm
    .command("demo")
    .description("everything on this machine, with an emulator instead of a database")
    .option("-p, --port <port>", "port of the page; 0 lets the system choose", portNumber, 3000)
    .option("--profile <profile>", "what the emulator imitates", oneOf(["19c", "23ai"]), "23ai")
    .option("--no-feed", "no orders until a button is pressed")
    .option(
      "--nodes <n>",
      "nodes on one log, each a process; more than one needs valkey-server or redis-server",
      nodeNumber,
      1,
    )
    .option("--log-level <level>", "least severe level that is logged", oneOf(LOG_LEVELS), "error")
    .action(async ({ port, profile, feed, nodes, logLevel }) => {
      const { runDemo } = await import("./demo/run.ts");
      const log = createLogger(logLevel as LogLevel);
      process.exit(await runDemo({ port, profile, feed, nodes, log }));
    });
}

function addSetUp(rtm: Command): void {
  configured(rtm, "check-config", "reports every problem of the configuration")
    .option("--role <role>", "also what this command needs", oneOf(ROLE_NAMES))
    .option("--sample", "prints a file to start from instead")
    .action(async ({ config, ...options }) => {
      const { checkConfig } = await import("./check-config.ts");
      checkConfig(config, options);
    });

  rtm
    .command("init")
    .description("writes a first configuration and new secrets; never changes a file that exists")
    .option("-d, --dir <directory>", "where; default /etc/apex-rtm")
    .option("--root <directory>", "of an image that is being built; --dir is below it")
    .action(async (options) => {
      const { init } = await import("./init.ts");
      init(options);
    });

  configured(rtm, "doctor", "checks everything between the database and a page, one line each")
    .option("--probe", "sends one message on the channel rtm:probe and waits for it")
    .option("--timeout <duration>", "how long --probe waits; default 30s", positiveDuration)
    .addOption(urlOption("the relay; default worker.publishUrl, else relay.host and port"))
    .option("--token-file <file>", "token for --probe; default RTM_TOKEN, else one is made")
    .option("--json", "prints one JSON object instead of lines")
    .action(async (options) => {
      const { doctor } = await import("./doctor/doctor.ts");
      process.exitCode = await doctor(options);
    });
}

function addDatabase(rtm: Command): void {
  const db = rtm.command("db").description("installs, removes and shows the database side");
  for (const [verb, description] of [
    ["install", "installs or upgrades; rows stay"],
    ["uninstall", "drops everything of ours, rows and waiting messages too"],
    ["status", "shows what is installed"],
  ] as const) {
    const command = configured(db, verb, description)
      .option("--user <owner>", "schema of the database side; default database.user")
      .option("--password-file <file>", "file with its password, or - for standard input")
      .action(async (options) => {
        const { databaseVerb } = await import("./db/verb.ts");
        await databaseVerb(verb, options);
      });
    if (verb === "uninstall") command.requiredOption("--yes", "needed: nothing is asked");
    if (verb === "status") command.option("--json", "prints one JSON object instead of lines");
  }
  configured(db, "verify", "proves what is installed, in transactions of its own")
    .option("--user <owner>", "schema of the database side; default database.user")
    .option("--password-file <file>", "file with its password, or - for standard input")
    .option("--dry-run", "lists what it would create, and does nothing")
    .option("--report <file>", "where the report goes; default rtm-verify-<time>.md")
    .action(async (options) => {
      const { databaseVerify } = await import("./db/verb.ts");
      process.exitCode = await databaseVerify(options);
    });
}

function addMessages(rtm: Command): void {
  rtm
    .command("publish")
    .description("posts one message to a relay; the API key comes from RTM_API_KEY or a file")
    .argument("<channel>")
    .argument("<payload>", "JSON text, or - for standard input")
    .addOption(urlOption("the relay", DEFAULT_URL))
    .option("-e, --event <name>", "event name", "message")
    .option("--key-file <file>", "file that holds the API key")
    .action(async (channel, payload, options) => {
      const { publish } = await import("./publish.ts");
      await publish(channel, payload, options);
    });

  rtm
    .command("tail")
    .description("prints messages as JSON lines; the token comes from RTM_TOKEN or a file")
    .argument("<channel...>")
    .addOption(urlOption("the relay", DEFAULT_URL))
    .option("--token-file <file>", "file that holds a token")
    .option("-n, --count <messages>", "ends after so many messages", messageNumber)
    .action(async (channels, options) => {
      const { tail } = await import("./tail.ts");
      await tail(channels, options, untilStopped());
    });
}

function addTop(rtm: Command): void {
  rtm
    .command("top")
    .description("shows queues, pages and channels, live, from the admin listener")
    .addOption(
      new Option("-u, --url <url>", "the admin listener")
        .env("RTM_ADMIN_URL")
        .default(DEFAULT_ADMIN_URL)
        .argParser(relayBaseUrl),
    )
    .option("--token-file <file>", "the console's token; default RTM_CONSOLE_TOKEN")
    .option("--once", "prints one moment and ends")
    .option("--json", "prints JSON lines instead of a screen")
    .action(async (options) => {
      const { top } = await import("./top/top.ts");
      await top(options, untilStopped());
    });
}

/** A command that asks a relay by REST. */
function managing(rtm: Command, name: string, description: string): Command {
  return rtm
    .command(name)
    .description(description)
    .addOption(urlOption("the relay", DEFAULT_URL))
    .option("--key-file <file>", "file that holds the API key; default RTM_API_KEY")
    .option("--json", "prints the relay's answer");
}

function whom(command: Command): Command {
  return command
    .option("--user <name>", "whoever's tokens have this sub, exactly")
    .option("--sid <session>", "tokens with this claim sid")
    .option("--jti <id>", "the token with this claim jti");
}

function addManagement(rtm: Command): void {
  whom(managing(rtm, "revoke", "ends the tokens of a user or session, or one token"))
    .option("--channel <name>", "takes this channel only")
    .action(async (options) => {
      const { revoke } = await import("./manage.ts");
      await revoke(options);
    });
  whom(managing(rtm, "disconnect", "closes connections; their tokens stay good"))
    .option("--stop", "tells the clients not to come back")
    .action(async (options) => {
      const { disconnect } = await import("./manage.ts");
      await disconnect(options);
    });
  managing(
    rtm,
    "channels",
    "lists channels: name, subscribers, messages in the history, last number, last values",
  )
    .option("--prefix <text>", "only names that begin so")
    .option("--after <name>", "goes on behind this name")
    .option("-n, --limit <channels>", "at most so many; default 100, up to 1000", entryNumber)
    .action(async (options) => {
      const { channels } = await import("./manage.ts");
      await channels(options);
    });
  managing(rtm, "history", "prints the messages that a relay remembers, as JSON lines")
    .argument("<channel>")
    .option("--since <position>", "behind <epoch>:<seq>; default the newest")
    .option("-n, --limit <messages>", "at most so many; default 100, up to 1000", entryNumber)
    .action(async (channel, options) => {
      const { history } = await import("./manage.ts");
      await history(channel, options);
    });
  managing(rtm, "members", "lists who is present in a channel: user, connections")
    .argument("<channel>")
    .option("--after <user>", "goes on behind this user")
    .option("-n, --limit <members>", "at most so many; default 100, up to 1000", entryNumber)
    .action(async (channel, options) => {
      const { members } = await import("./manage.ts");
      await members(channel, options);
    });
}

function addTokens(rtm: Command): void {
  const token = rtm.command("token").description("makes and explains tokens");
  configured(token, "mint", "prints a token signed with a secret of relay.tokens.secrets")
    .argument("<channel...>", "names, or prefixes with a trailing *")
    .requiredOption("-s, --sub <name>", "whose token it is")
    .option(
      "-l, --lifetime <duration>",
      "such as 15m; default relay.tokens.lifetime",
      positiveDuration,
    )
    .option("-k, --kid <kid>", "which secret signs; default the last one of the list")
    .action(async (channels, options) => {
      const { mint } = await import("./token.ts");
      await mint(channels, options);
    });
  configured(token, "explain", "shows a token's claims and whether the relay takes it")
    .option("--token-file <file>", "file that holds it; default RTM_TOKEN, else standard input")
    .action(async (options) => {
      const { explain } = await import("./token.ts");
      process.exitCode = await explain(options);
    });
}

/** All of it. Modules are loaded when their command runs: `rtm publish` needs no database driver. */
export function program(): Command {
  const rtm = new Command("rtm")
    .description("Real-time messaging for Oracle APEX, pushed by the database")
    .version(VERSION)
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError("(rtm --help, or rtm <command> --help)");
  // `rtm tail sales | head -1`: who has read enough closes the pipe.
  rtm.hook("preAction", (_program, command) => {
    if (SERVICES.has(command.name())) return;
    process.stdout.off("error", endAtClosedPipe).on("error", endAtClosedPipe);
    // `2>&1`, or its reader went first. There is nowhere left to say it.
    process.stderr.off("error", endSilently).on("error", endSilently);
  });
  // In this order the help lists them.
  addServices(rtm);
  addDemo(rtm);
  addSetUp(rtm);
  addDatabase(rtm);
  addMessages(rtm);
  addTop(rtm);
  addManagement(rtm);
  addTokens(rtm);
  return rtm;
}
