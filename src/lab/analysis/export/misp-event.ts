import { createHash } from "node:crypto";
import type { Verdict } from "../../verdict/verdict";
import type { Artefact } from "../report/artefacts";
import type { Act } from "../report/gather-events";
import type { AnalysisReport } from "../report/report";
import { explainNoVerdict } from "../analysis-record";

/** In an event; of more, the report has them. */
const MOST_ATTRIBUTES = 2_000;

/** An attribute of MISP's core format: https://www.misp-standard.org/rfc/misp-standard-core.html */
interface MispAttribute {
  readonly uuid: string;
  readonly type: string;
  readonly category: string;
  readonly value: string;
  readonly comment: string;
  readonly to_ids: boolean;
}

/** An event of MISP's core format. */
export interface MispEvent {
  readonly Event: {
    readonly uuid: string;
    readonly info: string;
    /** The day of the analysis. */
    readonly date: string;
    /** "0": of this organisation only; who imports it decides anew. */
    readonly distribution: "0";
    /** "1" high, "2" medium, "3" low, "4" undefined. */
    readonly threat_level_id: "1" | "2" | "3" | "4";
    /** "2": completed. */
    readonly analysis: "2";
    readonly Attribute: readonly MispAttribute[];
    readonly Tag: readonly { readonly name: string }[];
  };
}

/**
 * Makes an event for MISP of a report: the sample, what it reached, what it left, and the techniques. Importing the same analysis again
 * gives the same UUIDs.
 */
export function createMispEvent(report: AnalysisReport): MispEvent {
  const { analysis, verdict } = report;
  const seed = `${analysis.id} ${analysis.created} ${analysis.target?.sha256}`;
  const attributes = new Map<string, MispAttribute>();
  const add = (type: string, category: string, value: string, comment: string, isIndicator: boolean): void => {
    const key = `${type} ${value}`;
    if (value === "" || attributes.has(key) || attributes.size >= MOST_ATTRIBUTES) return;
    const uuid = toUuid(`${seed} ${key}`);
    attributes.set(key, { uuid, type, category, value, comment, to_ids: isIndicator });
  };
  if (analysis.target !== undefined) {
    add("filename", "Payload delivery", analysis.target.name, "the sample", false);
    add("sha256", "Payload delivery", analysis.target.sha256, "the sample", true);
  }
  if (verdict === undefined) add("comment", "Other", `no verdict: ${explainNoVerdict(analysis)}`, "of rebox", false);
  for (const { name, type } of analysis.network?.names ?? []) {
    if (type === "A" || type === "AAAA") add("domain", "Network activity", name, "a name that was asked for", true);
  }
  const own = (act: Act): boolean => act.origin === undefined || act.origin === "target" || act.origin === "adopted";
  for (const act of report.network.filter(own)) addConnection(act, add);
  for (const artefact of report.artefacts) addArtefact(artefact, add);
  for (const act of report.files.filter(own)) {
    if (/^file\.(written|made|linked)$/.test(act.type) && typeof act["path"] === "string")
      add("filename", "Artifacts dropped", act["path"], act.type, false);
  }
  return {
    Event: {
      uuid: toUuid(seed),
      info: `rebox: ${analysis.target?.name ?? analysis.command ?? `analysis ${analysis.id}`}`,
      date: analysis.created.slice(0, 10),
      ...{ distribution: "0", threat_level_id: levelOf(verdict), analysis: "2" },
      Attribute: [...attributes.values()],
      Tag: listTags(verdict).map((name) => ({ name })),
    },
  };
}

type Add = (type: string, category: string, value: string, comment: string, isIndicator: boolean) => void;

function addConnection({ type, address, port, protocol, process }: Act, add: Add): void {
  if (!/^network\.(connected|failed|sent)$/.test(type) || typeof address !== "string" || isLocal(address)) return;
  const comment = `${type} ${typeof protocol === "string" ? protocol : ""} by ${typeof process === "string" ? process : "?"}`;
  if (typeof port === "number" && port > 0) add("ip-dst|port", "Network activity", `${address}|${port}`, comment, true);
  else add("ip-dst", "Network activity", address, comment, true);
}

function addArtefact({ path, sha256, description }: Artefact, add: Add): void {
  const name = path.split("/").at(-1) ?? path;
  if (sha256 !== undefined && !name.includes("|"))
    add("filename|sha256", "Artifacts dropped", `${name}|${sha256}`, `${path} ${description ?? ""}`.trim(), true);
}

function isLocal(address: string): boolean {
  return /^(127\.|0\.0\.0\.0$|::1?$)/.test(address);
}

function levelOf(verdict: Verdict | undefined): "1" | "2" | "3" | "4" {
  if (verdict === undefined) return "4";
  return verdict.judgement === "malicious" ? "1" : verdict.judgement === "suspicious" ? "2" : "3";
}

function listTags(verdict: Verdict | undefined): string[] {
  if (verdict === undefined) return [];
  const techniques = new Set(verdict.findings.flatMap((finding) => finding.techniques));
  return [`rebox:judgement="${verdict.judgement}"`, `rebox:score="${verdict.score}"`, ...[...techniques].map((technique) => `mitre-attack:technique="${technique}"`)]; // prettier-ignore
}

/** Makes a UUID of a text, always the same (RFC 9562, version 8: of a hash). */
function toUuid(text: string): string {
  const hex = createHash("sha256").update(text).digest("hex");
  const variant = ((parseInt(hex[16]!, 16) & 3) | 8).toString(16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
