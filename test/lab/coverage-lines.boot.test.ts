import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { analyze, consoleMachine, recordOf, yamlOf } from "../kit/lab/analyze-run";
import { withTestLab } from "../kit/lab/lab-run";
import { giveReady } from "../kit/lab/ready-lab";
import { LINES_PROGRAM } from "../kit/scripts/lines-program";

/** Has the coverage of the target written when it ends. */
const DRIVER = (results: string) => `
import { CallbackManager, runCommand } from "rebox";
export async function initialize_callbacks(handle: number, print: (text: string) => void): Promise<void> {
  print(await runCommand("coverage_begin process=prog"));
  new CallbackManager(handle).addCallback("REMOVEPROC_CB", async (_pid, _pgd, name) => {
    if (name !== "prog") return;
    await runCommand("coverage_write ${results}/run.drcov");
    print(await runCommand("coverage_lcov ${results}/run.drcov ${results}/prog ${results}/lines.info"));
  });
}
export const clean = (): void => undefined;
`;

test("the lines of a program that are executed in an analysis are those of gcov", async () => {
  const machine = consoleMachine();
  await withTestLab({ "prog.c": LINES_PROGRAM }, async (lab) => {
    const [results, config, driver] = [lab.path("results"), lab.path("pyrebox.conf"), lab.path("driver.ts")];
    writeFileSync(
      config,
      "[MODULES]\nscripts.coverage: True\n[PERMISSIONS]\nscripts.coverage: fs:results\ndriver: modules\n",
    );
    writeFileSync(driver, DRIVER(results));
    lab.write("conf/machineries/rebox.yaml", yamlOf({ g: [...machine, `config: ${config}`] }));
    await giveReady(lab, { name: "g", settings: machine });
    const source = lab.path("prog.c");
    mkdirSync(results);
    mkdirSync(lab.path("truth"));
    execFileSync("gcc", ["-O0", "-g", "-static", "-o", join(results, "prog"), source]);
    execFileSync("objcopy", ["--strip-debug", join(results, "prog"), lab.path("prog")]);
    const { status, stdout } = await analyze(lab, "--machine", "g", "--script", driver, "--target", lab.path("prog"));
    assert.equal(status, 0, stdout);
    assert.equal(recordOf(lab).reason, "the target ended with status 0", stdout);

    const cwd = lab.path("truth");
    execFileSync("gcc", ["-O0", "--coverage", "-c", "-o", "prog.o", source], { cwd });
    execFileSync("gcc", ["--coverage", "-o", "prog", "prog.o"], { cwd });
    execFileSync("./prog", { cwd });
    execFileSync("gcov", ["prog.gcda"], { cwd });
    const said = [...readFileSync(join(cwd, "prog.c.gcov"), "utf8").matchAll(/^ *([\d#]+)\*?: *(\d+):/gm)];
    const truth = said.map(([, count, line]) => `DA:${line},${count!.startsWith("#") ? 0 : 1}`);
    assert.ok(truth.length > 8 && truth.some((line) => line.endsWith(",0")), truth.join());
    const text = readFileSync(join(results, "lines.info"), "utf8");
    const [, own] = new RegExp(`^SF:.*/prog\\.c\\n([^]*?)^LF:`, "m").exec(text) ?? [];
    // gcov leaves out the line that a function ends in.
    const isEnd = (line: string) => LINES_PROGRAM.split("\n")[Number(/^DA:(\d+)/.exec(line)?.[1]) - 1]?.trim() === "}";
    const lines = own?.trim().split("\n") ?? [];
    assert.deepEqual(
      lines.filter((line) => !isEnd(line)),
      truth.filter((line) => !isEnd(line)),
    );
  });
});
