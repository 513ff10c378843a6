/*
 * Passes the first write to each page of monitored processes, by the program and by the kernel for it.
 *
 *   pgd       a process
 *   forget    a function: the pages of pgd are new again, for a process that ends and for memory that is another one now
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "pages_of_processes.h"

REBOX_TRIGGER_API_VERSION;
REBOX_TRIGGER_OF_MONITORED;

namespace {

PagesOfProcesses pages;

void Forget(callback_handle_t handle)
{
    pages.Forget(handle);
}

}  // namespace

callback_type_t get_type(void)
{
    return MEM_WRITE_CB;
}

void trigger_init(callback_handle_t handle)
{
    declare_function(handle, "forget", Forget);
}

int sieve(uint64_t, uint64_t address, uint32_t, uint64_t, uint64_t)
{
    int cpu_index = rebox_event_cpu();

    return is_user_address(address) && (cpu_index < 0 || !pages.IsKnown(rebox_current_pgds()[cpu_index], address));
}

int trigger(callback_handle_t, callback_params_t params)
{
    const mem_write_params_t &write = params.mem_write_params;

    return is_user_address(write.vaddr) && pages.IsNew(rebox_current_pgds()[write.cpu_index], write.vaddr);
}

void clean(callback_handle_t handle)
{
    erase_trigger_vars(handle);
}
