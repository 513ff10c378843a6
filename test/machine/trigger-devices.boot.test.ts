import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { inFolder } from "../kit/in-folder";
import { runGuest } from "../kit/guests/guest-run";
import { runKeys } from "../kit/guests/keys-run";
import { CHANGED, runWithSnapshots } from "../kit/guests/snapshot-run";
import { readPcap } from "../kit/lab/pcap";

const CARD = "525400123456";

/** A trigger's source: its type, and the statements that decide. */
const makeTrigger = (type: string, body: string): string => `
  #include <string.h>
  #include "rebox_trigger.h"
  REBOX_TRIGGER_API_VERSION;
  static uint64_t asked, bytes;
  callback_type_t get_type(void) { return ${type}; }
  int trigger(callback_handle_t handle, callback_params_t params) { ${body} }
  void clean(callback_handle_t handle) { erase_trigger_vars(handle); }
`;

// Powers the machine off from real mode, at the port where SeaBIOS puts PIIX4's power management:
// MOV DX, 0x604; MOV AX, 0x2000; OUT DX, AX; HLT.
const BOOT_FILE = Buffer.concat([Buffer.from("ba0406b80020eff4", "hex"), Buffer.alloc(5000, 0x6e)]);

for (const card of ["ne2k_pci", "e1000", "virtio-net-pci"]) {
  test(`triggers see each frame of ${card} with its bytes, and pass those that they choose`, () =>
    inFolder(async (folder) => {
      const pcap = join(folder, "frames.pcap");
      writeFileSync(join(folder, "boot.bin"), BOOT_FILE);
      const note = `asked++; bytes += size; set_var_uint64(handle, "asked", asked); set_var_uint64(handle, "bytes", bytes);`;
      // UDP is 0x11 in byte 23 of an IPv4 frame; the card's own address is in bytes 6 to 11 of what it sends.
      const sent = `uint64_t size = params.nic_send_params.size; unsigned char *buf = params.nic_send_params.buf; ${note}
        return size > 23 && buf[12] == 8 && buf[13] == 0 && buf[23] == 0x11 && buf[6] == 0x52;`;
      const received = `uint64_t size = params.nic_rec_params.size; ${note} return size > 500;`;
      writeFileSync(join(folder, "sent.c"), makeTrigger("NIC_SEND_CB", sent));
      writeFileSync(join(folder, "received.c"), makeTrigger("NIC_REC_CB", received));
      const run = await runGuest({
        task: null,
        qemuArgs: [
          ...["-netdev", `user,id=n0,tftp=${folder},bootfile=/boot.bin`],
          ...["-device", `${card},netdev=n0,mac=52:54:00:12:34:56,bootindex=0`],
          ...["-object", `filter-dump,id=f0,netdev=n0,file=${pcap}`],
        ],
        script: () => `
          import { CallbackManager } from "rebox";
          let cm: CallbackManager;
          let say: (text: string) => void;
          const names: string[] = [];
          export function initialize_callbacks(handle: number, print: (text: string) => void): void {
            cm = new CallbackManager(handle);
            say = print;
            names.push(cm.addCallback("NIC_SEND_CB", (_, size, buf) => print("sent " + buf.toString("hex"))));
            names.push(cm.addCallback("NIC_REC_CB", (buf) => print("received " + buf.toString("hex"))));
            cm.addTrigger(names[0]!, ${JSON.stringify(join(folder, "sent"))});
            cm.addTrigger(names[1]!, ${JSON.stringify(join(folder, "received"))});
          }
          export function clean(): void {
            say("asked " + names.map((name) => cm.getTriggerVar(name, "asked") + "/" + cm.getTriggerVar(name, "bytes")).join(" "));
            cm.clean();
          }
        `,
      });
      assert.equal(run.status, 0, run.stderr);
      assert.equal(run.stderr, "");
      const frames = readPcap(pcap);
      const own = frames.filter((frame) => frame.slice(12, 24) === CARD);
      const foreign = frames.filter((frame) => frame.slice(12, 24) !== CARD);
      const expected = [
        ...own.filter((frame) => frame.slice(24, 28) === "0800" && frame.slice(46, 48) === "11"),
        ...foreign.filter((frame) => frame.length > 1000),
      ];
      assert.ok(expected.length > 2);
      const passed = run.messages.slice(0, -1).map((message) => message.split(" ")[1]!);
      assert.deepEqual(passed.toSorted(), expected.toSorted());
      const total = (list: readonly string[]) =>
        `${list.length}/${list.reduce((sum, { length }) => sum + length / 2, 0)}`;
      assert.equal(run.messages.at(-1), `asked ${total(own)} ${total(foreign)}`);
    }));
}

test("a trigger sees each code of a key, and passes those that it chooses", () =>
  inFolder(async (folder) => {
    writeFileSync(
      join(folder, "key.c"),
      makeTrigger(
        "KEYSTROKE_CB",
        `asked++; set_var_uint64(handle, "asked", asked); return params.keystroke_params.keycode < 0x80;`,
      ),
    );
    const run = await runKeys(`
      const passed: string[] = [], all: string[] = [];
      const name = cm.addCallback("KEYSTROKE_CB", (code) => void passed.push(code.toString(16)));
      cm.addTrigger(name, ${JSON.stringify(join(folder, "key"))});
      cm.addCallback("KEYSTROKE_CB", (code) => void all.push(code.toString(16)));
      for (const [key, codes] of [["a", 3], ["ctrl_r", 5], ["ret", 3]] as const) {
        const before = all.length;
        await press(key);
        while (all.length < before + codes) await new Promise((resolve) => setTimeout(resolve, 10));
      }
      print(all.join(" "));
      print(passed.join(" "));
      print("asked " + cm.getTriggerVar(name, "asked"));
    `);
    assert.equal(run.status, 0, run.stderr);
    assert.equal(run.stderr, "");
    // Scan code set 2: A is 1c, right Ctrl e0 14, Enter 5a; f0 in front of the code of a key that is let go.
    assert.deepEqual(run.messages, ["1c f0 1c e0 14 e0 f0 14 5a f0 5a", "1c 1c 14 14 5a 5a", "asked 11"]);
  }));

test("a trigger saves the machine and loads it again", () =>
  inFolder(async (folder) => {
    writeFileSync(
      join(folder, "machine.c"),
      makeTrigger(
        "CONTEXTCHANGE_CB",
        `const char *wish = get_var_string(handle, "wish");
         (void)params; (void)asked; (void)bytes;
         if (wish && strcmp(wish, "save") == 0) { set_var_uint64(handle, "said", (uint64_t)(int64_t)pyrebox_save_vm("by trigger")); }
         if (wish && strcmp(wish, "load") == 0) { set_var_uint64(handle, "said", (uint64_t)(int64_t)pyrebox_load_vm("by trigger")); }
         if (wish && strcmp(wish, "empty") == 0) { set_var_uint64(handle, "said", (uint64_t)(int64_t)pyrebox_save_vm("")); }
         if (wish) { delete_var(handle, "wish", 1); }
         return 0;`,
      ),
    );
    const run = await runWithSnapshots(
      folder,
      `
        const engine = Engine.get();
        const name = cm.addCallback("CONTEXTCHANGE_CB", () => print("passed"));
        cm.addTrigger(name, ${JSON.stringify(join(folder, "machine"))});
        const wish = async (what: string) => {
          cm.setTriggerVar(name, "said", 7);
          cm.setTriggerVar(name, "wish", what);
          while (cm.getTriggerVar(name, "said") === 7n) await sleep(10);
          print(what + " " + BigInt.asIntN(64, cm.getTriggerVar(name, "said") as bigint));
        };
        await wish("empty");
        await wish("save");
        while (!(await engine.hmp("info snapshots")).includes("by trigger")) await sleep(20);
        change();
        const changed = value();
        print(changed);
        await wish("load");
        while (value() === changed) await sleep(20);
        print(value());
      `,
    );
    assert.equal(run.status, 0, run.stderr);
    assert.deepEqual(run.messages, ["empty -1", "save 0", CHANGED, "load 0", run.truth.get("pattern.value")]);
  }));
