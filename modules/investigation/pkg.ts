import {
  compileExpression,
  type Findings,
  formatDuration,
  Investigation,
  type InvestigationContext,
  type InvestigationResult,
  parseFlags,
  registerInvestigation,
  UsageShown,
  z,
} from "rebox/investigation";
import { GuestFiles, type GuestPackage, listPackages } from "rebox/trusted";

const Parameters = z.strictObject({
  pkgmatch: z.strictObject({
    matches: z.array(z.string()).default([]).describe("Regular expressions for the package's name."),
  }),
  vermatch: z
    .string()
    .default("")
    .describe('A regular expression for its version; "!REGEX" for those that it does not match.'),
  source: z.enum(["guest", "memory", "disk"]).default("guest").describe("Where files are read."),
  filesystem: z.int().min(0).optional().describe("Which one, for the source disk."),
  root: z.string().default("").describe("The folder that the system lies in, for example of a container."),
});

type PackageParameters = z.infer<typeof Parameters>;

interface Elements {
  readonly packages: readonly GuestPackage[];
}

interface Statistics {
  readonly packagescount: number;
  readonly totalhits: number;
  readonly exectime: string;
  readonly source: readonly string[];
}

const HELP = `pkg looks for packages that are installed in the guest: dpkg's, and rpm's since 4.16.

-name REGEX      the package's name; may be repeated
-version REGEX   its version; "!REGEX" for those that it does not match
-source SOURCE   guest (the default), memory, or disk
-filesystem N    which one, for -source disk
-root PATH       the folder that the system lies in, for example of a container`;

/** Looks for installed packages (MIG's module pkg), from outside. */
class PackageInvestigation extends Investigation<PackageParameters, Elements, Statistics> {
  protected readonly schema = Parameters;

  override validateParameters(): void {
    const { pkgmatch, vermatch, root, source, filesystem } = this.parameters;
    if (pkgmatch.matches.length === 0) throw new Error("pkgmatch.matches needs at least one expression");
    for (const text of pkgmatch.matches) compileExpression(text);
    if (vermatch !== "") parseInverse(vermatch);
    if (root !== "" && !root.startsWith("/")) throw new Error(`the root ${JSON.stringify(root)} must begin with /`);
    if (filesystem !== undefined && source !== "disk") throw new Error('filesystem is for source "disk" only');
  }

  protected async investigate(): Promise<Findings<Elements, Statistics>> {
    const began = performance.now();
    const { pkgmatch, vermatch, source, filesystem, root } = this.parameters;
    const names = pkgmatch.matches.map((text) => compileExpression(text));
    const version = vermatch === "" ? undefined : parseInverse(vermatch);
    const files = await GuestFiles.open({ source, filesystem });
    try {
      const { packages, problems } = await listPackages(files, root.replace(/\/+$/, ""), this.context.signal);
      const found = packages.filter(
        (one) =>
          names.some((name) => name.test(one.name)) &&
          (!version || version.pattern.test(one.version) !== version.isInverse),
      );
      const statistics = {
        packagescount: packages.length,
        totalhits: found.length,
        exectime: formatDuration((performance.now() - began) * 1e6),
        source: files.sources,
      };
      const errors = [...files.problems, ...problems];
      return { found: found.length > 0, elements: { packages: found }, statistics, errors };
    } finally {
      await files.close();
    }
  }

  printResults({ elements, statistics, errors }: InvestigationResult, foundOnly: boolean): string[] {
    const { packages = [] } = (elements ?? {}) as Partial<Elements>;
    const lines = packages.map(
      ({ name, version, type, arch }) => `pkgmatch name=${name} version=${version} type=${type} arch=${arch}`,
    );
    if (foundOnly) return lines;
    const { packagescount = 0, totalhits = 0, exectime = "0s" } = (statistics ?? {}) as Partial<Statistics>;
    const none = packages.length === 0 ? ["no package matches"] : [];
    const problems = (errors ?? []).map((error) => `error: ${error}`);
    return [
      ...none,
      ...lines,
      ...problems,
      `stat: ${packagescount} packages, ${totalhits} matched, ran in ${exectime}`,
    ];
  }

  paramsParser(args: readonly string[]): PackageParameters {
    const flags = { name: "texts", version: "text", source: "text", filesystem: "number", root: "text" } as const;
    const { name = [], version, ...rest } = parseFlags(args, flags, HELP);
    if (args.length === 0) throw new UsageShown(HELP);
    return this.accept({
      pkgmatch: { matches: name },
      ...(version === undefined ? {} : { vermatch: version }),
      ...rest,
    });
  }
}

function parseInverse(text: string): { readonly pattern: RegExp; readonly isInverse: boolean } {
  const isInverse = text.length > 1 && text.startsWith("!");
  return { pattern: compileExpression(isInverse ? text.slice(1) : text), isInverse };
}

registerInvestigation("pkg", { newRun: (context: InvestigationContext) => new PackageInvestigation(context) });
