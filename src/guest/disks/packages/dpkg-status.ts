import type { GuestPackage } from "./guest-package";

const MOST_PACKAGES = 1_000_000;

/**
 * Reads what dpkg knows of packages (deb-control(5), dpkg's file "status"): paragraphs of fields.
 *
 * @returns those that are installed, as `dpkg -l` marks them "ii"
 */
export function parseDpkgStatus(text: string): GuestPackage[] {
  const packages: GuestPackage[] = [];
  for (const paragraph of text.split(/\n[ \t]*\n/)) {
    const field = (name: string): string =>
      new RegExp(`^${name}:[ \\t]*(.*?)[ \\t\\r]*$`, "mi").exec(paragraph)?.[1] ?? "";
    const name = field("Package");
    // The folder status.d has a file for each package, without a status.
    const status = field("Status");
    if (name === "" || (status !== "" && !status.endsWith(" installed"))) continue;
    packages.push({ name, version: field("Version"), type: "dpkg", arch: field("Architecture") });
    if (packages.length >= MOST_PACKAGES) break;
  }
  return packages;
}
