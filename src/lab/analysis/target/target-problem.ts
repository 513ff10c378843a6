import { findNetworkProblem, findOwnNetwork } from "../../network/network-choice";
import { QmpMachinery } from "../../machinery/drivers/qemu/qmp-machinery";
import { ReboxMachinery } from "../../machinery/drivers/rebox/rebox-machinery";
import type { Machinery } from "../../machinery/machinery";
import { ASKING_WAYS, type LabMachine, type WayName } from "../../machinery/records/lab-machine";
import type { NetworkUse } from "../analysis-network";
import { type AnalysisRecording, findRecordingProblem } from "./recorded-analysis";

const NO_AGENT = "no agent can be reached: it has no ip of its own";

/** Everything that an analysis needs of its machine. */
export interface TargetNeeds {
  /** Whether the machine is given a file, beside what is typed. */
  readonly hasTarget: boolean;
  /** Absolute paths of scripts for the machine's engine. */
  readonly scripts: readonly string[];
  /** The recording that is kept, if one is. */
  readonly recording?: AnalysisRecording | undefined;
  readonly network?: Pick<NetworkUse, "wanted"> | undefined;
}

/** Finds why a machine cannot execute what is analysed, before it is started; undefined when it can. */
export function findTargetProblem(
  { name, facts }: LabMachine,
  machinery: Machinery,
  use: TargetNeeds,
): string | undefined {
  const { machineryName, platform, wayIn = "auto", ip, cloneOf } = facts;
  const { serialConsole, disc, guestAgent, keyboard } = machinery.capabilities;
  const network = (use.network?.wanted ?? findOwnNetwork(facts))?.kind;
  if (use.recording !== undefined) {
    const refusal = findRecordingProblem(facts, machinery, network);
    if (refusal !== undefined) return `no run of ${name} can be recorded: ${refusal}`;
  }
  const isAlone = network === "simulated" || network === "user";
  const noDisc = use.hasTarget && !disc ? `the machinery ${machineryName} has no disc (insertDisc)` : undefined;
  const noConsole = serialConsole ? noDisc : `the machinery ${machineryName} has no serial console (openConsole)`;
  const missing: Readonly<Record<WayName, string | undefined>> = {
    console: noConsole,
    keyboard: keyboard ? noConsole : `the machinery ${machineryName} has no keyboard (typeKeys)`,
    "guest-agent": guestAgent ? undefined : `the machinery ${machineryName} cannot call QEMU's guest agent`,
    agent: isAlone || (ip !== undefined && cloneOf === undefined) ? undefined : NO_AGENT,
  };
  const wanted = wayIn === "auto" ? ASKING_WAYS : [wayIn];
  if (platform === "windows") {
    const refusal = findWindowsProblem(wayIn, missing.agent, use);
    if (refusal !== undefined) return `${name} cannot be given a target: ${refusal}`;
  } else if (wanted.every((way) => missing[way] !== undefined)) {
    const reasons = wanted.map((way) => missing[way]).join("; ");
    const advice = wayIn === "auto" ? "use a machine of rebox or qemu" : "give it another way_in";
    return `${name} cannot be given a target: ${reasons}; ${advice}`;
  }
  const problem = findNetworkProblem(facts, use.network?.wanted, machinery instanceof QmpMachinery);
  if (problem !== undefined) return problem;
  const refusal = findPlatformProblem(name, platform);
  if (refusal !== undefined) return refusal;
  if (use.scripts.length > 0 && !(machinery instanceof ReboxMachinery)) {
    return `scripts need a machine of the machinery rebox; ${name} is one of ${machineryName}`;
  }
  return undefined;
}

function findWindowsProblem(
  wayIn: WayName | "auto",
  noAgent: string | undefined,
  { recording }: TargetNeeds,
): string | undefined {
  if (recording !== undefined) return "a run of Windows cannot be recorded, as its agent answers by the network";
  if (wayIn !== "auto" && wayIn !== "agent") return `way_in = ${wayIn} leads into Linux guests only; set it to agent`;
  return noAgent && `${noAgent}; Windows is reached by the agent of CAPE or Cuckoo`;
}

/** Finds why no target can be given to machines of a platform. */
export function findPlatformProblem(name: string, platform: string): string | undefined {
  if (platform === "linux" || platform === "windows") return undefined;
  return `${name} is a machine with ${platform}: targets can be given to Linux and Windows guests only`;
}
