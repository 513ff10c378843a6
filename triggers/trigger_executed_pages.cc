/*
 * Passes the first block of each page of monitored processes that is executed.
 *
 *   pgd       a process
 *   forget    a function: the pages of pgd are new again, for a process that ends and for pages that were written
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
    return BLOCK_BEGIN_CB;
}

void trigger_init(callback_handle_t handle)
{
    declare_function(handle, "forget", Forget);
}

int trigger(callback_handle_t, callback_params_t params)
{
    const block_begin_params_t &event = params.block_begin_params;
    uint64_t address = static_cast<const rebox_block *>(event.tb)->pc;

    if (!is_user_address(address)) {
        return 0;
    }
    uint64_t pgd = rebox_current_pgds()[event.cpu_index];
    return !pages.IsKnown(pgd, address) && !qemu_is_kernel_running(event.cpu_index) && pages.IsNew(pgd, address);
}

void clean(callback_handle_t handle)
{
    erase_trigger_vars(handle);
}
