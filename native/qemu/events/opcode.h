/*
 * The opcode of an x86 instruction, as OPCODE_RANGE_CB counts it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef REBOX_OPCODE_H
#define REBOX_OPCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rebox/qemu_glue.h"

/* Returns one byte, or 0x0fxx for a two-byte opcode, behind all prefixes; 0 when there is none in bytes. */
uint16_t rebox_decode_opcode(const uint8_t *bytes, size_t size, bool is_64bit);

/* Returns what kind of end of a block an instruction is. */
rebox_block_end rebox_decode_end(const uint8_t *bytes, size_t size, bool is_64bit);

/* Returns whether an instruction raises an interrupt: such a one is reported when it begins, since the handler follows. */
bool rebox_opcode_interrupts(uint16_t opcode);

#endif
