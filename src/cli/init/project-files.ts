import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

const SCRIPT = `import { CallbackManager } from "rebox";

let callbacks: CallbackManager;

/** Called when the script is loaded, before the guest's first instruction. */
export function initialize_callbacks(moduleHandle: number, printer: (text: string) => void): void {
  callbacks = new CallbackManager(moduleHandle);
  callbacks.addCallback(CallbackManager.CREATEPROC_CB, (pid, pgd, name) => {
    printer(\`process \${pid}: \${name}, address space 0x\${pgd.toString(16)}\`);
  });
}

/** Called when the script is unloaded. */
export function clean(): void {
  callbacks.clean();
}
`;

/** Describes the task that an editor offers, and how it reads what `rebox check` prints. */
const TASKS = {
  version: "2.0.0",
  tasks: [
    {
      label: "rebox check",
      type: "shell",
      command: "npx rebox check scripts/*.ts",
      group: { kind: "build", isDefault: true },
      problemMatcher: {
        owner: "rebox",
        fileLocation: ["relative", "${workspaceFolder}"],
        pattern: { regexp: "^(.+?):(\\d+):(\\d+): (.*)$", file: 1, line: 2, column: 3, message: 4 },
      },
    },
  ],
};

/** Strict, as `rebox check` is without a configuration; the loader of scripts decides how they are compiled. */
const COMPILER_OPTIONS = {
  target: "es2022",
  lib: ["es2023", "esnext.disposable"],
  module: "esnext",
  moduleResolution: "bundler",
  strict: true,
  noUncheckedIndexedAccess: true,
  noEmit: true,
  skipLibCheck: true,
};

/**
 * Makes the files that a folder needs for scripts of rebox: a script to begin with, and what an editor completes and checks it by.
 *
 * @param folder where they go
 * @param projectFolder rebox's own folder
 * @returns their texts by path, relative to the folder
 */
export function makeProjectFiles(folder: string, projectFolder: string): Map<string, string> {
  const tsconfig = {
    compilerOptions: { ...COMPILER_OPTIONS, ...(hasRebox(folder) ? {} : nameTypes(projectFolder)) },
    include: ["scripts", "modules"],
  };
  return new Map([
    ["scripts/my_script.ts", SCRIPT],
    ["tsconfig.json", `${JSON.stringify(tsconfig, undefined, 2)}\n`],
    [".vscode/tasks.json", `${JSON.stringify(TASKS, undefined, 2)}\n`],
  ]);
}

/** Returns whether an import of rebox from this folder finds an installed package. */
function hasRebox(start: string): boolean {
  for (let folder = resolve(start); ; folder = dirname(folder)) {
    if (existsSync(join(folder, "node_modules/rebox/package.json"))) return true;
    if (folder === dirname(folder)) return false;
  }
}

/** For a rebox that is installed elsewhere: where its types are, and those of Node. */
function nameTypes(projectFolder: string) {
  const doors = join(projectFolder, "build/js/src/doors");
  return {
    paths: { rebox: [join(doors, "rebox.d.ts")], "rebox/*": [join(doors, "*.d.ts")] },
    typeRoots: [join(projectFolder, "node_modules/@types")],
    types: ["node"],
  };
}
