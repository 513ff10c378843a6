/* A trigger that rejects every block. */
#include "rebox_trigger.h"

REBOX_TRIGGER_API_VERSION;

callback_type_t get_type(void)
{
    return BLOCK_BEGIN_CB;
}

int trigger(callback_handle_t handle, callback_params_t params)
{
    (void)handle;
    (void)params;
    return 0;
}

void clean(callback_handle_t handle)
{
    (void)handle;
}
