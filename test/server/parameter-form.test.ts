import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { z } from "zod";
import { doors } from "../../src/doors/doors";
import { InvestigationCatalog } from "../../src/investigation/catalog";
import { describeModules, type ModuleDescription } from "../../src/investigation/describe-module";
import { toParameterSchema } from "../../src/investigation/parameters";
import { readParameters, renderParameters } from "../../src/server/pages/machines/parameter-form";
import { PROJECT } from "../kit/project";

const EVIL = '<img src=x onerror=alert(1)>"';

async function describeShipped(): Promise<ReadonlyMap<string, ModuleDescription>> {
  const { modules, problems } = await describeModules(new InvestigationCatalog([PROJECT], () => doors));
  assert.deepEqual(problems, []);
  return new Map(modules.map((module) => [module.name, module]));
}

/** Reads the fields of a form as a browser sends it when nothing was changed. */
function sendUnchanged(html: string): Record<string, string> {
  const fields: [string, string][] = [];
  for (const [, tag, attributes, content] of html.matchAll(/<(input|textarea|select)([^>]*)>(?:([^]*?)<\/\1>)?/g)) {
    const name = /\bname="([^"]*)"/.exec(attributes!)![1]!;
    if (tag === "textarea") fields.push([name, content!.replace(/^\n/, "")]);
    else if (tag === "select") fields.push([name, /<option value="([^"]*)" selected/.exec(content!)?.[1] ?? /<option value="([^"]*)"/.exec(content!)![1]!]); // prettier-ignore
    else if (!/type="checkbox"/.test(attributes!) || / checked=""/.test(attributes!)) fields.push([name, /\bvalue="([^"]*)"/.exec(attributes!)?.[1] ?? ""]); // prettier-ignore
  }
  return Object.fromEntries(fields);
}

describe("the form of a module", () => {
  test("has a field for each parameter, by its type, bounds, choices and default, of every module that ships", async () => {
    const modules = await describeShipped();
    assert.ok(modules.size >= 13, [...modules.keys()].join(" "));
    const process = renderParameters(modules.get("process")!.parameters!, undefined).text;
    assert.match(process, /<label for="p\/names">names<\/label><textarea id="p\/names" name="p\/names" rows="2"/);
    assert.match(process, /<label><input type="checkbox" name="p\/kernelthreads" value="yes" \/> kernelthreads<\/label>/); // prettier-ignore
    const ping = renderParameters(modules.get("ping")!.parameters!, undefined).text;
    assert.match(ping, /name="p\/destination" type="text"[^>]*required=""/);
    assert.match(ping, /name="p\/destinationport" type="number"(?![^>]*value=)[^>]*step="1" min="1" max="65535"/);
    assert.match(ping, /name="p\/count" type="number" value="0"[^>]*max="1000"/);
    assert.match(ping, /<select id="p\/protocol"[^>]*><option value="icmp">icmp<\/option><option value="tcp">/);
    const file = renderParameters(modules.get("file")!.parameters!, undefined).text;
    assert.match(file, /name="p\/searches\/\*" type="text" value="s1"/);
    assert.match(file, /<input type="checkbox" name="p\/searches\/\*\/options\/matchall" value="yes" checked="" \/>/);
    assert.match(file, /name="p\/searches\/\*\/options\/maxdepth" type="number" value="1000"/);
    assert.match(renderParameters(modules.get("yara")!.parameters!, undefined).text, /<textarea id="p\/rules"[^>]*rows="6"[^>]*required=""/); // prettier-ignore
    for (const [name, { parameters, help }] of modules) {
      assert.ok(parameters !== null, name);
      const text = renderParameters(parameters, undefined).text;
      // Each name once, since a label is for one field.
      const names = [...text.matchAll(/\bname="([^"]+)"/g)].map(([, field]) => field);
      assert.equal(new Set(names).size, names.length, name);
      assert.ok(help === "" || help.startsWith(name), name);
    }
  });

  test("that is sent as it was shown asks with the module's own defaults", async () => {
    const modules = await describeShipped();
    const read = (name: string, fields: Record<string, unknown> = {}) => {
      const { parameters } = modules.get(name)!;
      return readParameters(parameters!, {
        ...sendUnchanged(renderParameters(parameters!, undefined).text),
        ...fields,
      });
    };
    assert.deepEqual(read("process"), { names: [], pids: [], uids: [], kernelthreads: false });
    assert.deepEqual(read("process", { "p/pids": "1\r\n22\n\n", "p/names": "ssh d\n^x$", "p/kernelthreads": "yes" }), { names: ["ssh d", "^x$"], pids: [1, 22], uids: [], kernelthreads: true }); // prettier-ignore
    assert.deepEqual(read("ping", { "p/destination": "127.0.0.1", "p/protocol": "tcp", "p/destinationport": "22" }), { destination: "127.0.0.1", destinationport: 22, protocol: "tcp", count: 0, timeout: 0, vantage: "host" }); // prettier-ignore
    const { searches, ...others } = read("file", { "p/searches/*": "passwords", "p/searches/*/paths": "/etc", "p/searches/*/options/newest": "3" }) as { searches: Record<string, Record<string, unknown>> }; // prettier-ignore
    assert.deepEqual(others, { source: "guest" });
    assert.deepEqual(Object.keys(searches), ["passwords"]);
    assert.deepEqual(searches["passwords"]!["paths"], ["/etc"]);
    assert.deepEqual(searches["passwords"]!["options"], { maxdepth: 1000, maxerrors: 30, matchall: true, macroal: false, mismatch: [], matchlimit: 1000, newest: 3, returnsha256: false, decompress: false }); // prettier-ignore
  });

  test("leaves what does not fit to the module, takes what it cannot show as JSON, and shows what was sent again", () => {
    const schema = toParameterSchema(
      z.strictObject({
        size: z.number().min(0.5).optional(),
        pairs: z.array(z.strictObject({ a: z.string() })).default([{ a: EVIL }]),
        either: z.union([z.string(), z.number()]).optional().describe(EVIL),
        ratio: z.number().default(0.25),
      }),
    );
    const shown = renderParameters(schema, undefined).text;
    assert.ok(!shown.includes("<img"));
    assert.match(shown, /name="p\/size" type="number"[^>]*step="any" min="0.5"/);
    const sent = { "p/size": "much", "p/pairs": '[{"a":"b"}]', "p/either": "7", "p/ratio": "" };
    assert.deepEqual(readParameters(schema, sent), { size: "much", pairs: [{ a: "b" }], either: 7 });
    assert.throws(() => readParameters(schema, { "p/either": "{" }), /either: it is no JSON/);
    const again = renderParameters(schema, { ...sent, "p/either": EVIL }).text;
    assert.match(again, /name="p\/size" type="number" value="much"/);
    assert.ok(!again.includes("<img"));
    assert.match(again, /name="p\/ratio" type="number" value=""/);
    // A field that is there twice, or one that a form does not have.
    assert.deepEqual(readParameters(schema, { "p/size": ["1", "2"], "p/__proto__": "x", constructor: "y" }), { size: 1 }); // prettier-ignore
  });
});
