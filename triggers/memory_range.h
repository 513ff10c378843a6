/*
 * The variables begin, end and pgd, as the triggers of memory ranges have them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef REBOX_MEMORY_RANGE_H
#define REBOX_MEMORY_RANGE_H

#include "rebox_trigger.h"

/* The value of pgd that stands for every process; -1 in a script. */
#define ANY_PROCESS UINT64_MAX

/* Whether any of size bytes at address lies in [begin, end). False until the script has set both. */
static inline int is_in_range(callback_handle_t handle, uint64_t address, uint64_t size)
{
    uint64_t begin, end;

    /* The sum may pass the end of the address space, so the differences are compared. */
    return get_var_uint64(handle, "begin", &begin) && get_var_uint64(handle, "end", &end) && begin < end &&
           (address >= begin ? address < end : begin - address < size);
}

/*
 * The same for guest-physical addresses. An access that crosses the end of its page goes on in another one, which can
 * be anywhere.
 */
static inline int is_in_physical_range(callback_handle_t handle, qemu_cpu_opaque_t cpu, uint64_t vaddr,
                                       uint64_t physical, uint64_t size)
{
    uint64_t in_page = 0x1000 - (physical & 0xfff);

    if (is_in_range(handle, physical, size < in_page ? size : in_page)) {
        return 1;
    }
    if (size <= in_page) {
        return 0;
    }
    physical = qemu_virtual_to_physical_with_pgd(get_pgd(cpu), vaddr + in_page);
    return physical != UINT64_MAX && is_in_range(handle, physical, size - in_page);
}

/* Whether the vCPU runs the process of the variable pgd. False until the script has set it. */
static inline int is_in_process(callback_handle_t handle, qemu_cpu_opaque_t cpu)
{
    uint64_t pgd;

    return get_var_uint64(handle, "pgd", &pgd) && (pgd == ANY_PROCESS || rebox_normal_pgd(pgd) == get_pgd(cpu));
}

#endif
