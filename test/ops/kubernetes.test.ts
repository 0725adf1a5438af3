/**
 * The Kubernetes manifests without a cluster: the types of the API (kubernetes-types 1.30), which know
 * every field, and what the manifests say of our own service.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Deployment } from "kubernetes-types/apps/v1.js";
import type { ConfigMap, Service } from "kubernetes-types/core/v1.js";
import type { PodDisruptionBudget } from "kubernetes-types/policy/v1.js";
import { describe, expect, it, onTestFinished } from "vitest";
import { parseAllDocuments } from "yaml";
import { stopTimeMs } from "../../cli/check-config.ts";
import { rtmConfig } from "../../cli/config.ts";
import { program } from "../../cli/program.ts";
import { VERSION } from "../../cli/version.ts";
import { parseConfig } from "../../common/config.ts";

const FILE = "packaging/kubernetes/apex-rtm.yaml";

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string };
}

const manifests: readonly Manifest[] = parseAllDocuments(readFileSync(FILE, "utf8")).map(
  (document) => {
    expect(document.errors).toEqual([]);
    return document.toJS();
  },
);

function all<T>(kind: string): (T & Manifest)[] {
  return manifests.filter((each) => each.kind === kind) as (T & Manifest)[];
}

/** Each as a literal of the API's type; TypeScript says what is wrong, unknown fields too. */
function typeErrors(documents: Readonly<Record<string, Manifest>>): string[] {
  // Inside the project, so that the types are found.
  const directory = join(".cache", `kubernetes-${process.pid}`);
  mkdirSync(directory, { recursive: true });
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  for (const [name, document] of Object.entries(documents)) {
    const group = document.apiVersion.includes("/") ? document.apiVersion : "core/v1";
    const type = `import("kubernetes-types/${group}.js").${document.kind}`;
    const text = `export const manifest: ${type} = ${JSON.stringify(document, undefined, 1)};\n`;
    writeFileSync(join(directory, `${name}.ts`), text);
  }
  const files = Object.keys(documents).map((name) => join(directory, `${name}.ts`));
  const options = ["--noEmit", "--strict", "--module", "preserve", "--types", "", "--ignoreConfig"];
  const { stdout } = spawnSync("node_modules/.bin/tsc", [...options, ...files], {
    encoding: "utf8",
  });
  return stdout.split("\n").filter((line) => line.includes("error TS"));
}

describe(FILE, () => {
  it("has the fields that the API knows, with values of their types", () => {
    const named = Object.fromEntries(manifests.map((each, index) => [`m${index}`, each]));
    expect(Object.keys(named).length).toBeGreaterThan(6);
    expect(typeErrors(named)).toEqual([]);
  });

  it("would not pass with a misspelt or misplaced field, a wrong type, or without a field", () => {
    const [deployment] = all<Deployment>("Deployment");
    const broken = Object.entries({
      misspelt: ["enableServiceLinks", "enableServiceLink"],
      misplaced: ['"capabilities"', '"fsGroup"'],
      text: ['"containerPort":3000', '"containerPort":"3000"'],
      lacking: ['"selector":', '"selectors":'],
    } as const).map(([name, [right, wrong]]) => {
      const text = JSON.stringify(deployment);
      expect(text).toContain(right);
      return [name, JSON.parse(text.replace(right, wrong))];
    });
    const errors = typeErrors(Object.fromEntries(broken)).join("\n");
    for (const [name] of broken) expect(errors).toContain(`/${name}.ts(`);
  });

  it("keeps everything in one namespace, and names the image of this version", () => {
    expect(new Set(manifests.map(({ metadata }) => metadata.namespace))).toEqual(
      new Set(["apex-rtm"]),
    );
    for (const { spec } of all<Deployment>("Deployment")) {
      const [container] = spec!.template.spec!.containers;
      expect(container!.image).toBe(`localhost/apex-rtm:${VERSION}`);
    }
  });

  it("selects the pods that it makes", () => {
    const labels = all<Deployment>("Deployment").map(({ spec }) => {
      expect(spec!.template.metadata!.labels).toEqual(spec!.selector.matchLabels);
      return spec!.selector.matchLabels;
    });
    for (const { spec } of all<Service>("Service")) expect(labels).toContainEqual(spec!.selector);
    for (const { spec } of all<PodDisruptionBudget>("PodDisruptionBudget")) {
      expect(labels).toContainEqual(spec!.selector!.matchLabels);
    }
  });

  describe.each(all<Deployment>("Deployment").map((each) => [each.metadata.name, each] as const))(
    "%s",
    (_name, deployment) => {
      const pod = deployment.spec!.template.spec!;
      const [container] = pod.containers;
      const [role] = container!.args!;
      const configuration = () => {
        const { configMap } = pod.volumes!.find(({ name }) => name === "config")!;
        const map = all<ConfigMap>("ConfigMap").find(
          ({ metadata }) => metadata.name === configMap!.name,
        );
        const env = Object.fromEntries(
          container!.env?.map(({ name, value }) => [name, value]) ?? [],
        );
        return parseConfig(rtmConfig, JSON.parse(map!.data!["rtm.json"]!), {
          ...(env as Record<string, string>),
          ...(role === "worker" ? { RTM_RELAY_INSECURE: "true" } : {}),
        });
      };

      it("starts a command of ours with a configuration that is valid", () => {
        expect(program().commands.map((command) => command.name())).toContain(role);
        const { relay, worker, database, service } = configuration();
        const named =
          role === "relay"
            ? [relay.tokens.secrets[0]!.secretFile, relay.apiKeys[0]!.keyFile]
            : [worker.publishKeyFile, database.passwordFile];
        const { mountPath } = container!.volumeMounts!.find(({ name }) => name === "secrets")!;
        for (const file of named) expect(file?.startsWith(`${mountPath}/`)).toBe(true);
        const [port] = container!.ports!;
        expect(port!.containerPort).toBe(role === "relay" ? relay.port : service.admin.port);
      });

      it("mounts volumes that are there", () => {
        const there = pod.volumes!.map(({ name }) => name);
        expect(container!.volumeMounts!.map(({ name }) => name).sort()).toEqual(there.sort());
      });

      it("has no rights, and no variables of Services", () => {
        expect(pod).toMatchObject({
          enableServiceLinks: false,
          automountServiceAccountToken: false,
          securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } },
        });
        expect(container!.securityContext).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ["ALL"] },
        });
      });

      it("asks whether it lives and whether it is ready, and waits long enough for a stop", () => {
        const port = container!.ports![0]!.name;
        expect(container!.livenessProbe!.httpGet).toEqual({ path: "/healthz", port });
        expect(container!.readinessProbe!.httpGet).toEqual({ path: "/readyz", port });
        const graceMs = pod.terminationGracePeriodSeconds! * 1000;
        expect(graceMs).toBeGreaterThan(stopTimeMs(configuration()) + 5000);
      });
    },
  );
});
