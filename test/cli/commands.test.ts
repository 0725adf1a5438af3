/** The built `rtm` as a user runs it: exit codes, messages, publish and tail. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { oneLine } from "../../cli/tail.ts";
import { type Program, rtm as start } from "../support/programs.ts";

let directory: string;
const processes: Program[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "rtm-cli-"));
});

afterEach(async () => {
  for (const each of processes.splice(0)) {
    each.kill("SIGKILL");
    await each.exited;
  }
  await rm(directory, { recursive: true });
});

function rtm(args: readonly string[], env: Record<string, string> = {}): Program {
  const started = start(args, env);
  processes.push(started);
  return started;
}

async function run(args: readonly string[], env: Record<string, string> = {}) {
  const started = rtm(args, env);
  return { code: await started.exited, output: started.output };
}

async function configFile(content: object): Promise<string> {
  const file = join(directory, "rtm.json");
  await writeFile(file, JSON.stringify(content));
  return file;
}

async function startRelay(): Promise<string> {
  const service = { admin: { enabled: false } };
  const file = await configFile({ service, relay: { port: 0, insecure: true } });
  const started = rtm(["relay", "--config", file]);
  const [, port] = await started.printed(/"port":(\d+)[^\n]*"relay listens"/);
  return `http://127.0.0.1:${port}`;
}

describe("demo", () => {
  it("ends with the flag that helps when its port is taken", async () => {
    const { port } = new URL(await startRelay());
    const { code, output } = await run(["demo", "--port", port]);
    expect(code, output).toBe(1);
    expect(output).toContain("choose another port: npm run demo -- --port 0");
  });
});

describe("arguments", () => {
  it("prints version and help with exit code 0", async () => {
    expect(await run(["--version"])).toMatchObject({ code: 0 });
    const { code, output } = await run(["--help"]);
    expect(code).toBe(0);
    for (const verb of ["serve", "worker", "relay", "demo", "publish", "tail", "check-config"]) {
      expect(output).toContain(verb);
    }
  });

  it.each([
    [["nonsense"], "unknown command"],
    [["serve", "--nonsense"], "unknown option"],
    [["tail", "a", "--url", "nonsense"], "a URL such as"],
    [["publish", "a", "1", "--url", "localhost:3000"], "a URL such as"],
    [["publish", "a", "1", "--url", "http://u:p@127.0.0.1"], "must hold no user and no password"],
    [["channels", "--url", "http://127.0.0.1/rtm?x=1"], "no ? and no #"],
    [["tail", "a", "-n", "0"], "1 or more are possible"],
    [
      ["tail", "a", "--token-file", "/nowhere/token"],
      "--token-file: /nowhere/token cannot be read",
    ],
    [["top", "--token-file", "/nowhere/token"], "--token-file: /nowhere/token cannot be read"],
    [["check-config", "--config", "/nowhere/rtm.json"], "there is no such file; rtm init writes"],
    [["demo", "--port", "x"], "a whole number is needed"],
    [["demo", "--port", "80000"], "a port is at most 65535"],
    [["demo", "--profile", "8i"], "one of 19c, 23ai"],
    [["publish", "c"], "missing required argument"],
  ])("rtm %j ends with 2: %s", async (args, message) => {
    const { code, output } = await run(args);
    expect(code).toBe(2);
    expect(output).toContain(message);
  });
});

describe("check-config", () => {
  it("reports every problem at once and ends with 2", async () => {
    const file = await configFile({ relay: { prt: 1 }, database: { connectTimeout: "soon" } });
    const { code, output } = await run(["check-config", "--config", file], {
      RTM_RELAY_HOSTS: "x",
    });
    expect(code).toBe(2);
    expect(output).toContain('relay.prt is not a known key; did you mean "port"?');
    expect(output).toContain('database.connectTimeout: "soon" is not a duration');
    expect(output).toContain('RTM_RELAY_HOSTS is not known; did you mean "RTM_RELAY_HOST"?');
  });

  it("finds what does not go together: one port for two listeners, a directory that nobody can make", {
    timeout: 120_000,
  }, async () => {
    const file = await configFile({
      relay: { insecure: true, port: 4000 },
      service: { admin: { port: 4000 }, stateDirectory: "/dev/null/rtm" },
    });
    const problems = [
      "relay.port and service.admin.port are both 4000: each listener needs its own",
      "service.stateDirectory: /dev/null is not a directory",
    ];
    const [alone, ...others] = await Promise.all(
      [["check-config"], ["check-config", "--role", "relay"], ["relay"]].map((verb) =>
        run([...verb, "--config", file]),
      ),
    );
    expect(alone!.code).toBe(0);
    for (const { code, output } of others) {
      expect(code).toBe(2);
      for (const problem of problems) {
        expect(output).toContain(problem);
        expect(alone!.output).toContain(`warning: ${problem}`);
      }
    }
  });

  it("finds a queue that is named twice, and a URL with more than a path", {
    timeout: 120_000,
  }, async () => {
    const file = await configFile({
      database: { connectString: "x", user: "scott", password: "tiger" },
      worker: {
        queues: [
          { name: "Q" },
          { name: "SCOTT.q" },
          { name: "Q", consumer: "B" },
          { name: "SCOTT.Q", consumer: "b" },
          { name: "EVENTS", consumer: "a" },
          { name: "SCOTT.EVENTS" },
        ],
      },
    });
    const publishUrl = "https://u:TIGER@rtm.example.com";
    const [twice, url] = await Promise.all([
      run(["check-config", "--role", "worker", "--config", file]),
      run(["check-config", "--role", "worker", "--config", file], {
        RTM_WORKER_PUBLISH_URL: publishUrl,
      }),
    ]);
    expect(twice.code).toBe(2);
    expect(twice.output).toContain("worker.queues[1].name: SCOTT.Q is worker.queues[0] already");
    expect(twice.output).toContain("worker.queues[3].name: SCOTT.Q is worker.queues[2] already");
    expect(twice.output).not.toContain("worker.queues[2].name");
    expect(twice.output).toContain(
      "worker.queues[5].consumer: is needed, because worker.queues[4] of SCOTT.EVENTS has one",
    );
    expect(url.output).toContain("RTM_WORKER_PUBLISH_URL): must hold no user and no password");
    expect(url.output).not.toContain("TIGER");
  });

  it("says what is valid and how long a stop takes", async () => {
    const file = await configFile({ relay: { insecure: true } });
    const { code, output } = await run(["check-config", "--config", file]);
    expect(output).toMatch(/configuration is valid .*\na graceful stop takes at most \d+s/);
    expect(code).toBe(0);
  });

  it("names a file that is no JSON", async () => {
    const file = join(directory, "rtm.json");
    await writeFile(file, "{");
    const { code, output } = await run(["check-config", "--config", file]);
    expect(code).toBe(2);
    expect(output).toContain(`${file} is not JSON: line 1, column 2: the text ends here`);
  });
});

describe("serve", () => {
  it("refuses to start without keys, and without a database", { timeout: 120_000 }, async () => {
    expect(await run(["serve", "--config", await configFile({})])).toMatchObject({
      code: 2,
      output: expect.stringContaining("no keys are configured"),
    });
    const file = await configFile({ relay: { insecure: true, port: 0 } });
    expect(await run(["serve", "--config", file])).toMatchObject({
      code: 2,
      output: expect.stringContaining("database.connectString is needed"),
    });
    expect(await run(["worker", "--config", file])).toMatchObject({
      code: 2,
      output: expect.stringContaining("worker.publishUrl is needed"),
    });
  });
});

describe("secrets in files", () => {
  it("are checked before anything is started", async () => {
    const database = { connectString: "127.0.0.1:9/XX", user: "u", passwordFile: "/nonexistent" };
    const file = await configFile({ relay: { insecure: true, port: 0 }, database });
    expect(await run(["serve", "--config", file])).toMatchObject({
      code: 2,
      output: expect.stringContaining(
        "database.passwordFile: /nonexistent cannot be read: there is no such file",
      ),
    });
  });
});

describe("publish and tail", () => {
  it("prints what was published, byte for byte", async () => {
    const url = await startRelay();
    const tail = rtm(["tail", "sales", "--url", url, "--count", "1"]);
    const payload = '{"n":9007199254740993,"text":"ä"}';
    // The subscription has to be there first; recipients tell.
    await expect
      .poll(async () => (await run(["publish", "sales", payload, "--url", url])).output, {
        timeout: 20_000,
      })
      .toContain('"recipients":1');
    expect(await tail.exited).toBe(0);
    expect(tail.output).toContain(`"payload":${payload}`);
    expect(tail.output).toContain('{"channel":"sales","eventName":"message",');
  });

  it("prints a message on one line, however its payload is written", () => {
    const frame = '{"channel":"a","payload":{\n  "n": 9007199254740993,\r\n  "text": "a\\nb"\n}}';
    expect(oneLine(frame)).toBe(
      '{"channel":"a","payload":{ "n": 9007199254740993, "text": "a\\nb" }}',
    );
  });

  it("ends quietly when nobody reads its output any more", async () => {
    const url = await startRelay();
    const tail = rtm(["tail", "sales", "--url", url]);
    tail.child.stdout!.destroy();
    await expect
      .poll(
        async () => {
          await run(["publish", "sales", "1", "--url", url]);
          return tail.child.exitCode;
        },
        { timeout: 20_000 },
      )
      .toBe(0);
    expect(tail.output).toBe("");
  });

  it("ends when the relay was never reached, and says why", async () => {
    for (const url of ["http://127.0.0.1:9", "http://localhost:9"]) {
      const { code, output } = await run(["tail", "sales", "--url", url]);
      expect(code, output).toBe(1);
      expect(output).toMatch(/rtm: http:.*:9: .*ECONNREFUSED/);
    }
  });

  it("refuses a payload that is no JSON, and a relay that is not there", async () => {
    expect(await run(["publish", "c", "{"])).toMatchObject({
      code: 2,
      output: expect.stringContaining("the payload is not JSON"),
    });
    const url = "http://127.0.0.1:9";
    expect(await run(["publish", "c", "1", "--url", url])).toMatchObject({
      code: 1,
      output: expect.stringContaining("cannot be reached"),
    });
  });

  it("says what to do where no token grants a channel, and whose token it is", {
    timeout: 120_000,
  }, async () => {
    const secret = { kid: "k1", secret: "0123456789abcdef0123456789abcdef" };
    const service = { admin: { enabled: false } };
    const file = await configFile({ service, relay: { port: 0, tokens: { secrets: [secret] } } });
    const [, port] = await rtm(["relay", "--config", file]).printed(
      /"port":(\d+)[^\n]*"relay listens"/,
    );
    const tail = (env: Record<string, string>) =>
      run(["tail", "sales", "--url", `http://127.0.0.1:${port}`], env);
    const minted = await run(["token", "mint", "stock", "--sub", "ADA", "--config", file]);
    const [none, empty, wrong, other] = await Promise.all([
      tail({}),
      tail({ RTM_TOKEN: "" }),
      tail({ RTM_TOKEN: "x" }),
      tail({ RTM_TOKEN: minted.output.trim() }),
    ]);
    const given = "no token was given: set RTM_TOKEN or --token-file";
    for (const { code, output } of [none, empty]) {
      expect(code, output).toBe(1);
      expect(output).toContain(given);
    }
    expect(wrong.output).toMatch(/4101 .*; it is the token of RTM_TOKEN/);
    expect(other.output).toContain("rtm token explain says what the token of RTM_TOKEN grants");
  });

  it("says in plain words that what answers speaks no TLS", async () => {
    const url = (await startRelay()).replace("http:", "https:");
    const { code, output } = await run(["tail", "sales", "--url", url]);
    expect(code, output).toBe(1);
    expect(output).toContain("speaks no TLS: is it http:// instead of https://?");
    expect(output.trim().split("\n")).toHaveLength(1);
  });

  it("reports why the relay refused a tail", async () => {
    const url = await startRelay();
    const { code, output } = await run(["tail", "a*", "--url", url]);
    expect(code).toBe(1);
    expect(output).toContain("bad_channel");
  });
});
