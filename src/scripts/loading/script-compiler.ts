import type { ChildProcess } from "node:child_process";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import type * as compiler from "esbuild";

/** The compiler, loaded at its first use: most commands compile nothing. */
let esbuild: typeof compiler | undefined;

/** esbuild's own process, while there is one. esbuild does not give it away. */
let service: ChildProcess | undefined;

/** Calls esbuild's build(). The compiler is a process of its own, which stays for the next call until stopCompiler(). */
export const compile: typeof compiler.build = async (options) => {
  // Processes are announced synchronously, and esbuild starts its own within build().
  subscribe("child_process", rememberService);
  try {
    esbuild ??= await import("esbuild");
    return await esbuild.build(options);
  } finally {
    unsubscribe("child_process", rememberService);
  }
};

/** Ends the compiler's process, if there is one, and waits until it is gone: otherwise it would stay as a zombie. */
export async function stopCompiler(): Promise<void> {
  const child = service;
  service = undefined;
  await esbuild?.stop();
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  child.ref();
  await once(child, "exit");
}

function rememberService(message: unknown): void {
  const child = (message as { process: ChildProcess }).process;
  // Announced before it is spawned, so its file is not known yet; it is when the compiler is stopped.
  queueMicrotask(() => {
    if (child.spawnargs?.some((argument) => argument.startsWith("--service="))) service = child;
  });
}
