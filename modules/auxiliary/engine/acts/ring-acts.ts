/** Tells what requests of io_uring have done, which no system call of the program shows. */
import { type CallbackManager, findGuest, getGuest } from "rebox";
import { type RingConnection, type RingFile, type RingRequest, RingRequests, type TargetScope } from "rebox/trusted";
import { readAddress, resolvePath } from "./act-arguments";
import type { ReportAct } from "./acts";
import { type PendingConnections, UNDECIDED } from "./pending-connections";
import type { Traced } from "../traced-processes";

const ACTS = {
  ...{ written: "file.written", made: "file.made", removed: "file.removed", renamed: "file.renamed" },
  ...{ linked: "file.linked", "linked by text": "file.linked" },
} as const;

/** Watches the requests of a scope's processes. */
export class RingActs {
  /**
   * @param findCaller finds a process of the scope by its number
   * @param isNewWriter returns whether it is the first time that a process writes a file
   */
  constructor(
    private readonly report: ReportAct,
    private readonly pending: PendingConnections,
    private readonly findCaller: (pid: number) => Traced | undefined,
    private readonly isNewWriter: (caller: Traced, path: string) => boolean,
  ) {}

  /** Begins; what this kernel lacks is not seen. */
  hook(scope: TargetScope, callbacks: CallbackManager): void {
    const onRequest = (request: RingRequest): void => {
      const caller = this.findCaller(request.pid);
      if (caller === undefined) return;
      if (request.kind === "connects") this.connect(caller, request);
      else this.tellFile(caller, request);
    };
    // A request that cannot be read is not told.
    new RingRequests(getGuest(), callbacks, scope, onRequest, () => undefined).hook();
  }

  private tellFile(caller: Traced, { kind, path: named, folder, to, toFolder, isExchange }: RingFile): void {
    const process = findGuest()?.findProcess(caller.pgd);
    const place = (at: number, name: string): string => resolvePath(process, BigInt(at), name);
    // A symbolic link holds any text.
    const path = folder === undefined || kind === "linked by text" ? named : place(folder, named);
    if (kind === "written" && !this.isNewWriter(caller, path)) return;
    this.report(ACTS[kind], caller, {
      path,
      ...(to === undefined || toFolder === undefined ? {} : { to: place(toFolder, to) }),
      ...(isExchange === true ? { exchanged: true } : {}),
      ...(kind === "made" ? { kind: "folder" } : kind === "linked by text" ? { kind: "symbolic" } : {}),
    });
  }

  private connect(caller: Traced, { sock, address, size }: RingConnection): void {
    const end = readAddress(caller.pgd, address, size);
    if (end === undefined) return;
    const facts = { protocol: "tcp", ...end };
    const tell = (error: number | undefined): void => {
      if (error === undefined) this.report("network.connected", caller, facts);
      else this.report("network.failed", caller, { ...facts, error });
    };
    if (!this.pending.follow(sock, tell)) tell(UNDECIDED);
  }
}
