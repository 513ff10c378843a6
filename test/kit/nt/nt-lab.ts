import { connectWhenListening } from "../clients/control-client";
import { type StandInAgent, withAgent } from "../lab/stand-in-agent";
import { type TestLab, untilTrue, withTestLab } from "../lab/lab-run";
import { yamlOf } from "../lab/analyze-run";
import { buildNtKernel, type NtTruth, ntBootFiles, readNtTruth } from "./nt-kernel";

/** Of the guest, where the test kernel says that its programs lie. */
const FOLDER = "C:\\Windows\\System32";

/** A lab with a machine of rebox, "office", that runs the test kernel, and an agent that stands in for one in it. */
export interface NtLab {
  readonly lab: TestLab;
  readonly agent: StandInAgent;
  /** What rebox has given the agent to execute, in order. */
  readonly requests: readonly unknown[];
  /** Variables of the environment by which rebox finds the kernel's symbols. */
  readonly env: Readonly<Record<string, string>>;
  truth(): readonly NtTruth[];
}

/**
 * Runs a lab in which the agent, asked to execute something, lets the test kernel go on behind its first hold, and when this has reached
 * the next one, waits until the kernel has said what is waited for, and lets it go on again; the program has ended then for the agent.
 *
 * @param script with three holds
 * @param isDone whether the kernel has said all
 */
export async function withNtLab(
  layout: string,
  script: readonly string[],
  isDone: (truth: readonly NtTruth[]) => boolean,
  use: (lab: NtLab) => Promise<void>,
): Promise<void> {
  const kernel = buildNtKernel(layout);
  let lab: TestLab | undefined;
  let isOver = false;
  const requests: unknown[] = [];
  const truth = (): NtTruth[] => readNtTruth(lab!.read("state/office/console.log"));
  const holds = (): number => truth().filter(({ event }) => event === "hold").length;
  const execute = async (): Promise<void> => {
    await untilTrue(() => holds() >= 1);
    const client = await connectWhenListening(lab!.path("state/office/control.sock"));
    await client.run("ed kernel!TestGate=1");
    await untilTrue(() => holds() >= 2 && isDone(truth()));
    await client.run("ed kernel!TestGate=2");
    await untilTrue(() => holds() >= 3);
    client.close();
    isOver = true;
  };
  const answer = (value: object) => ({ status: 200, text: JSON.stringify(value) });
  const intercept = (method: string, path: string, form: ReadonlyMap<string, string>) => {
    if (path === "/mkdtemp") return answer({ dirpath: FOLDER });
    if (path === "/store") {
      if (form.get("filepath")?.endsWith("request") === true) requests.push(JSON.parse(form.get("file") ?? ""));
      return answer({ message: "Successfully stored file" });
    }
    if (path === "/retrieve")
      return isOver ? answer({ status: 0, output: "" }) : { status: 404, text: JSON.stringify({ message: "none" }) };
    if (path === "/status") return answer({ status: "running", process_id: 1 });
    if (path !== "/execpy" || method !== "POST") return undefined;
    void execute();
    return answer({ message: "Successfully spawned command", process_id: 1 });
  };
  await withAgent({ system: "Windows", intercept }, async (agent) => {
    await withTestLab({}, async (made) => {
      lab = made;
      const { loader, modules, append } = ntBootFiles(kernel, made.folder, { script });
      const settings = ["platform: windows", "ip: 127.0.0.1", `agent_port: ${agent.port}`, "memory: 64M"];
      settings.push(`kernel: ${loader}`, `append: "${append}"`, `args: '-initrd ${modules} -no-reboot'`);
      made.write("conf/machineries/rebox.yaml", yamlOf({ office: settings }));
      const env = { XDG_DATA_HOME: made.folder, _NT_SYMBOL_PATH: kernel.folder };
      await use({ lab: made, agent, requests, env, truth });
    });
  });
}
