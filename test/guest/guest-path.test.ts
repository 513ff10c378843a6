import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type PathSteps, resolvePath } from "../../src/guest/disks/guest-path";

/** A directory, a symbolic link, or, as a string, a file with this content. */
type Node = { readonly [name: string]: Node } | Link | string;

class Link {
  constructor(readonly target: string) {}
}

const STEPS: PathSteps<Node> = {
  kindOf: (node) => (typeof node === "string" ? "file" : node instanceof Link ? "link" : "directory"),
  find: (directory, name) => Promise.resolve((directory as Record<string, Node>)[name.toString("latin1")]),
  readLink: (link) => Promise.resolve(Buffer.from((link as Link).target, "latin1")),
};

const link = (target: string): Link => new Link(target);
const chain = (length: number): Record<string, Node> =>
  Object.fromEntries(Array.from({ length }, (_, index) => [`l${index}`, link(index === 0 ? "end" : `l${index - 1}`)]));

const ROOT = {
  etc: { passwd: "users", "..hidden": "two dots in front", "...": "three dots", rc: link("../usr/lib/rc") },
  usr: { lib: { rc: "start", up: link(".."), "\xff\xfe": "no text" }, etc: link("/etc"), bin: link("./lib/./") },
  top: link("/"),
  above: link("../../../etc/passwd"),
  gone: link("nowhere"),
  self: link("self"),
  ping: link("pong"),
  pong: link("/ping"),
  inFile: link("etc/passwd/x"),
  grows: link("grows/a/b"),
  wide: link(`${"./".repeat(5000)}etc`),
  chain: { end: "the end", ...chain(41) },
};

const find = (path: string, followsLast?: boolean): Promise<Node | undefined> =>
  resolvePath(ROOT, Buffer.from(path, "latin1"), STEPS, followsLast);

describe("a path of the guest's files", () => {
  test("is followed name by name, with or without slashes around", async () => {
    for (const path of ["/etc/passwd", "etc/passwd", "//etc///passwd", "/etc/passwd/"]) {
      assert.equal(await find(path), "users", path);
    }
    for (const path of ["", "/", "//"]) assert.equal(await find(path), ROOT, path);
    assert.equal(await find("/usr/lib/\xff\xfe"), "no text");
  });

  test("leads to nothing where a name is missing, or below a file", async () => {
    for (const path of ["/missing", "/etc/missing/passwd", "/etc/passwd/x", "/gone", "/inFile", "/gone/x"]) {
      assert.equal(await find(path), undefined, path);
    }
  });

  test("has . for the directory itself and .. for the one above, which of the root is the root", async () => {
    assert.equal(await find("/./etc/./passwd"), "users");
    assert.equal(await find("/usr/lib/../../etc/passwd"), "users");
    assert.equal(await find("/usr/lib/.."), ROOT.usr);
    assert.equal(await find("/usr/.."), ROOT);
    assert.equal(await find("/../../etc/../../etc/passwd"), "users");
  });

  test("has neither . nor .. below a file", async () => {
    assert.equal(await find("/etc/passwd/."), undefined);
    assert.equal(await find("/etc/passwd/../passwd"), undefined);
  });

  test("takes other names with dots for names", async () => {
    assert.equal(await find("/etc/..hidden"), "two dots in front");
    assert.equal(await find("/etc/..."), "three dots");
    assert.equal(await find("/etc/../..."), undefined);
  });

  test("leads through relative links from where they are, and through absolute ones from the root", async () => {
    assert.equal(await find("/etc/rc"), "start");
    assert.equal(await find("/usr/etc/passwd"), "users");
    assert.equal(await find("/usr/bin/rc"), "start");
    assert.equal(await find("/top/top/etc/passwd"), "users");
    assert.equal(await find("/above"), "users");
  });

  test("has .. behind a link for the directory above the link's target", async () => {
    assert.equal(await find("/usr/etc/../usr/lib/rc"), "start");
    assert.equal(await find("/usr/lib/up/lib/rc"), "start");
    assert.equal(await find("/usr/etc/.."), ROOT);
    assert.equal(await find("/usr/lib/up/.."), ROOT);
  });

  test("ends at a link when the last one is not followed, and follows those before", async () => {
    assert.equal(await find("/etc/rc", false), ROOT.etc.rc);
    assert.equal(await find("/usr/etc/rc", false), ROOT.etc.rc);
    assert.equal(await find("/gone", false), ROOT.gone);
    assert.equal(await find("/self", false), ROOT.self);
  });

  test("is refused when links lead around in circles, or become ever longer", async () => {
    for (const path of ["/self", "/ping", "/pong/x", "/grows"]) {
      await assert.rejects(find(path), {
        name: "DiskError",
        code: "REBOX_DISK",
        message: `${path}: more than 40 symbolic links follow each other`,
      });
    }
    await assert.rejects(find("/wide"), { message: "/wide: the path that links make of it does not end" });
  });

  test("leads through as many links as the kernel follows", async () => {
    assert.equal(await find("/chain/l39"), "the end");
    await assert.rejects(find("/chain/l40"), /more than 40 symbolic links/);
  });
});
