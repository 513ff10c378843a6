/** A package that is installed in the guest. */
export interface GuestPackage {
  readonly name: string;
  readonly version: string;
  readonly type: "dpkg" | "rpm";
  /** As the package manager calls it: "amd64", "all", "x86_64", "noarch". */
  readonly arch: string;
}
