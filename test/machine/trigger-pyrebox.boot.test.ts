import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { buildTrigger, findTriggerFile } from "../../src/machine/callbacks/trigger-file";
import { readNames, readPage } from "../kit/documents/pyrebox-page";
import { runGuest } from "../kit/guests/guest-run";

/** As sources for PyREBox begin, those in C++ with PyREBox's own header in extern "C". */
const BEGINNING = `
  #include <stdio.h>
  #include <map>
  #include <Python.h>
  extern "C" {
    #include "qemu_glue.h"
    #include "utils.h"
  }
  #include "callbacks.h"
  #include "trigger_helpers.h"
`;

function build(source: string): void {
  const folder = mkdtempSync(join(tmpdir(), "rebox-pyrebox-"));
  try {
    const file = join(folder, "trigger_names.cpp");
    writeFileSync(file, source);
    buildTrigger(findTriggerFile(file));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("a trigger that uses every name of PyREBox's headers compiles as it is", () => {
  const missing = new Set(readPage().flatMap(({ isNone, names }) => (isNone ? names : [])));
  const namesOf = (heading: string) =>
    readNames()
      .get(heading)!
      .flat()
      .filter((name) => !missing.has(name));
  const functions = namesOf("Trigger functions");
  const ofTypes = namesOf("Trigger types");
  const types = ofTypes.filter((name) => /_t$|^pyrebox_/.test(name));
  const values = ofTypes.filter((name) => /^(RN|RT|TARGET|PYREBOX)_/.test(name));
  assert.ok(functions.length > 40 && types.length > 30 && values.length > 45);
  build(`
    ${BEGINNING}
    extern "C" {
      callback_type_t get_type() { return BLOCK_BEGIN_CB; }
      int trigger(callback_handle_t, callback_params_t) { return 1; }
      void clean(callback_handle_t) {}
    }
    void *functions[] = {${functions.map((name) => `(void *)&${name}`).join(", ")}};
    unsigned long sizes[] = {${types.map((name) => `sizeof(${name})`).join(", ")}};
    long values[] = {${values.map((name) => `(long)${name}`).join(", ")}};
  `);
});

test("a trigger written for PyREBox decides, reads registers and prints, without a change", async () => {
  const folder = mkdtempSync(join(tmpdir(), "rebox-pyrebox-"));
  const file = join(folder, "printing.cpp");
  writeFileSync(
    file,
    `${BEGINNING}
    extern "C" {
      callback_type_t get_type() { return BLOCK_BEGIN_CB; }
      int trigger(callback_handle_t handle, callback_params_t params) {
        static int count;
        if (++count != 100) return 0;
        pyrebox_target_ulong index = 9, cr1 = 9, pc = 0;
        qemu_cpu_opaque_t cpu = params.block_begin_params.cpu;
        int results = read_register_convert(cpu, RN_CPU_INDEX, &index) | read_register_convert(cpu, RN_CR1, &cr1) |
                      read_register_convert(cpu, RN_RIP, &pc);
        utils_print("block %d of %s: index %d, CR1 %d, %s, results %d\\n", count, target_platform, (int)index, (int)cr1,
                    pc == get_tb_addr(params.block_begin_params.tb) ? "at its address" : "elsewhere", results);
        utils_print_warning("canonical %llx, segments %d %d", (long long)canonical_address(0xffff81000000ULL),
                            register_type[RN_GS] == RT_SEGMENT, register_type[RN_RAX] == RT_REGULAR);
        return 1;
      }
      void clean(callback_handle_t handle) { erase_trigger_vars(handle); }
    }`,
  );
  try {
    const run = await runGuest({
      task: "poweroff",
      trust: true,
      script: () => `
        import { CallbackManager } from "rebox";
        let cm: CallbackManager;
        export function initialize_callbacks(handle: number, print: (text: string) => void): void {
          cm = new CallbackManager(handle);
          const name = cm.addCallback("BLOCK_BEGIN_CB", () => { print("passed"); cm.rmCallback(name); });
          cm.addTrigger(name, ${JSON.stringify(file)});
        }
        export const clean = (): void => cm.clean();
      `,
    });
    assert.equal(run.status, 0, run.stderr);
    assert.match(run.stdout, /\[trigger\] block 100 of x86_64-softmmu: index 0, CR1 0, at its address, results 0\n/);
    assert.match(run.stdout, /\[trigger\] warning: canonical ffffffff81000000, segments 1 1\n/);
    assert.ok(run.messages.includes("passed"), run.stdout);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
