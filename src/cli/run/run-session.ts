import { Console } from "node:console";
import { setBreakpointStop } from "../../guest/breakpoints/breakpoint-list";
import { CommandSession } from "../../shell/commands/command-session";
import { setCommonSession } from "../../shell/commands/run-command-line";
import { ControlServer } from "../../shell/line/control-server";
import { RunFeed } from "../../shell/line/run-feed";
import { SerialConsole } from "../../shell/line/serial-console";
import { openShell, setShellApi, setShellHold, startShell } from "../../shell/line/start-shell";
import { closeInvestigations, openInvestigations } from "../../investigation/open-investigations";
import type { OperationHost } from "../../investigation/run-operations";
import { setScriptHost } from "../../scripts/module-control";
import { stopCompiler } from "../../scripts/loading/script-compiler";
import { ScriptError } from "../../scripts/errors";
import { ScriptHost } from "../../scripts/script-host";
import { ScriptReloader } from "../../scripts/script-reloader";
import { describeThrown } from "../../scripts/script-stack";
import { setVolatilityCommand } from "../../guest/volatility/volatility-program";
import { ExitStatus, getSignalStatus } from "../exit-status";
import { type CallbackFailure, type EnginePort, LIFECYCLE_EVENTS, type RunEnvironment } from "./run-environment";
import { JsonLog } from "./json-log";
import { watchProcess } from "../process-events";
import { RunDisposal } from "./run-disposal";
import { describeEnd, getEndDetail, getExitStatus, getRefusal, type RunEnd } from "./run-end";
import type { RunPlan } from "./run-plan";
import { createPermissionLookup, findUncaughtOrigin } from "./run-scripts";
import { GuestWatch } from "./guest-watch";
import { RunReporter } from "./run-reporter";
import { UsageError } from "../errors";
import { prepareSocket, removeSocket } from "./sockets";

/** One run of a guest, from QEMU's arguments to the exit status. */
export class RunSession {
  private readonly log: JsonLog | undefined;
  /** The stream that people read. */
  private readonly people: NodeJS.WritableStream;
  private readonly reporter: RunReporter;
  private readonly scripts: ScriptHost;
  private readonly guestWatch: GuestWatch;
  private engine: EnginePort | undefined;
  private reloader: ScriptReloader | undefined;
  private endMonitors: (() => void) | undefined;
  /** Set once the path is known to be ours: a socket of that name was then made by this run. */
  private ownedSocket: string | undefined;
  private control: ControlServer | undefined;
  /** The events for attached shells; undefined without a control socket. */
  private readonly feed: RunFeed | undefined;
  private console: SerialConsole | undefined;
  private investigations: OperationHost | undefined;
  private ended = false;
  private end!: (end: RunEnd) => void;
  /** Settles with the first reason to end the run. */
  private readonly ending = new Promise<RunEnd>((resolve) => {
    this.end = resolve;
  });

  /**
   * Prepares a run; nothing starts yet.
   *
   * @throws UsageError when the JSON file cannot be written
   */
  constructor(
    private readonly plan: RunPlan,
    private readonly environment: RunEnvironment,
  ) {
    const { stdout, stderr } = environment;
    this.log = plan.jsonFile === undefined ? undefined : JsonLog.open(plan.jsonFile, stdout);
    // With JSON on standard output, everything for people goes to standard error.
    const people = plan.jsonFile === "-" ? stderr : stdout;
    this.people = people;
    this.feed = plan.controlSocket === undefined ? undefined : new RunFeed();
    const messages = this.feed?.copyOf(people) ?? people;
    const problems = this.feed?.copyOf(stderr) ?? stderr;
    this.reporter = new RunReporter(messages, problems, this.log);
    this.guestWatch = new GuestWatch(this.reporter);
    this.scripts = new ScriptHost({
      folders: plan.scriptFolders,
      getApi: () => environment.getApi(),
      getPermissions: createPermissionLookup(plan),
      console: new Console({ stdout: messages, stderr: problems }),
      limits: { cleanMs: environment.graceMs },
      onStart: (handle, name) => environment.nameModule(handle, name),
      onReplace: (handle) => environment.replaceModule(handle),
      onUnload: (handle) => environment.disposeModule(handle),
    });
  }

  /**
   * Runs the guest until it ends, fails, is stopped, or the time limit is reached; then disposes everything.
   *
   * @returns the exit status; it never throws
   */
  async run(): Promise<number> {
    const unwatch = this.watch();
    const { timeoutMs } = this.plan;
    const atTimeLimit = () => this.end({ kind: "timeout", timeoutMs: timeoutMs ?? 0 });
    const timer = timeoutMs === undefined ? undefined : setTimeout(atTimeLimit, timeoutMs);
    try {
      await Promise.race([this.start(), this.ending]);
    } catch (error) {
      if (error instanceof ScriptError) this.reporter.scriptError(error);
      this.end(getRefusal(error));
    }
    const end = await this.ending;
    clearTimeout(timer);
    const status = await this.finish(end);
    unwatch();
    return status;
  }

  private async start(): Promise<void> {
    const { plan, environment, reporter } = this;
    for (const warning of plan.warnings) reporter.say(warning);
    if (plan.monitorSocket !== undefined) {
      await prepareSocket(plan.monitorSocket, "--monitor");
      this.ownedSocket = plan.monitorSocket;
    }
    const qemuArgs = (await plan.recorded?.prepare()) ?? plan.qemuArgs;
    reporter.event("start", { qemuArgs, scripts: plan.scripts });
    if (this.feed) this.console = await SerialConsole.offer(qemuArgs, this.feed);
    if (this.ended) return;
    this.engine = environment.createEngine([...qemuArgs, ...(this.console?.qemuArgs ?? [])]);
    this.watchEngine(this.engine);
    plan.recorded?.watch(this.engine, {
      say: (text) => reporter.say(text),
      tell: (text, type, detail) => reporter.tell(text, type, detail),
      end: (end) => this.end(end),
    });
    if (plan.callbackLimitMs !== undefined) this.engine.callbackLimitMs = plan.callbackLimitMs;
    setVolatilityCommand(plan.volatilityCommand);
    environment.configureGuest({ profile: plan.profile, onAttempt: (refusal) => this.guestWatch.note(refusal) });
    this.watchScripts();
    setScriptHost(this.scripts);
    this.endMonitors = environment.serveMonitors(this.scripts);
    this.prepareInvestigations();
    await this.openShells();
    if (plan.watch) this.reloader = this.watchFiles();
    for (const script of plan.scripts) {
      await this.scripts.load(script);
      if (this.ended) return;
    }
    await this.startInvestigations();
    // A reload shall not wait until the compiler has started again.
    const mayReload =
      plan.watch || plan.hasShell || plan.monitorSocket !== undefined || plan.controlSocket !== undefined;
    if (!mayReload) await stopCompiler();
    if (!this.ended) this.engine.run();
  }

  /** Opens the shells before the scripts are loaded, so that they can watch the loading. */
  private async openShells(): Promise<void> {
    const { plan, environment, reporter } = this;
    const api = environment.getApi();
    setCommonSession(new CommandSession(api));
    setShellApi(api);
    if (plan.controlSocket !== undefined) {
      await prepareSocket(plan.controlSocket, "--control");
      this.control = await ControlServer.listen(plan.controlSocket, api, this.feed);
      if (plan.isBehindUi) this.tellUi(this.control);
    }
    if (plan.hasShell || plan.isBehindUi) setBreakpointStop(({ cpuIndex }) => startShell(cpuIndex));
    if (plan.hasShell) {
      openShell(new CommandSession(api), { output: this.people }).catch((error: unknown) =>
        reporter.say(`the shell has ended: ${describeThrown(error)}`),
      );
    }
  }

  /** Sets the investigations before anybody can ask: privacy holds from the beginning. */
  private prepareInvestigations(): void {
    const { plan, environment, reporter } = this;
    const isPrivate = plan.hasPrivateInvestigations;
    this.investigations = openInvestigations(plan.scriptFolders, () => environment.getApi(), {
      ...{ configFolder: plan.investigationConfig, isPrivate },
      log: (text) => reporter.say(text),
      onAlert: (alert) => {
        reporter.event("alert", { ...alert });
        reporter.say(`alert of ${alert.module}: [${alert.level}] ${alert.text}`);
      },
    });
  }

  /** Starts the persistent modules: they watch before the first instruction. */
  private async startInvestigations(): Promise<void> {
    for (const module of this.plan.investigations) {
      await this.investigations?.persistent.start(module).catch((error: unknown) => {
        throw new UsageError(`the investigation ${module} cannot be started: ${describeThrown(error)}`);
      });
    }
  }

  /** Lets the process in front connect. A shell in a callback uses the attached shells: this process has no standard input. */
  private tellUi(control: ControlServer): void {
    setShellHold((cpuIndex) => control.hold(cpuIndex));
    process.send?.("control");
  }

  private watchEngine(engine: EnginePort): void {
    for (const event of LIFECYCLE_EVENTS) {
      engine.on(event, (detail) => {
        this.reporter.event(event, typeof detail === "object" ? { ...detail } : {});
        if (event !== "reset") this.feed?.setState(event);
      });
    }
    engine.on("triggerOutput", ({ kind, text }) =>
      this.reporter.message({ handle: 0, script: "trigger", text: kind === "text" ? text : `${kind}: ${text}` }),
    );
    engine.on("callbackError", (failure) => this.reportFailure(failure));
    engine.ended.then(
      (end) => this.end({ kind: "engine", end }),
      (error: unknown) => this.end({ kind: "fault", error }),
    );
  }

  private watchScripts(): void {
    this.scripts.on("message", (message) => this.reporter.message(message));
    this.scripts.on("warning", (text) => this.reporter.say(text));
    this.scripts.on("strayError", (script, error) => this.reportStray(script, error));
    for (const event of ["loaded", "unloaded"] as const) {
      this.scripts.on(event, ({ name, handle, file }) => this.reporter.event(event, { script: name, handle, file }));
    }
    this.scripts.on("reloaded", ({ name, handle, file, version }) =>
      this.reporter.event("reloaded", { script: name, handle, file, version }),
    );
  }

  private watchFiles(): ScriptReloader {
    const { reporter, scripts } = this;
    return new ScriptReloader(scripts, {
      onReloaded: ({ name, version }, elapsedMs) =>
        reporter.say(`${name} is reloaded: version ${version}, in ${elapsedMs.toFixed(0)} ms`),
      onRefused: (error) => {
        reporter.scriptError(error);
        reporter.say(`${error.script} was not reloaded: its old version goes on`);
      },
    });
  }

  private watch(): () => void {
    const { stdout, stderr, processEvents, exitNow } = this.environment;
    // The reader of our output went away (`| head`). Node ignores SIGPIPE, which ends other programs then. The listener
    // stays: later writes fail too, and an error without a listener would throw.
    for (const stream of [stdout, stderr]) stream.on("error", () => this.end({ kind: "signal", signal: "SIGPIPE" }));
    return watchProcess(processEvents, {
      onFirstSignal: (signal) => this.end({ kind: "signal", signal }),
      onNextSignal: (signal) => exitNow(getSignalStatus(signal)),
      onUncaught: (error) => this.handleUncaught(error),
      onExit: () => {
        this.removeSocket();
        this.plan.recorded?.close();
      },
    });
  }

  private reportFailure(failure: CallbackFailure): void {
    this.reporter.callbackFailure(failure, (error) => this.scripts.getStack(error));
  }

  private handleUncaught(error: unknown): void {
    const origin = findUncaughtOrigin(error, this.scripts, this.environment.projectFolder);
    if (origin !== undefined) {
      const wrapped = origin.error instanceof Error ? origin.error : new Error(describeThrown(origin.error));
      this.reportStray(origin.script, wrapped);
    } else if (this.ended) {
      this.reporter.say(describeEnd({ kind: "fault", error }) ?? "");
    } else {
      this.end({ kind: "fault", error });
    }
  }

  private reportStray(script: string, error: Error): void {
    this.reportFailure({ callback: "(timer or promise)", script, error, count: 1, removed: false });
  }

  /** Disposes everything, in the order: scripts, engine, socket, log. The only way to the end of a run. */
  private async finish(end: RunEnd): Promise<number> {
    this.ended = true;
    const { reporter, log } = this;
    const sentence = describeEnd(end);
    if (sentence !== undefined) reporter.say(sentence);
    if (end.kind === "timeout") reporter.event("timeout", { timeoutMs: end.timeoutMs });
    if (end.kind === "signal") reporter.event("signal", { signal: end.signal });
    this.reloader?.close();
    this.endMonitors?.();
    await closeInvestigations();
    const disposal = new RunDisposal(reporter, this.environment.graceMs);
    await disposal.unloadScripts(this.scripts);
    setScriptHost(undefined);
    setCommonSession(undefined);
    this.feed?.close();
    this.control?.close();
    const { engine } = this;
    const isStopped = engine === undefined || end.kind === "engine" || (await disposal.stopEngine(engine));
    let status = isStopped ? getExitStatus(end) : ExitStatus.engineFault;
    this.console?.close();
    this.removeSocket();
    this.guestWatch.end();
    const recorded = engine && this.plan.recorded?.describe(end);
    this.plan.recorded?.close();
    if (recorded) {
      reporter.say(recorded.sentence);
      reporter.event("recording", recorded.detail);
      if (recorded.hasFailed) status ||= ExitStatus.failure;
    }
    reporter.end(status, getEndDetail(end));
    if (log?.writeFailure !== undefined) {
      reporter.say(`the JSON log ${this.plan.jsonFile} is incomplete: ${log.writeFailure.message}`);
      status ||= ExitStatus.failure;
    }
    log?.close();
    return status;
  }

  private removeSocket(): void {
    if (this.ownedSocket !== undefined) removeSocket(this.ownedSocket);
    this.control?.close();
  }
}
