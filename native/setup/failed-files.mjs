/** A reporter of node's test runner: the path of each file with a test that failed, a line each. */
export default async function* listFailedFiles(events) {
  const known = new Set();
  for await (const { type, data } of events) {
    if (type !== "test:fail" || data.file === undefined || known.has(data.file)) continue;
    known.add(data.file);
    yield `${data.file}\n`;
  }
}
