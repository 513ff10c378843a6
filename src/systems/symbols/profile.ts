import type { KernelProfile } from "./kernel-profile";

/** A kernel's profile, with what the file says about which kernel it is for. */
export interface Profile extends KernelProfile {
  /** The kernel's build id in hexadecimal; undefined when the file does not say it. */
  readonly buildId: string | undefined;
  /** What /proc/version prints; undefined when the file does not say it. */
  readonly banner: string | undefined;
}
