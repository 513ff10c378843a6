/*
 * Calls, jumps and returns, told apart by their bytes: Intel SDM volume 2, opcode map and group 5.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef REBOX_BRANCH_H
#define REBOX_BRANCH_H

#include "user_space.h"

typedef enum branch_kind { NO_BRANCH, CALL, JUMP, INDIRECT_JUMP, RETURN } branch_kind;

/* The operation of an instruction with opcode FF: bits 3 to 5 of its ModRM byte, or -1 where it cannot be read. */
static inline int read_group5(const opcode_range_params_t *executed)
{
    uint8_t bytes[15];
    unsigned int size = executed->insn_size, at = 0;

    if (size > sizeof(bytes) || qemu_virtual_memory_rw(executed->cpu, executed->cur_pc, bytes, size, 0) != 0) {
        return -1;
    }
    /* No prefix is FF. */
    while (at < size && bytes[at] != 0xff) {
        at++;
    }
    return at + 1 < size ? (bytes[at + 1] >> 3) & 7 : -1;
}

static inline branch_kind branch_of(const opcode_range_params_t *executed)
{
    switch (executed->opcode) {
    case 0xe8:
    case 0x9a:
        return CALL;
    case 0xe9:
    case 0xea:
    case 0xeb:
        return JUMP;
    case 0xc2:
    case 0xc3:
    case 0xca:
    case 0xcb:
        return RETURN;
    case 0xff:
        switch (read_group5(executed)) {
        case 2:
        case 3:
            return CALL;
        case 4:
        case 5:
            return INDIRECT_JUMP;
        default:
            return NO_BRANCH;
        }
    default:
        return NO_BRANCH;
    }
}

#endif
