import { z } from "zod";
import type { ShownMachines } from "../machines/machine-watch";
import type { ServerParts } from "../server-parts";

const MOST_FINDINGS = 20;
const STATES = ["waiting", "running", "finished", "failed", "cancelled", "lost"];

/** The numbers of analyses. */
export const STATISTICS = z.object({
  states: z.record(z.string(), z.number()).describe("Analyses by their state."),
  judgements: z.record(z.string(), z.number()).describe("Analyses by their verdict."),
  findings: z
    .array(z.object({ name: z.string(), title: z.string(), count: z.number() }))
    .describe("The signatures and rules that have fired in most analyses."),
  mostRunning: z.number().describe("How many analyses may run at once."),
});

/** Counts the analyses of a lab. */
export function readStatistics({ search, mostRunning }: ServerParts): z.infer<typeof STATISTICS> {
  const states = search.countByState();
  return {
    states: Object.fromEntries(STATES.map((state) => [state, states[state] ?? 0])),
    judgements: search.countByJudgement(),
    findings: search.listCommonFindings(MOST_FINDINGS),
    mostRunning,
  };
}

/** Renders the measurements of a server in the text format of Prometheus, version 0.0.4. */
export function renderMetrics(parts: ServerParts, { machines }: ShownMachines): string {
  const { counts, streams, startedMs, mostRunning, search } = parts;
  const states = search.countByState();
  const machineStates = new Map<string, number>();
  for (const { state } of machines) machineStates.set(state, (machineStates.get(state) ?? 0) + 1);
  const families = [
    family("rebox_analyses", "gauge", "Analyses of the lab by their state.", STATES.map((state) => [{ state }, states[state] ?? 0])), // prettier-ignore
    family("rebox_analyses_running_limit", "gauge", "How many analyses may run at once.", [[{}, mostRunning]]),
    family("rebox_machines", "gauge", "Machines of the lab by their state.", [...machineStates].map(([state, count]) => [{ state }, count])), // prettier-ignore
    family("rebox_machines_disabled", "gauge", "Machines that are out of the pool.", [[{}, machines.filter(({ isEnabled }) => !isEnabled).length]]), // prettier-ignore
    family("rebox_submissions_total", "counter", "Analyses that were asked for through the server.", [[{}, counts.submissions]]), // prettier-ignore
    family("rebox_uploaded_bytes_total", "counter", "Bytes of files that were handed in.", [[{}, counts.uploadedBytes]]), // prettier-ignore
    family("rebox_sign_ins_refused_total", "counter", "Sign-ins with a wrong name or password.", [[{}, counts.signInsRefused]]), // prettier-ignore
    family("rebox_http_answers_total", "counter", "Answers by the class of their status.", [...counts.answers].map(([kind, count]) => [{ class: kind }, count])), // prettier-ignore
    family("rebox_event_streams", "gauge", "Streams of events that are open.", [[{}, streams.count]]),
    family("rebox_start_time_seconds", "gauge", "When the server started, in seconds since 1970.", [[{}, startedMs / 1000]]), // prettier-ignore
    family("rebox_resident_memory_bytes", "gauge", "Memory of the server's process.", [[{}, process.memoryUsage.rss()]]), // prettier-ignore
  ];
  return families.join("");
}

type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];

function family(name: string, type: "gauge" | "counter", help: string, samples: readonly Sample[]): string {
  const lines = samples.map(([labels, value]) => {
    const pairs = Object.entries(labels).map(([key, text]) => `${key}="${text.replace(/[\\"\n]/g, "_")}"`);
    return `${name}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${value}\n`;
  });
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join("")}`;
}
