import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import WebSocket from "ws";
import { getBuildFolder } from "../guest-arguments";
import type { Measure } from "../measure";
import { SampleCollection } from "../sample-collection";
import { ScreenViewer } from "../screen-viewer";
import { type ServedLab, withLabFolder, withServedLab } from "../served-lab";

const FRAMES_MS = 5_000;
const PATIENCE_MS = 120_000;
const AGAIN_MS = 1_000;
/** Of the guest's shell: it takes some seconds. */
const WORK = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";

/** How quick the live screen of a machine is, and what it costs the guest; "plain" is the same without anybody who looks. */
export const serverScreen: Measure = {
  name: "server-screen",
  async run({ pairs, say }) {
    const frames = new SampleCollection("live screen: frames in a second, over loopback", "", { of: "value", bound: "at least", value: 10 }); // prettier-ignore
    const work = new SampleCollection("work in the guest whose screen changes, while it is looked at", "s", { of: "ratio", bound: "at most", value: 1.03 }); // prettier-ignore
    await withLabFolder(async (folder) => {
      addMachine(folder);
      const rebox = (...args: string[]) => execFileSync(process.execPath, [join(getBuildFolder(), "js/src/cli/main.js"), "machine", ...args, "--lab", folder]); // prettier-ignore
      const stop = () => void rebox("stop", "m");
      // A signal is an exit, and a machine outlives the command that has started it.
      process.prependListener("exit", stop);
      try {
        rebox("start", "m");
        await withServedLab(folder, async (lab) => {
          const shell = await Shell.open(lab);
          // The screen changes all the time, with and without somebody who looks: no picture is as the one before.
          shell.type("(i=0; while :; do echo $((i=i+1)); done > /dev/tty0) &");
          for (let turn = 0; turn < pairs; turn++) {
            say(`${this.name}: ${turn + 1} of ${pairs}`);
            work.addPlain(await shell.work());
            const screen = await ScreenViewer.open(await connect(lab, "screen"));
            const before = screen.frames;
            await new Promise((resolve) => setTimeout(resolve, FRAMES_MS));
            frames.addRebox(((screen.frames - before) * 1000) / FRAMES_MS);
            work.addRebox(await shell.work());
            screen.close();
          }
          shell.close();
        });
      } finally {
        process.off("exit", stop);
        stop();
      }
    });
    return [frames, work].map((row) => row.toRow());
  },
};

function addMachine(folder: string): void {
  const kit = join(getBuildFolder(), "guest");
  const append = "console=ttyS0 quiet no_timer_check panic=-1 rebox.run=console";
  mkdirSync(join(folder, "conf/machineries"), { recursive: true });
  writeFileSync(
    join(folder, "conf/machineries/rebox.yaml"),
    `machines:\n  m:\n    platform: linux\n    kernel: ${kit}/vmlinuz\n    initrd: ${kit}/initramfs.cpio.gz\n    memory: 256M\n    append: "${append}"\n`,
  );
}

async function connect({ url, authorization }: ServedLab, path: string): Promise<WebSocket> {
  const socket = new WebSocket(`${url.replace("http", "ws")}/api/v1/machines/m/${path}`, { headers: { authorization } }); // prettier-ignore
  await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
  return socket;
}

/** The shell on the guest's serial console. */
class Shell {
  #text = "";
  #count = 0;

  private constructor(private readonly socket: WebSocket) {
    socket.on("message", (bytes: Buffer) => (this.#text = (this.#text + bytes.toString("latin1")).slice(-(1 << 16))));
  }

  static async open(lab: ServedLab): Promise<Shell> {
    const shell = new Shell(await connect(lab, "console?control=yes"));
    // A shell that begins throws away what was typed before.
    const again = setInterval(() => shell.type("echo th''ere"), AGAIN_MS);
    await shell.#until(/there/).finally(() => clearInterval(again));
    return shell;
  }

  type(line: string): void {
    this.socket.send(`${line}\r`);
  }

  /** Has it work. @returns how long that takes by the guest's own clock, in seconds */
  async work(): Promise<number> {
    const mark = `turn${++this.#count}`;
    this.type(`read a b < /proc/uptime; ${WORK}; read c d < /proc/uptime; echo ${mark}"=$a=$c="`);
    const [, from, to] = await this.#until(new RegExp(`${mark}=([\\d.]+)=([\\d.]+)=`));
    return Number(to) - Number(from);
  }

  close(): void {
    this.socket.close();
  }

  async #until(pattern: RegExp): Promise<RegExpExecArray> {
    const endMs = performance.now() + PATIENCE_MS;
    for (;;) {
      const found = pattern.exec(this.#text);
      if (found !== null) return found;
      if (performance.now() > endMs) throw new Error(`the guest's shell does not answer: ${this.#text.slice(-500)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
