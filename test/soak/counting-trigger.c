/* Counts the events that it is asked about, and passes each `every`-th of them. The type is set by the compiler. */
#include "rebox_trigger.h"

REBOX_TRIGGER_API_VERSION;
REBOX_TRIGGER_ANY_VARIABLE;

static uint64_t count;

static void publish(callback_handle_t handle)
{
    set_var_uint64(handle, "count", count);
}

callback_type_t get_type(void)
{
    return SOAK_TYPE;
}

void trigger_init(callback_handle_t handle)
{
    declare_function(handle, "publish", publish);
}

int trigger(callback_handle_t handle, callback_params_t params)
{
    uint64_t every = 1;

    (void)params;
    count++;
    return get_var_uint64(handle, "every", &every) && every != 0 && count % every == 0;
}

void clean(callback_handle_t handle)
{
    erase_trigger_vars(handle);
}
