// Loaded into the process of each test file: notes the processor time that the file and all that it started have taken, and how long.
import { appendFileSync, readFileSync } from "node:fs";

const TICKS_PER_SECOND = 100;
const list = process.env.REBOX_PROCESSOR_TIMES;

if (list !== undefined && process.env.NODE_TEST_CONTEXT !== undefined) {
  // Programs that the test starts are no test files.
  delete process.env.REBOX_PROCESSOR_TIMES;
  process.on("exit", () => {
    // utime, stime, cutime and cstime of proc_pid_stat(5), behind the name, which may hold blanks.
    const fields = readFileSync("/proc/self/stat", "latin1").split(") ").at(-1).split(" ").slice(11, 15);
    const seconds = fields.reduce((sum, field) => sum + Number(field), 0) / TICKS_PER_SECOND;
    appendFileSync(list, `${JSON.stringify({ file: process.argv[1], seconds, lastedS: process.uptime() })}\n`);
  });
}
