/*
 * A trigger to begin with: it counts how often the vCPU is at the callback's address, and passes every n-th time.
 *
 * Copy it, and in a script:
 *
 *   const name = cm.addCallback(CallbackManager.INSN_BEGIN_CB, () => ..., { addr: 0x401000n });
 *   cm.addTrigger(name, "/path/to/trigger_mine.c");       // compiles it where that is needed
 *   cm.setTriggerVar(name, "every", 10);
 *   cm.getTriggerVar(name, "count");                      // a bigint
 *   cm.callTriggerFunction(name, "reset");
 *
 * To compile it alone: make triggers/trigger_template-x86_64-softmmu.so
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox_trigger.h"

/* Says which headers this was compiled with. A trigger that does not fit the rebox that loads it is refused. */
REBOX_TRIGGER_API_VERSION;

/*
 * State. Each callback loads a copy of the trigger for itself, so two callbacks never share it. What the script shall
 * see, or set, is a variable instead: get_var() and set_var...().
 */
static uint64_t count;

/* A function that the script may call. */
static void reset(callback_handle_t handle)
{
    count = 0;
    set_var_uint64(handle, "count", count);
}

/* The one type of callback that this may be attached to: here INSN_BEGIN_CB with an address. */
callback_type_t get_type(void)
{
    return OP_INSN_BEGIN_CB;
}

/* Optional: called once, before the first event. */
void trigger_init(callback_handle_t handle)
{
    declare_function(handle, "reset", reset);
    set_var_uint64(handle, "count", 0);
}

/*
 * Called for every event of this type in every process, while the guest stands still: be quick. 1 calls the callback's
 * function, 0 does not. params has one member for each type; qemu_glue.h has what can be asked of the machine, such as
 * get_cpu_addr(params.insn_begin_params.cpu).
 */
int trigger(callback_handle_t handle, callback_params_t params)
{
    uint64_t every = 1;

    count++;
    set_var_uint64(handle, "count", count);
    get_var_uint64(handle, "every", &every);
    return every != 0 && count % every == 0;
}

/* Called once, when the trigger is removed: release what it holds. */
void clean(callback_handle_t handle)
{
    erase_trigger_vars(handle);
}
