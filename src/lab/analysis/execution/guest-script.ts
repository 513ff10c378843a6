import type { TargetDisc } from "./target-disc";

/** What copying the target says when no drive has the disc. */
export const NO_DISC = 3;

/** So often, and a quarter of a second apart, the guest looks for the disc. */
const LOOKS = 40;

/** Writes the script that copies the target from its disc into a folder of its own in the guest's /tmp. */
export function writeCopyScript({ folder, name }: TargetDisc): string {
  // A drive takes its time to be noticed; what is wrong with one that is not ours is of no interest.
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

/**
 * Writes the script that runs the command, and waits until all that it has started has ended, too: those processes are known by what
 * is in their environment. The command runs in the folder of the target, whose path is $TARGET, and reads nothing: what is typed is ours.
 *
 * @param disc that the target was copied from; undefined when there is only a command
 * @param command for sh; undefined executes the target
 * @param mark a word for the environment that nobody else uses
 */
export function writeRunScript(disc: TargetDisc | undefined, command: string | undefined, mark: string): string {
  const place = disc === undefined ? "" : `cd /tmp/${disc.folder} && TARGET=$PWD/${disc.name} && export TARGET && `;
  const line = command ?? `exec ./${disc?.name ?? "true"}`;
  return `(
${place}REBOX_RUN=${mark} exec sh -c ${quote(line)} </dev/null
)
rebox_end=$?
while grep -qs ${mark} /proc/[0-9]*/environ; do sleep 1; done
(exit $rebox_end)`;
}

/** Makes text one word of a POSIX shell. */
function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
