/*
 * Finds patterns that pass through reads of memory: memory_search.h says how.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "memory_search.h"

callback_type_t get_type(void)
{
    return MEM_READ_CB;
}

int trigger(callback_handle_t, callback_params_t params)
{
    const mem_read_params_t &access = params.mem_read_params;
    auto size = static_cast<uint32_t>(access.size);

    return Search(access.cpu, { get_cpu_addr(access.cpu), access.vaddr, access.data, 0, size });
}
