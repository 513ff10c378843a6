/*
 * For sources of triggers that were written for PyREBox: output, and canonical addresses.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef REBOX_PYREBOX_UTILS_H
#define REBOX_PYREBOX_UTILS_H

#include <stdarg.h>
#include <stdio.h>
#include "rebox_trigger.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Copies the highest of the 48 bits of an address into those above it. */
static inline pyrebox_target_ulong canonical_address(pyrebox_target_ulong address)
{
    return (pyrebox_target_ulong)((int64_t)(address << 16) >> 16);
}

__attribute__((unused, format(printf, 2, 0))) static void rebox_vprint(rebox_print_kind kind, const char *format,
                                                                       va_list values)
{
    char text[4096];

    if (vsnprintf(text, sizeof(text), format, values) >= 0) {
        rebox_trigger_print(kind, text);
    }
}

#define REBOX_DEFINE_PRINT(name, kind) \
    __attribute__((unused, format(printf, 1, 2))) static void name(const char *format, ...) \
    { \
        va_list values; \
        va_start(values, format); \
        rebox_vprint(kind, format, values); \
        va_end(values); \
    }

/* Each prints what printf() would, as a message of the trigger's: at most 4095 characters. */
REBOX_DEFINE_PRINT(utils_print, REBOX_PRINT_TEXT)
REBOX_DEFINE_PRINT(utils_print_plugin, REBOX_PRINT_TEXT)
REBOX_DEFINE_PRINT(utils_print_debug, REBOX_PRINT_DEBUG)
REBOX_DEFINE_PRINT(utils_print_warning, REBOX_PRINT_WARNING)
REBOX_DEFINE_PRINT(utils_print_error, REBOX_PRINT_ERROR)

#undef REBOX_DEFINE_PRINT

#ifdef __cplusplus
}
#endif

#endif
