/** Keeps what the target leaves, in its engine; for the module of the same name. */
import { getGuest } from "rebox";
import { type GuestObserver } from "rebox/lab";
import {
  type ArtefactLimits,
  ArtefactStore,
  CodeFiles,
  type CodeLimits,
  type CoreLimits,
  type KeptCore,
  KeptCores,
  type KeptFile,
  KeptFiles,
  onTargetBegin,
  type WrittenCode,
  WrittenCodeWatch,
} from "rebox/trusted";

/** What the module gives. */
export interface ArtefactOptions extends ArtefactLimits, CoreLimits, CodeLimits {
  /** Of the contents, absolute. */
  readonly folder: string;
  /** Of cores, absolute. */
  readonly coreFolder: string;
  /** Of code that was written at run time, absolute. */
  readonly codeFolder: string;
  readonly mostVersions: number;
}

/** What the module is told. */
export type ArtefactEvent =
  | ({ readonly what: "file" } & KeptFile)
  | ({ readonly what: "core" } & KeptCore)
  | ({ readonly what: "code" } & WrittenCode)
  /** Something could not be read, or this kernel does not show it. */
  | { readonly what: "problem"; readonly text: string };

export function observe({ callbacks, options, tell }: GuestObserver): () => Promise<void> {
  const { folder, coreFolder, codeFolder, mostVersions, ...limits } = options as unknown as ArtefactOptions;
  const report = (event: ArtefactEvent): void => tell(event);
  const problem = (text: string): void => report({ what: "problem", text });
  const store = new ArtefactStore(folder, limits);
  const kept = new CodeFiles(codeFolder, limits);
  const count = { cores: 0, bytes: 0 };
  let files: KeptFiles | undefined;
  let code: WrittenCodeWatch | undefined;
  // Before the target begins there is nothing to keep, and nothing is hooked.
  const forget = onTargetBegin((scope) => {
    const onFile = (file: KeptFile): void => report({ what: "file", ...file });
    files = new KeptFiles(getGuest(), callbacks, scope, store, mostVersions, onFile, problem);
    const missing = files.hook();
    const onCore = (core: KeptCore): void => report({ what: "core", ...core });
    const cores = new KeptCores(getGuest(), callbacks, scope, coreFolder, limits, count, onCore, problem);
    if (limits.mostCores > 0 && !cores.hook()) problem("this kernel does not show when processes end");
    if (limits.mostCode > 0 && getGuest().kernel.bits === 64) {
      const onCode = (written: WrittenCode): void => report({ what: "code", ...written });
      code = new WrittenCodeWatch(getGuest(), callbacks, scope, kept, onCode, problem);
      const unseen = code.hook();
      if (unseen.length > 0)
        problem(`this kernel does not show memory that is made executable by ${unseen.join(", ")}`);
    }
    if (missing.length > 0) problem(`this kernel does not show when files are ${missing.join(", ")}`);
    return () => {
      // What was open is as the disk has it now: the kernel that knew is gone.
      files = undefined;
      code?.end();
      callbacks.clean();
    };
  });
  return async () => {
    forget();
    code?.end();
    await files?.end();
  };
}
