import { AnalysisError } from "../errors";
import type { GuestDisc } from "./guest-disc";
import type { GuestWay, ScriptResult } from "./guest-way";

/** The exit status of the copying script when no drive has the disc. */
const NO_DISC = 3;

/** The number of times that the guest looks for the disc, a quarter of a second apart. */
const LOOKS = 40;

/** A machine's drive for discs. */
export interface DiscDrive {
  insert(path: string, signal: AbortSignal): Promise<void>;
  /** Takes the disc out again, and the drive with it when it was plugged in for the disc. */
  remove(signal: AbortSignal): Promise<void>;
}

/** Copies what is on an inserted disc into the guest's /tmp. @throws AnalysisError */
export async function copyFromDisc(way: GuestWay, disc: GuestDisc, signal: AbortSignal): Promise<void> {
  checkCopied(await way.runScript(writeCopyScript(disc), signal));
}

/** @throws AnalysisError with what the console shows, when the guest has not copied a disc */
export function checkCopied({ status, output }: ScriptResult): void {
  if (status === 0) return;
  const problem =
    status === NO_DISC
      ? "the guest does not see the disc with the file: it needs a driver for its CD drive (sr_mod) or for virtio_blk"
      : `the guest cannot copy the file from its disc to /tmp (status ${status})`;
  throw new AnalysisError(`${problem}; its console shows ${JSON.stringify(output.trim().slice(-300))}`);
}

/**
 * Writes the script that copies the file from its disc into the guest's /tmp. It has few programs executed: in a guest that was frozen
 * each of them takes a tenth of a second.
 */
export function writeCopyScript({ folder }: GuestDisc): string {
  // A drive takes its time to be noticed, and is not ready when it is opened first: it is there by two names. Errors of drives that are not ours are of no interest.
  return `(
cd /tmp || exit 1
looks=0
while :; do
for drive in /dev/sr[0-9]* /dev/cdrom /dev/[vsh]d[a-z] /dev/xvd[a-z]; do
[ -b $drive ] || continue
said=$(tar xf $drive ${folder} 2>&1)
status=$?
[ -e ${folder} ] || continue
echo "$said"
exit $status
done
looks=$((looks+1))
[ $looks -gt ${LOOKS} ] && exit ${NO_DISC}
sleep .25 2>/dev/null || sleep 1
done
)`;
}
