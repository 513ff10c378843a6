const MAGIC = "070701";
const TRAILER = "TRAILER!!!";
const DIRECTORY = 0o040755;
const SYMLINK = 0o120777;
const REGULAR = 0o100000;
const CHARACTER_DEVICE = 0o020600;

/** A cpio archive in the "newc" format, which the kernel unpacks as its first file system; the same input gives the same bytes. */
export class NewcArchive {
  #parts = [];
  #entries = 0;

  /** Adds a directory; its parents must have been added before. */
  directory(name) {
    return this.#entry(name, DIRECTORY, Buffer.alloc(0));
  }

  /** Adds a file. */
  file(name, content, { executable = false } = {}) {
    return this.#entry(name, REGULAR | (executable ? 0o755 : 0o644), content);
  }

  /** Adds a symbolic link. */
  symlink(name, target) {
    return this.#entry(name, SYMLINK, Buffer.from(target));
  }

  /** Adds a character device, which needs no root in an archive. */
  characterDevice(name, major, minor) {
    return this.#entry(name, CHARACTER_DEVICE, Buffer.alloc(0), [major, minor]);
  }

  /** Returns the archive's bytes. */
  toBuffer() {
    const archive = new NewcArchive();
    archive.#parts = [...this.#parts];
    archive.#entry(TRAILER, 0, Buffer.alloc(0));
    return Buffer.concat(archive.#parts);
  }

  #entry(name, mode, content, [major, minor] = [0, 0]) {
    const path = Buffer.from(`${name}\0`);
    const inode = name === TRAILER ? 0 : ++this.#entries;
    // Inode, mode, owner, group, links, time, size, device (2), device named by a node (2), length of the name, checksum.
    const fields = [inode, mode, 0, 0, 1, 0, content.length, 0, 0, major, minor, path.length, 0];
    const header = MAGIC + fields.map((field) => field.toString(16).toUpperCase().padStart(8, "0")).join("");
    this.#parts.push(padded(Buffer.concat([Buffer.from(header), path])), padded(content));
    return this;
  }
}

function padded(buffer) {
  return Buffer.concat([buffer, Buffer.alloc(-buffer.length & 3)]);
}
