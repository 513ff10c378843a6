import { assembleProgram } from "./assembled-program";

/** Acts by the calls of 32 bits: by the vdso, and by int 0x80 with their variants of old programs. */
const SOURCE = `
  .globl _start
_start:
  mov (%esp), %eax; lea 8(%esp,%eax,4), %esi
1: lodsl; test %eax, %eax; jnz 1b
2: lodsl; mov %eax, %edi; lodsl; cmp $32, %edi; je 3f; test %edi, %edi; jnz 2b; hlt
3: mov %eax, %esi
  mov $39, %eax; mov $folder, %ebx; mov $0700, %ecx; call *%esi
  mov $5, %eax; mov $path, %ebx; mov $0x241, %ecx; mov $0600, %edx; int $0x80
  mov $15, %eax; mov $path, %ebx; mov $04755, %ecx; int $0x80
  mov $182, %eax; mov $path, %ebx; mov $12, %ecx; mov $0xffff, %edx; int $0x80
  mov $38, %eax; mov $path, %ebx; mov $other, %ecx; int $0x80
  mov $102, %eax; mov $1, %ebx; mov $socket, %ecx; int $0x80
  mov %eax, connection
  mov $102, %eax; mov $3, %ebx; mov $connection, %ecx; int $0x80
  mov $10, %eax; mov $other, %ebx; int $0x80
  mov $10, %eax; mov $path, %ebx; int $0x80
  mov $1, %eax; xor %ebx, %ebx; int $0x80
folder: .asciz "FOLDER/narrow.d"
path: .asciz "FOLDER/narrow"
other: .asciz "FOLDER/narrower"
  .data
socket: .long 2, 1, 0
connection: .long 0, address, 16
address: .byte 2, 0, 0x1b, 0x5a, 127, 0, 0, 1; .zero 8`;

/** A program of 32 bits whose acts are known: all but the last, a removal of what is not there, succeed or are refused. */
export const NARROW_PROGRAM = {
  /** Assembles it, for files in a folder. */
  assemble: (folder: string): Buffer => assembleProgram(SOURCE.replaceAll("FOLDER", folder), 32),
  listActs: (folder: string): readonly object[] => [
    { type: "file.made", path: `${folder}/narrow.d`, kind: "folder" },
    { type: "file.written", path: `${folder}/narrow` },
    { type: "file.mode", path: `${folder}/narrow`, mode: "4755" },
    { type: "file.owner", path: `${folder}/narrow`, uid: 12, gid: null },
    { type: "file.renamed", path: `${folder}/narrow`, to: `${folder}/narrower` },
    { type: "network.failed", protocol: "tcp", address: "127.0.0.1", port: 7002, error: 111 },
    { type: "file.removed", path: `${folder}/narrower` },
  ],
};
