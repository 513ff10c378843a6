import { AnalysisError } from "../errors";
import type { GuestDisc } from "./guest-disc";
import type { GuestWay } from "./guest-way";

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
  const result = await way.runScript(writeCopyScript(disc), signal);
  if (result.status === 0) return;
  const problem =
    result.status === NO_DISC
      ? "the guest does not see the disc with the file: it needs a driver for its CD drive (sr_mod) or for virtio_blk"
      : `the guest cannot copy the file from its disc to /tmp (status ${result.status})`;
  throw new AnalysisError(`${problem}; its console shows ${JSON.stringify(result.output.trim().slice(-300))}`);
}

/** Writes the script that copies the file from its disc into a folder of its own in the guest's /tmp. */
function writeCopyScript({ folder, name }: GuestDisc): string {
  // A drive takes its time to be noticed; errors of drives that are not ours are of no interest.
  return `(
looks=0
found=
while [ -z "$found" ]; do
  for drive in /dev/sr[0-9]* /dev/vd[a-z] /dev/sd[a-z] /dev/xvd[a-z] /dev/hd[a-z] /dev/cdrom; do
    [ -b "$drive" ] || continue
    dd if="$drive" bs=2048 count=1 2>/dev/null | grep -q ${folder} && found=$drive && break
  done
  [ -n "$found" ] && break
  looks=$((looks + 1))
  [ $looks -gt ${LOOKS} ] && exit ${NO_DISC}
  sleep 0.25 2>/dev/null || sleep 1
done
cd /tmp && tar xf "$found" && chmod 755 ${folder}/${name}
)`;
}
