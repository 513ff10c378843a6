/*
 * The place of the generated code. It and the library call each other all the time, and processors predict calls worse that
 * lead further than 4 GiB: a call for each block took 7 ns in some processes and 10 in others, as the kernel had placed
 * the buffer. Within 2 GiB TCG also needs no address from memory for a call.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/events/events.h"
#include "qemu/units.h"

#define REACH (2 * GiB)
/* Apart from its neighbours, and on a large page of the host. */
#define ALIGNMENT (2 * MiB)

typedef struct gap {
    uint64_t start, end;
} gap;

/* Finds the place nearest to `near` for size bytes in a gap; 0 when they do not fit. */
static uint64_t place_in(gap free, uint64_t near, uint64_t size)
{
    uint64_t first = ROUND_UP(free.start + ALIGNMENT, ALIGNMENT);
    uint64_t last = ROUND_DOWN(free.end - ALIGNMENT - size, ALIGNMENT);

    if (free.end - free.start < size + 4 * ALIGNMENT || first > last) {
        return 0;
    }
    return free.end <= near ? last : first;
}

static uint64_t reach(uint64_t place, uint64_t near, uint64_t size)
{
    return place < near ? near - place : place + size - near;
}

void *rebox_hook_code_buffer(size_t size)
{
    uint64_t near = (uintptr_t)rebox_hook_code_buffer, best = 0, previous_end = 0;
    g_autofree char *maps = NULL;
    char *line, *rest;

    if (!g_file_get_contents("/proc/self/maps", &maps, NULL, NULL)) {
        return NULL;
    }
    for (line = maps; *line; line = rest) {
        uint64_t start = strtoull(line, &rest, 16);
        uint64_t end = *rest == '-' ? strtoull(rest + 1, &rest, 16) : 0;
        uint64_t place = previous_end && start > previous_end ? place_in((gap){ previous_end, start }, near, size) : 0;

        if (place && reach(place, near, size) < REACH &&
            (!best || reach(place, near, size) < reach(best, near, size))) {
            best = place;
        }
        previous_end = end;
        rest = strchr(rest, '\n');
        if (!rest++) {
            break;
        }
    }
    return (void *)(uintptr_t)best;
}
