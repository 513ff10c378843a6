import { EngineUsageError } from "../errors";

const NEEDS_TCG =
  "callbacks need TCG, QEMU's own translator, because a guest under hardware virtualization executes " +
  "where nobody can watch: leave the accelerator out, or say -accel tcg";

function findAccelerators(option: string, value: string): string[] {
  if (option === "-accel") {
    return [value.split(",")[0] ?? ""];
  }
  if (option === "-machine" || option === "-M") {
    const accelerators = /(?:^|,)accel=([^,]*)/.exec(value)?.[1];
    return accelerators === undefined ? [] : accelerators.split(":");
  }
  return [];
}

/**
 * Checks QEMU's arguments for what can never work inside Node.
 *
 * @param argv QEMU's arguments, without the program's name
 * @throws EngineUsageError that names the argument and what to do
 */
export function checkQemuArguments(argv: readonly string[]): void {
  argv.forEach((argument, index) => {
    // QEMU takes one dash or two.
    const option = argument.replace(/^--/, "-");
    if (option === "-enable-kvm") {
      throw new EngineUsageError(`${argument}: ${NEEDS_TCG}`);
    }
    if (option === "-daemonize") {
      throw new EngineUsageError(
        `${argument}: QEMU runs inside this Node process and cannot leave it; run rebox itself in the background`,
      );
    }
    const value = argv[index + 1] ?? "";
    for (const accelerator of findAccelerators(option, value)) {
      if (!["", "tcg", "help", "?"].includes(accelerator.replace(/^accel=/, ""))) {
        throw new EngineUsageError(`${argument} ${value}: ${NEEDS_TCG}`);
      }
    }
  });
}
