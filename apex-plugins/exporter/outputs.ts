/** All files of apex-plugins/dist/, by name. */
import { broadcastDa } from "../broadcast-da/manifest.ts";
import { broadcastProcess } from "../broadcast-process/manifest.ts";
import { listener } from "../listener/manifest.ts";
import { presenceRegion } from "../presence-region/manifest.ts";
import type { Manifest, Release } from "../shared/manifest.ts";
import { exportSql } from "./export.ts";

export const MANIFESTS: readonly Manifest[] = [
  listener,
  broadcastDa,
  broadcastProcess,
  presenceRegion,
];

/** What catalogues call the types. */
const KINDS = {
  "DYNAMIC ACTION": "dynamic action",
  "PROCESS TYPE": "process",
  "REGION TYPE": "region",
} as const;

const APEX_VERSIONS = ["22.1", "22.2", "23.1", "23.2", "24.1", "24.2", "26.1"];
const ORACLE_VERSIONS = ["19c", "21c", "23ai", "26ai"];

/** The exports of the lowest release have plain names; later flavours name their release. */
export function exportName(manifest: Manifest, release: Release): string {
  const type = manifest.type.toLowerCase().replace(" ", "_");
  const flavour = release === "22.1" ? "" : `_apex_${release.replace(".", "_")}`;
  return `${type}_plugin_${manifest.name.toLowerCase()}${flavour}.sql`;
}

/** What catalogues of APEX plug-ins read. One file describes one plug-in. */
function apexPluginJson(manifest: Manifest, version: string): string {
  const lowest = manifest.releases[0] ?? "22.1";
  return `${JSON.stringify(
    {
      name: manifest.displayName,
      version,
      description: manifest.description,
      keywords: manifest.keywords,
      license: "MIT",
      commercial: "No",
      commercially_supported: "No",
      oracle: {
        versions: ORACLE_VERSIONS,
        apex: {
          versions: APEX_VERSIONS.filter((candidate) => candidate >= lowest),
          plugin: {
            internalName: manifest.name,
            type: KINDS[manifest.type],
          },
        },
      },
    },
    undefined,
    2,
  )}\n`;
}

export async function outputs(version: string): Promise<ReadonlyMap<string, string>> {
  const files = new Map<string, string>();
  for (const manifest of MANIFESTS) {
    for (const release of manifest.releases) {
      files.set(exportName(manifest, release), await exportSql(manifest, release, version));
    }
    const folder = manifest.name.toLowerCase().replaceAll("_", "-");
    files.set(`${folder}/apexplugin.json`, apexPluginJson(manifest, version));
  }
  return files;
}
