import { parentPort } from "node:worker_threads";
import { doWork, type Work } from "./work";

/** An answer of the thread. */
export type WorkAnswer = { readonly result: unknown } | { readonly failure: string };

/** The program of a thread: does one work after the other. */
parentPort!.on("message", (work: Work) => {
  doWork(work).then(
    (result) => parentPort!.postMessage({ result } satisfies WorkAnswer),
    (error: unknown) =>
      parentPort!.postMessage({
        failure: error instanceof Error ? error.message : String(error),
      } satisfies WorkAnswer),
  );
});
