/*
 * For sources of triggers that were written for PyREBox, under the name that they include. New ones include
 * rebox_trigger.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef REBOX_PYREBOX_CALLBACKS_H
#define REBOX_PYREBOX_CALLBACKS_H

#include "rebox_trigger.h"

/* There is one target, and its addresses and registers have 64 bits for 32-bit guests too. */
#ifndef TARGET_X86_64
#define TARGET_X86_64 1
#endif
#ifndef TARGET_LONG_BITS
#define TARGET_LONG_BITS 64
#endif
#ifndef PYREBOX_CPU_NB_REGS
#define PYREBOX_CPU_NB_REGS 16
#endif
#ifndef TARGET_LONG_SIZE
#define TARGET_LONG_SIZE (TARGET_LONG_BITS / 8)
#endif

typedef int64_t pyrebox_target_long;
typedef unsigned int module_handle_t;

typedef int (*trigger_t)(callback_handle_t, callback_params_t);
typedef int (*trigger_get_type_t)(void);
typedef void (*trigger_clean_t)(callback_handle_t);
typedef void *(*get_var_t)(callback_handle_t, const char *);
typedef void (*set_var_t)(callback_handle_t, const char *, void *);
typedef void *(*call_function_t)(callback_handle_t, const char *);
typedef void (*callback_t)(callback_params_t);

typedef struct memory_address {
    pyrebox_target_ulong address;
    pyrebox_target_ulong pgd;
} memory_address_t;

typedef struct opcode_range {
    uint16_t start_opcode;
    uint16_t end_opcode;
} opcode_range_t;

/* Such a source does not say which headers it was compiled with. Weak, so that one that does may do so. */
#ifdef __cplusplus
extern "C" {
#endif
REBOX_API __attribute__((weak)) extern const uint32_t rebox_trigger_api_version_of_headers;
const uint32_t rebox_trigger_api_version_of_headers = (REBOX_TRIGGER_API << 16) | REBOX_GLUE_VERSION;
#ifdef __cplusplus
}
#endif

#endif
