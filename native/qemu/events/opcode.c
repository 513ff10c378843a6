/*
 * Prefixes and opcodes: Intel SDM volume 2, sections 2.1 and 2.2.1.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "rebox/events/opcode.h"

static bool is_prefix(uint8_t byte, bool is_64bit)
{
    switch (byte) {
    /* clang-format off */
    case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65:     /* segments */
    case 0x66: case 0x67:                                                 /* operand and address size */
    case 0xf0: case 0xf2: case 0xf3:                                      /* LOCK, REPNE, REP */
        /* clang-format on */
        return true;
    default:
        return is_64bit && (byte & 0xf0) == 0x40; /* REX */
    }
}

uint16_t rebox_decode_opcode(const uint8_t *bytes, size_t size, bool is_64bit)
{
    size_t at = 0;

    while (at < size && is_prefix(bytes[at], is_64bit)) {
        at++;
    }
    if (at >= size) {
        return 0;
    }
    if (bytes[at] != 0x0f) {
        return bytes[at];
    }
    return at + 1 < size ? 0x0f00 | bytes[at + 1] : 0;
}

rebox_block_end rebox_decode_end(const uint8_t *bytes, size_t size, bool is_64bit)
{
    size_t at = 0;

    switch (rebox_decode_opcode(bytes, size, is_64bit)) {
    case 0xe8:
    case 0x9a:
        return REBOX_ENDS_WITH_CALL;
    case 0xc2:
    case 0xc3:
    case 0xca:
    case 0xcb:
        return REBOX_ENDS_WITH_RETURN;
    case 0xff:
        /* No prefix is FF. Bits 3 to 5 of the ModRM byte tell the calls of group 5: near and far. */
        while (bytes[at] != 0xff) {
            at++;
        }
        if (at + 1 < size && (((bytes[at + 1] >> 3) & 7) == 2 || ((bytes[at + 1] >> 3) & 7) == 3)) {
            return REBOX_ENDS_WITH_CALL;
        }
        return REBOX_ENDS_OTHERWISE;
    default:
        return REBOX_ENDS_OTHERWISE;
    }
}

bool rebox_opcode_interrupts(uint16_t opcode)
{
    switch (opcode) {
    /* clang-format off */
    case 0xcc: case 0xcd: case 0xce: case 0xf1: case 0x0f0b:     /* int3, int n, into, int1, ud2 */
        /* clang-format on */
        return true;
    default:
        return false;
    }
}
