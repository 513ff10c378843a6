/*
 * Finds patterns that pass through writes of memory: memory_search.h says how.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "memory_search.h"

callback_type_t get_type(void)
{
    return MEM_WRITE_CB;
}

int trigger(callback_handle_t, callback_params_t params)
{
    const mem_write_params_t &access = params.mem_write_params;
    auto size = static_cast<uint32_t>(access.size);

    return Search(access.cpu, { get_cpu_addr(access.cpu), access.vaddr, access.data, 0, size });
}
