/*
 * What is the program's and what is the kernel's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef REBOX_USER_SPACE_H
#define REBOX_USER_SPACE_H

#include "rebox_trigger.h"

/* Linux and Windows keep the upper half of the 64-bit addresses for the kernel; a 32-bit program has only the lower. */
static inline int is_user_address(uint64_t address)
{
    return address < 0x0000800000000000ULL;
}

/* Whether the vCPU executes a program: privilege level 3. */
static inline int is_in_user_mode(qemu_cpu_opaque_t cpu)
{
    uint64_t level;

    return read_register_convert(cpu, RN_CPL, &level) == 0 && level == 3;
}

/* Whether the vCPU runs the process that a variable names. False until the script has set it. */
static inline int runs_process_of(callback_handle_t handle, const char *variable, qemu_cpu_opaque_t cpu)
{
    uint64_t pgd;

    return get_var_uint64(handle, variable, &pgd) && rebox_normal_pgd(pgd) == get_pgd(cpu);
}

#endif
