/** Alert rules, dashboard and nginx file: what they name exists, and the programs that read them agree. */
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { Registry } from "prom-client";
import { describe, expect, it, onTestFinished } from "vitest";
import { z } from "zod";
import { ROLES } from "../../cli/roles.ts";
import { createAdminServer } from "../../cli/service/admin.ts";
import { collectProcessMetrics, registerServiceMetrics } from "../../cli/service/metrics.ts";
import { WorkerMetrics } from "../../worker/metrics.ts";
import { startTestRelay } from "../relay/support.ts";
import { freePort } from "../support/free-port.ts";
import { has, Program, temporaryDirectory } from "../support/programs.ts";
import { until } from "../support/until.ts";

const RULES = "packaging/prometheus/rtm-alerts.yaml";
const DASHBOARD = "packaging/grafana/apex-rtm.json";
const NGINX = "nginx/rtm-admin.conf.sample";

/** Labels of each metric, as docs/metrics.md has them; a test keeps that page equal to the program. */
function documented(): Map<string, ReadonlySet<string>> {
  const page = readFileSync("docs/metrics.md", "utf8");
  const metrics = new Map<string, ReadonlySet<string>>();
  for (const row of page.matchAll(/^\| (`.*`) \| (gauge|counter|histogram) \|/gm)) {
    for (const [, name, labels] of row[1]!.matchAll(/`([a-z0-9_]+)(?:\{([^}]*)\})?`/g)) {
      const all = new Set((labels ?? "").split(",").filter(Boolean));
      const forms = row[2] === "histogram" ? ["_bucket", "_sum", "_count"] : [""];
      for (const form of forms) {
        metrics.set(`${name}${form}`, form === "_bucket" ? new Set([...all, "le"]) : all);
      }
    }
  }
  return metrics;
}

/** Labels that Prometheus adds, and those that alerts have. */
const GIVEN = new Set(["job", "instance"]);

/** What a query names that there is not. */
function unknownIn(expression: string): string[] {
  const metrics = documented();
  const names = [...expression.matchAll(/\b(?:rtm|process|nodejs)_[a-z0-9_]+/g)].map(
    ([name]) => name,
  );
  const labels = [
    ...expression.matchAll(/\b((?:rtm|process|nodejs)_[a-z0-9_]+)\{([^}]*)\}/g),
  ].flatMap(([, name, matchers]) =>
    [...matchers!.matchAll(/([a-z_]+)\s*(?:=~|!~|!=|=)/g)]
      .map(([, label]) => label!)
      .filter((label) => !GIVEN.has(label) && !metrics.get(name!)?.has(label))
      .map((label) => `${name}{${label}}`),
  );
  return [...names.filter((name) => !metrics.has(name)), ...labels];
}

const expressionsOfRules = () =>
  [...readFileSync(RULES, "utf8").matchAll(/^ {8}expr: (.*(?:\n {10}.*)*)/gm)].map(
    ([, text]) => text!,
  );

/** Grafana, "Dashboard JSON model": the parts that an import needs. */
const panel = z.looseObject({
  id: z.number().int().positive(),
  type: z.enum(["row", "stat", "timeseries", "heatmap", "state-timeline", "table"]),
  title: z.string().min(1),
  gridPos: z.strictObject({
    h: z.number().int().min(1),
    w: z.number().int().min(1).max(24),
    x: z.number().int().min(0).max(23),
    y: z.number().int().min(0),
  }),
  description: z.string().optional(),
  datasource: z.strictObject({ type: z.literal("prometheus"), uid: z.string() }).optional(),
  targets: z
    .array(
      z.looseObject({
        refId: z.string().regex(/^[A-Z]$/),
        expr: z.string().min(1),
        legendFormat: z.string(),
        datasource: z.strictObject({ type: z.literal("prometheus"), uid: z.string() }),
      }),
    )
    .optional(),
  fieldConfig: z
    .strictObject({ defaults: z.looseObject({}), overrides: z.array(z.unknown()) })
    .optional(),
  options: z.looseObject({}).optional(),
});
const dashboard = z.looseObject({
  id: z.null(),
  uid: z.string().min(1).max(40),
  title: z.string().min(1),
  schemaVersion: z.number().int().min(36),
  version: z.number().int(),
  time: z.strictObject({ from: z.string(), to: z.string() }),
  templating: z.strictObject({
    list: z.array(z.looseObject({ name: z.string(), type: z.enum(["datasource", "query"]) })),
  }),
  annotations: z.strictObject({ list: z.array(z.looseObject({ expr: z.string() })) }),
  panels: z.array(panel).min(1),
});

describe("the alert rules", () => {
  it("name metrics and labels that exist", () => {
    const expressions = expressionsOfRules();
    expect(expressions.length).toBeGreaterThan(20);
    for (const expression of expressions)
      expect([expression, unknownIn(expression)]).toEqual([expression, []]);
    expect(unknownIn('rate(rtm_relay_messages_total{code="x"}[5m])')).not.toEqual([]);
    expect(unknownIn('rtm_worker_state{status="x"}')).toEqual(["rtm_worker_state{status}"]);
  });

  it("lead to a page that exists, each", () => {
    const text = readFileSync(RULES, "utf8");
    const links = [...text.matchAll(/runbook: (docs\/[a-z-]+\.md)(?:#([a-z0-9_-]+))?/g)];
    expect(links).toHaveLength([...text.matchAll(/- alert:/g)].length);
    for (const [, page, anchor] of links) {
      const headings = [...readFileSync(page!, "utf8").matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
        heading!
          .toLowerCase()
          .replace(/[^\w\s-]/g, "")
          .replace(/\s/g, "-"),
      );
      if (anchor !== undefined) expect(headings, page).toContain(anchor);
    }
  });

  it("are all described in docs/monitoring.md", () => {
    const names = (text: string, pattern: RegExp) =>
      [...text.matchAll(pattern)].map(([, name]) => name).sort();
    expect(names(readFileSync("docs/monitoring.md", "utf8"), /^\| `(Rtm\w+)`/gm)).toEqual(
      names(readFileSync(RULES, "utf8"), /- alert: (\w+)/g),
    );
  });

  it.skipIf(!has("promtool"))("pass promtool (skipped where there is none)", () => {
    const promtool = (...args: string[]) => {
      const { status, stdout, stderr } = spawnSync("promtool", args, {
        encoding: "utf8",
        cwd: "packaging/prometheus",
      });
      return { status, output: stdout + stderr };
    };
    expect(promtool("check", "rules", "rtm-alerts.yaml")).toMatchObject({ status: 0 });
    const tested = promtool("test", "rules", "rtm-alerts.test.yaml");
    expect(tested.status, tested.output).toBe(0);
  });
});

describe("the dashboard", () => {
  const parsed = dashboard.parse(JSON.parse(readFileSync(DASHBOARD, "utf8")));

  it("has panels beside each other, not on top, each with an id of its own", () => {
    const taken = new Map<string, string>();
    for (const { title, gridPos } of parsed.panels) {
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        expect(x).toBeLessThan(24);
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect([title, taken.get(`${x},${y}`)]).toEqual([title, undefined]);
          taken.set(`${x},${y}`, title);
        }
      }
    }
    const ids = parsed.panels.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const each of parsed.panels.filter(({ type }) => type !== "row")) {
      expect([each.title, each.description]).toEqual([each.title, expect.any(String)]);
      expect(each.targets?.length).toBeGreaterThan(0);
    }
  });

  it("names metrics, labels and variables that exist, and no data source of its author", () => {
    const targets = parsed.panels.flatMap(({ targets: all }) => all ?? []);
    const queries = [
      ...targets.map(({ expr }) => expr),
      ...parsed.annotations.list.map(({ expr }) => expr),
    ];
    expect(queries.length).toBeGreaterThan(30);
    for (const query of queries) expect([query, unknownIn(query)]).toEqual([query, []]);
    const variables = new Set(parsed.templating.list.map(({ name }) => name));
    const text = JSON.stringify(parsed);
    for (const [, name] of text.matchAll(/\$\{?([a-z_]+)\}?/g)) {
      if (!name!.startsWith("__")) expect([...variables]).toContain(name);
    }
    for (const { datasource } of targets) expect(datasource.uid).toBe(`$${"{datasource}"}`);
  });

  it("shows every metric that the alerts ask for, or one beside it", () => {
    const shown = JSON.stringify(parsed);
    const asked = expressionsOfRules().flatMap((text) =>
      [...text.matchAll(/\brtm_[a-z_]+/g)].map(([name]) => name),
    );
    const missing = [...new Set(asked)].filter((name) => !shown.includes(name));
    // Alerts only: a line that is 0 for a year.
    expect(missing.sort()).toEqual([
      "rtm_log_appended_total",
      "rtm_process_log_lines_dropped_total",
      "rtm_relay_revocations_of_all_total",
      "rtm_worker_clock_offset_seconds",
      "rtm_worker_last_tick_timestamp_seconds",
      "rtm_worker_poison_unkept_total",
    ]);
  });
});

describe("the metrics", () => {
  it.skipIf(!has("promtool"))(
    "have names and texts that promtool likes (skipped where there is none)",
    async () => {
      const registry = new Registry();
      new WorkerMetrics(registry);
      registerServiceMetrics(registry, { roles: ROLES.serve, isReady: () => true });
      const relay = await startTestRelay({}, { registry });
      onTestFinished(() => relay.close());
      const { status, stdout, stderr } = spawnSync("promtool", ["check", "metrics"], {
        encoding: "utf8",
        input: await registry.metrics(),
      });
      expect([status, stdout, stderr]).toEqual([0, "", ""]);
    },
  );

  it("of the process begin with the first scrape", async () => {
    const registry = new Registry();
    registerServiceMetrics(registry, { roles: ROLES.relay, isReady: () => false });
    const server = createAdminServer({ registry, readiness: () => [] }).listen(0, "127.0.0.1");
    onTestFinished(() => void server.close());
    await once(server, "listening");
    expect(registry.getSingleMetric("process_cpu_seconds_total")).toBeUndefined();
    const { port } = server.address() as AddressInfo;
    for (let scrape = 0; scrape < 2; scrape++) {
      const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
      expect(text).toMatch(/^process_cpu_seconds_total [\d.e-]+$/m);
      expect(text).toMatch(/^rtm_build_info\{version="[^"]+",nodejs="[\d.]+",role="relay"\} 1$/m);
      expect(text).toMatch(/^rtm_ready 0$/m);
      // They walk through every socket.
      expect(text).not.toContain("nodejs_active_");
    }
    expect(() => collectProcessMetrics(registry)).toThrow();
  });
});

const NEEDED = ["nginx", "openssl"];
const missing = NEEDED.filter((program) => !has(program));

describe.skipIf(missing.length > 0)(
  `nginx before the admin listener (skipped without ${NEEDED})`,
  () => {
    it("gives /metrics to who has a certificate, and nothing else to anybody", async () => {
      const directory = temporaryDirectory();
      const openssl = (...args: string[]) =>
        expect(spawnSync("openssl", args, { cwd: directory }).status).toBe(0);
      const curve = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
      ];
      openssl(
        "req",
        "-x509",
        ...curve,
        "-subj",
        "/CN=server",
        "-keyout",
        "key.pem",
        "-out",
        "cert.pem",
      );
      openssl(
        "req",
        "-x509",
        ...curve,
        "-subj",
        "/CN=monitoring CA",
        "-keyout",
        "ca.key",
        "-out",
        "ca.pem",
      );
      openssl(
        "req",
        ...curve,
        "-subj",
        "/CN=prometheus",
        "-keyout",
        "client.key",
        "-out",
        "client.csr",
      );
      openssl(
        "x509",
        "-req",
        "-in",
        "client.csr",
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-days",
        "2",
        "-out",
        "client.pem",
      );

      const registry = new Registry();
      registerServiceMetrics(registry, { roles: ROLES.relay, isReady: () => true });
      const admin = createAdminServer({ registry, readiness: () => [] }).listen(0, "127.0.0.1");
      onTestFinished(() => void admin.close());
      await once(admin, "listening");
      const port = await freePort();
      const conf = readFileSync(NGINX, "utf8")
        .replace("listen 9443 ssl", `listen 127.0.0.1:${port} ssl`)
        .replace(/\/etc\/letsencrypt\/\S+fullchain\.pem/, `${directory}/cert.pem`)
        .replace(/\/etc\/letsencrypt\/\S+privkey\.pem/, `${directory}/key.pem`)
        .replace("/etc/nginx/apex-rtm/monitoring-ca.pem", `${directory}/ca.pem`)
        .replaceAll("/var/log/nginx/", `${directory}/`)
        .replace("127.0.0.1:3001", `127.0.0.1:${(admin.address() as AddressInfo).port}`);
      const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map((name) => `${name}_temp_path ${directory}/${name};`)
        .join("\n");
      mkdirSync(join(directory, "logs"));
      writeFileSync(
        join(directory, "nginx.conf"),
        `daemon off; pid ${directory}/pid; error_log ${directory}/main.log;
${process.getuid!() === 0 ? "user root;" : ""} worker_processes 1; events { worker_connections 64; }
http { ${temporary} ${conf} }`,
      );
      new Program("nginx", [
        "-e",
        `${directory}/main.log`,
        "-p",
        directory,
        "-c",
        `${directory}/nginx.conf`,
      ]);
      const get = async (path: string, identity: object) => {
        const call = request({
          host: "127.0.0.1",
          port,
          path,
          rejectUnauthorized: false,
          agent: false,
          ...identity,
        }).end();
        const [response] = await once(call, "response");
        let text = "";
        for await (const piece of response) text += piece;
        return { status: response.statusCode as number, text };
      };
      const read = (name: string) => readFileSync(join(directory, name));
      const prometheus = { cert: read("client.pem"), key: read("client.key") };
      await until("nginx listens", () =>
        get("/", prometheus).then(
          () => true,
          () => false,
        ),
      );
      expect(await get("/metrics", prometheus)).toMatchObject({
        status: 200,
        text: expect.stringContaining("rtm_build_info"),
      });
      expect(await get("/metrics", {})).toMatchObject({ status: 400 });
      expect(await get("/metrics", { cert: read("cert.pem"), key: read("key.pem") })).toMatchObject(
        { status: 400 },
      );
      for (const path of ["/readyz", "/console/", "/healthz", "/metrics/../readyz"]) {
        expect([path, (await get(path, prometheus)).status]).toEqual([path, 404]);
      }
      expect(existsSync(join(directory, "pid"))).toBe(true);
    });
  },
);
