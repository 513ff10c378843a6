import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { inFolder } from "../kit/in-folder";
import { runKeys } from "../kit/guests/keys-run";
import { type GuestRun, runGuest, scriptPrelude } from "../kit/guests/guest-run";
import { readPcap } from "../kit/lab/pcap";

const FRAME_SCRIPT = `
  import { CallbackManager } from "rebox";
  let cm: CallbackManager;
  export function initialize_callbacks(handle: number, print: (text: string) => void): void {
    cm = new CallbackManager(handle);
    cm.addCallback(CallbackManager.NIC_SEND_CB, (addr, size, buf) =>
      print(["sent", size, addr, buf.toString("hex")].join(" ")));
    cm.addCallback(CallbackManager.NIC_REC_CB, (buf, size, curPos, start, stop) =>
      print(["received", size, [curPos, start, stop].join("/"), buf.toString("hex")].join(" ")));
  }
  export function clean(): void {
    cm.clean();
  }
`;

interface Frame {
  readonly direction: string;
  readonly size: number;
  /** Where the card has it. */
  readonly place: string;
  readonly hex: string;
}

function readFrames(run: GuestRun): Frame[] {
  return run.messages.map((message) => {
    const [direction, size, place, hex] = message.split(" ") as [string, string, string, string];
    return { direction, size: Number(size), place, hex };
  });
}

// Powers a machine off from real mode, at the port where SeaBIOS puts PIIX4's power management:
// MOV DX, 0x604; MOV AX, 0x2000; OUT DX, AX; HLT. The rest is there to be transferred.
const BOOT_FILE = Buffer.concat([Buffer.from("ba0406b80020eff4", "hex"), Buffer.alloc(5000, 0x6e)]);

for (const card of ["ne2k_pci", "e1000", "virtio-net-pci"]) {
  test(`frames of a boot from the network through ${card} are those that QEMU's own dump has`, () =>
    inFolder(async (folder) => {
      const pcap = join(folder, "frames.pcap");
      writeFileSync(join(folder, "boot.bin"), BOOT_FILE);
      const run = await runGuest({
        task: null,
        qemuArgs: [
          ...["-netdev", `user,id=n0,tftp=${folder},bootfile=/boot.bin`],
          ...["-device", `${card},netdev=n0,mac=52:54:00:12:34:56,bootindex=0`],
          ...["-object", `filter-dump,id=f0,netdev=n0,file=${pcap}`],
        ],
        script: () => FRAME_SCRIPT,
      });
      assert.equal(run.status, 0, run.stderr);
      assert.equal(run.stderr, "");
      const frames = readFrames(run);
      assert.deepEqual(
        frames.map(({ hex }) => hex),
        readPcap(pcap),
      );
      // Bytes 6 to 11 of an Ethernet frame are who sent it.
      for (const { direction, hex, size } of frames) {
        assert.equal(direction, hex.slice(12, 24) === "525400123456" ? "sent" : "received");
        assert.equal(size * 2, hex.length);
      }
      const received = frames.filter(({ direction }) => direction === "received");
      assert.ok(received.some(({ hex }) => hex.includes(BOOT_FILE.toString("hex", 0, 512))));
      for (const { place, direction } of frames) {
        if (card !== "ne2k_pci") {
          assert.equal(place, direction === "sent" ? "0" : "0/0/0");
        } else if (direction === "sent") {
          // 32 KiB of memory behind the first 16 KiB, which hold the address PROM.
          assert.ok(Number(place) >= 0x4000 && Number(place) < 0xc000, place);
        } else {
          const [current, start, stop] = place.split("/").map(Number) as [number, number, number];
          assert.ok(start >= 0x4000 && start <= current && current < stop && stop <= 0xc000, place);
        }
      }
    }));
}

test("frames of Linux through virtio-net-pci are those of QEMU's own dump, and as many as Linux counts", () =>
  inFolder(async (folder) => {
    const pcap = join(folder, "frames.pcap");
    const run = await runGuest({
      task: "network",
      qemuArgs: [
        ...["-netdev", "user,id=n0", "-device", "virtio-net-pci,netdev=n0,mac=52:54:00:12:34:56"],
        ...["-object", `filter-dump,id=f0,netdev=n0,file=${pcap}`],
      ],
      script: () => FRAME_SCRIPT,
    });
    assert.equal(run.status, 0, run.stderr);
    assert.equal(run.stderr, "");
    assert.equal(run.truth.get("network.answers"), "3", run.truth.get("error"));
    const frames = readFrames(run);
    assert.deepEqual(
      frames.map(({ hex }) => hex),
      readPcap(pcap),
    );
    const sent = frames.filter(({ direction }) => direction === "sent");
    assert.equal(String(sent.length), run.truth.get("network.sent"));
    assert.equal(String(sent.reduce((sum, { size }) => sum + size, 0)), run.truth.get("network.sent_bytes"));
  }));

// Keys, and what a PS/2 keyboard sends for them in scan code set 2: E0 in front of a key that the first keyboards did
// not have, F0 in front of the code of one that is let go, and Pause, which is a sequence of its own.
const KEYS: Record<string, string> = {
  r: "2d f02d",
  e: "24 f024",
  "shift-b": "12 32 f032 f012",
  o: "44 f044",
  x: "22 f022",
  f9: "01 f001",
  ctrl_r: "e014 e0f014",
  pause: "e11477e1f014f077",
  up: "e075 e0f075",
  down: "e072 e0f072",
  esc: "76 f076",
  backspace: "66 f066",
  ret: "5a f05a",
};

test("a key pressed and let go is the codes of a PS/2 keyboard, and nothing after the callback's end", async () => {
  const run = await runKeys(
    `
      print("before " + codes);
      for (const [key, expected] of Object.entries(${JSON.stringify(KEYS)})) {
        codes = "";
        await press(key);
        while (codes.length < expected.replaceAll(" ", "").length) await new Promise((resolve) => setTimeout(resolve, 10));
        print(key + " " + codes);
      }
      await untilTruth("keys.line");
      cm.rmCallback(name);
      codes = "";
      await press("a");
      print("after " + codes);
    `,
    `
      let codes = "";
      const name = cm.addCallback(CallbackManager.KEYSTROKE_CB, (code) => {
        codes += code.toString(16).padStart(2, "0");
      });
    `,
  );
  assert.equal(run.status, 0, run.stderr);
  assert.equal(run.stderr, "");
  const expected = Object.entries(KEYS).map(([key, codes]) => `${key} ${codes.replaceAll(" ", "")}`);
  assert.deepEqual(run.messages, ["before ", ...expected, "after "]);
});

test("pages are reported when they enter the TLB: those that a program touches, and no address that is not virtual", async () => {
  const run = await runGuest({
    task: "exact",
    script: (serial) => `
      import { CallbackManager, findPa, getRunningProcess, readCpu, writeVa } from "rebox";
      ${scriptPrelude(serial)}
      let cm: CallbackManager;
      export function initialize_callbacks(handle: number, print: (text: string) => void): void {
        cm = new CallbackManager(handle);
        const pages = new Map<bigint, Set<bigint>>();
        let fills = 0, unaligned = 0, unmapped = 0;
        const name = cm.addCallback(CallbackManager.TLB_EXEC_CB, (cpu, vaddr) => {
          const pgd = getRunningProcess(cpu.index);
          fills++;
          if (vaddr % 4096n !== 0n) unaligned++;
          if (findPa(pgd, vaddr) === undefined) unmapped++;
          if (!pages.has(pgd)) pages.set(pgd, new Set());
          pages.get(pgd)!.add(vaddr);
        });
        void untilTruth("exact.ready").then((truth) => {
          const at = (key: string) => BigInt(truth.get("exact." + key)!);
          const poll = cm.addCallback(CallbackManager.INSN_BEGIN_CB, (cpuIndex) => {
            cm.rmCallback(poll);
            cm.rmCallback(name);
            const pgd = getRunningProcess(cpuIndex);
            const touched = [at("buffer"), at("buffer") + 4096n, at("poll"), readCpu(cpuIndex).RSP];
            const reported = touched.map((address) => pages.get(pgd)!.has(address & ~0xfffn));
            print("touched " + reported.join(" "));
            // Nothing is mapped there, so it cannot have been entered.
            print("null page " + pages.get(pgd)!.has(0n));
            print("wrong " + unaligned + " of " + fills + " unaligned, " + unmapped + " unmapped");
            const then = fills;
            const go = Buffer.alloc(8);
            go[0] = 1;
            writeVa(pgd, at("go"), go);
            cm.addCallback(CallbackManager.INSN_BEGIN_CB, () => print("after " + (fills - then)), { addr: at("end") });
          }, { addr: at("poll") });
        });
      }
      export function clean(): void {
        cm.clean();
      }
    `,
  });
  assert.equal(run.status, 0, run.stderr);
  assert.equal(run.stderr, "");
  assert.equal(run.messages[0], "touched true true true true");
  assert.equal(run.messages[1], "null page false");
  assert.match(run.messages[2] ?? "", /^wrong 0 of [1-9]\d* unaligned, 0 unmapped$/);
  assert.equal(run.messages[3], "after 0");
});
