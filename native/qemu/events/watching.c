/*
 * The listener and the watched events: each on or off, of monitored processes or everywhere, and the opcodes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/events/translation.h"

/* Opcodes from first to last, both included, and how many listeners have asked for them. */
typedef struct opcode_range {
    uint16_t first, last;
    unsigned int count;
} opcode_range;

bool rebox_watched[REBOX_EVENT_COUNT];
bool rebox_watched_everywhere[REBOX_EVENT_COUNT];
rebox_event_facts rebox_reported;
uint64_t rebox_last_subscription;
static const rebox_listener nobody;
const rebox_listener *rebox_listening = &nobody;
static GArray *ranges; /* of opcode_range; NULL before the first */

bool rebox_any_code_watched(void)
{
    for (int event = 0; event <= REBOX_OPCODE_RANGE; event++) {
        if (rebox_watched[event]) {
            return true;
        }
    }
    return false;
}

bool rebox_is_watched_opcode(uint16_t opcode)
{
    for (guint i = 0; ranges && i < ranges->len; i++) {
        opcode_range range = g_array_index(ranges, opcode_range, i);

        if (opcode >= range.first && opcode <= range.last) {
            return true;
        }
    }
    return false;
}

void rebox_listen(const rebox_listener *listener)
{
    rebox_listening = listener;
}

uint64_t rebox_subscription(void)
{
    return rebox_last_subscription;
}

void rebox_watch(rebox_event event, bool on)
{
    rebox_last_subscription += on;
    if (rebox_watched[event] != on) {
        rebox_watched[event] = on;
        if (event <= REBOX_OPCODE_RANGE) {
            rebox_retranslate_all();
        }
    }
}

void rebox_watch_everywhere(rebox_event event, bool on)
{
    if (event <= REBOX_OPCODE_RANGE && rebox_watched_everywhere[event] != on) {
        rebox_watched_everywhere[event] = on;
        rebox_retranslate_all();
    }
}

void rebox_watch_opcodes(uint16_t first, uint16_t last)
{
    opcode_range added = { .first = first, .last = last, .count = 1 };

    rebox_last_subscription++;
    if (!ranges) {
        ranges = g_array_new(false, false, sizeof(opcode_range));
    }
    for (guint i = 0; i < ranges->len; i++) {
        opcode_range *range = &g_array_index(ranges, opcode_range, i);

        if (range->first == first && range->last == last) {
            range->count++;
            return;
        }
    }
    g_array_append_val(ranges, added);
    rebox_watched[REBOX_OPCODE_RANGE] = true;
    rebox_retranslate_all();
}

void rebox_ignore_opcodes(uint16_t first, uint16_t last)
{
    for (guint i = 0; ranges && i < ranges->len; i++) {
        opcode_range *range = &g_array_index(ranges, opcode_range, i);

        if (range->first == first && range->last == last && --range->count == 0) {
            g_array_remove_index(ranges, i);
            rebox_watched[REBOX_OPCODE_RANGE] = ranges->len != 0;
            rebox_retranslate_all();
            return;
        }
    }
}
