/*
 * States of a replay: a replay goes back to one of them, and executes from there again.
 *
 * A state is the machine's memory, the state of all devices as QEMU would migrate it, which has the place in the log with it
 * (replay/replay-snapshot.c), what a migration does not carry, and a snapshot of the content of each disk. It is taken between two turns of the vCPUs, where nothing is
 * under way: an operation of a disk that the log has begun and not ended is in no device's state.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "rebox/vcpu/vcpu.h"
#include "rebox/vcpu/recording.h"
#include "rebox/vcpu/states.h"
#include "block/aio.h"
#include "io/channel-buffer.h"
#include "migration/global_state.h"
#include "migration/misc.h"
#include "migration/qemu-file-types.h"
#include "migration/snapshot.h"
#include "migration/vmstate.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-replay.h"
#include "qemu/main-loop.h"
#include "system/cpu-timers.h"
#include "system/replay.h"
#include "system/runstate.h"
#include "migration/migration.h"
#include "migration/qemu-file.h"
#include "migration/savevm.h"
/* Last: it needs types of the others. */
#include "replay/replay-internal.h"

#define MOST_STATES 512
/* A state that took long is followed by so many times as long without one. */
#define REST 10
/* Between two passes over what is still under way on disks, in nanoseconds. */
#define LONGEST_WAIT_NS (10 * NANOSECONDS_PER_SECOND)

typedef struct state {
    uint64_t count;
    rebox_ram_copy ram;
    rebox_extras extras;
    ReplayState log;
    off64_t log_position;
    uint8_t *devices;
    size_t size;
    rebox_disk_states disks;
} state;

static state *states[MOST_STATES]; /* by count */
static int state_count;
static int present = -1; /* the last one that the replay has passed */
static int64_t last_ns, interval_ns;
static bool is_on, is_due;
static uint64_t due_at = UINT64_MAX;
static uint64_t furthest; /* where the replay was before it went back */

bool rebox_keep_states(uint64_t limit, int interval_ms)
{
    /* A device that cannot be migrated has no state to keep. */
    is_on = replay_mode == REPLAY_MODE_PLAY && !migration_is_blocked(NULL) && rebox_limit_ram_copies(limit);
    interval_ns = interval_ms * INT64_C(1000000);
    is_due = is_on;
    return is_on;
}

uint64_t rebox_furthest_count(void)
{
    return furthest;
}

void rebox_keep_state_at(uint64_t count)
{
    due_at = count;
}

size_t rebox_list_states(uint64_t *counts, size_t size)
{
    for (int i = 0; i < state_count && i < size; i++) {
        counts[i] = states[i]->count;
    }
    return state_count;
}

uint64_t rebox_states_size(void)
{
    return rebox_ram_copies_size();
}

/* ---- devices ---- */

/* Where devices are asked for their state or given one, some of them read clocks, which may take an event out of the log. */
static void restore_log(const state *wanted)
{
    replay_state = wanted->log;
    fseeko64(replay_file, wanted->log_position, SEEK_SET);
}

static bool keep_devices(state *taken)
{
    QIOChannelBuffer *channel = qio_channel_buffer_new(1 << 20);
    QEMUFile *file = qemu_file_new_output(QIO_CHANNEL(channel));
    bool is_whole;

    taken->log = replay_state;
    taken->log_position = ftello64(replay_file);
    /* Clocks are kept as those of a machine that is paused. */
    cpu_disable_ticks();
    global_state_store_running();
    is_whole = qemu_save_device_state(file) == 0 && qemu_fflush(file) == 0;
    cpu_enable_ticks();
    if (replay_state.current_event != taken->log.current_event) {
        restore_log(taken);
    }
    if (is_whole) {
        taken->size = channel->usage;
        taken->devices = g_memdup2(channel->data, channel->usage);
    }
    qemu_fclose(file);
    object_unref(OBJECT(channel));
    return is_whole;
}

static bool restore_devices(const state *wanted)
{
    QIOChannelBuffer *channel = qio_channel_buffer_new(wanted->size);
    QEMUFile *file;
    bool is_whole;

    memcpy(channel->data, wanted->devices, wanted->size);
    channel->usage = wanted->size;
    file = qemu_file_new_input(QIO_CHANNEL(channel));
    /* The number and the version of the format, which qemu_load_device_state() does not read. */
    qemu_get_be32(file);
    qemu_get_be32(file);
    is_whole = qemu_load_device_state(file) == 0;
    qemu_fclose(file);
    object_unref(OBJECT(channel));
    return is_whole;
}

/* ---- keeping ---- */

static void free_state(state *gone)
{
    rebox_free_ram_copy(&gone->ram);
    rebox_free_extras(&gone->extras);
    g_free(gone->devices);
    g_free(gone);
}

static void remove_state(int index)
{
    rebox_forget_disks(&states[index]->disks);
    free_state(states[index]);
    memmove(&states[index], &states[index + 1], (--state_count - index) * sizeof(states[0]));
    if (present > index) {
        present--;
    }
}

/* Makes room: of all but the first and the present one, the state whose neighbours are nearest to each other goes. */
static bool thin_out(void)
{
    uint64_t smallest = UINT64_MAX;
    int found = -1;

    for (int i = 1; i < state_count; i++) {
        uint64_t next = i + 1 < state_count ? states[i + 1]->count : furthest;
        uint64_t gap = MAX(next, states[i]->count) - states[i - 1]->count;

        if (i != present && gap < smallest) {
            smallest = gap;
            found = i;
        }
    }
    if (found < 0) {
        return false;
    }
    remove_state(found);
    return true;
}

static void keep_state(uint64_t count)
{
    state *taken = g_new0(state, 1);

    taken->count = count;
    while (state_count == MOST_STATES || !rebox_copy_ram(&taken->ram, present < 0 ? NULL : &states[present]->ram)) {
        if (!thin_out()) {
            free_state(taken);
            return;
        }
    }
    if (!keep_devices(taken) || !rebox_keep_disks(&taken->disks)) {
        free_state(taken);
        is_on = false;
        return;
    }
    rebox_keep_extras(&taken->extras);
    present++;
    memmove(&states[present + 1], &states[present], (state_count++ - present) * sizeof(states[0]));
    states[present] = taken;
}

void rebox_states_turn(void)
{
    uint64_t count;
    int64_t now_ns, began_ns;

    if (likely(!is_on)) {
        return;
    }
    count = rebox_instruction_count();
    now_ns = get_clock();
    /* A state that was kept before serves as well as a new one. */
    while (present + 1 < state_count && states[present + 1]->count <= count) {
        present++;
        last_ns = now_ns;
    }
    if (count >= due_at) {
        due_at = UINT64_MAX;
        is_due = true;
    }
    is_due |= now_ns - last_ns >= interval_ns;
    if (!is_due || (present >= 0 && states[present]->count == count) || replay_has_events() || rebox_is_disk_busy()) {
        return;
    }
    began_ns = get_clock();
    keep_state(count);
    last_ns = get_clock();
    last_ns += MAX(0, (last_ns - began_ns) * REST - interval_ns);
    is_due = false;
}

void rebox_forget_states(void)
{
    is_on = false;
    while (state_count) {
        state *gone = states[--state_count];

        g_free(gone->ram.pages);
        rebox_free_extras(&gone->extras);
        g_free(gone->devices);
        g_free(gone);
    }
    present = -1;
    rebox_forget_ram_copies();
}

/* ---- going back ---- */

/* Ends what is under way on disks. What comes of it does not matter: all of it is replaced. */
bool rebox_end_operations(Error **errp)
{
    int64_t began_ns = get_clock();

    if (runstate_is_running()) {
        error_setg(errp, "the machine runs: pause it first");
        return false;
    }
    replay_flush_events();
    while (rebox_is_disk_busy()) {
        aio_poll(qemu_get_aio_context(), false);
        replay_flush_events();
        if (get_clock() - began_ns > LONGEST_WAIT_NS) {
            error_setg(errp, "an operation of a disk does not end");
            return false;
        }
    }
    return true;
}

bool rebox_restore_state(uint64_t count, uint64_t *reached, Error **errp)
{
    int index = state_count - 1;

    while (index >= 0 && states[index]->count > count) {
        index--;
    }
    if (index < 0) {
        error_setg(errp, "no state is kept at or before instruction %" PRIu64, count);
        return false;
    }
    if (!rebox_end_operations(errp)) {
        return false;
    }
    furthest = MAX(furthest, rebox_instruction_count());
    qmp_replay_delete_break(NULL);
    rebox_set_restoring(true);
    qemu_system_reset(SHUTDOWN_CAUSE_SNAPSHOT_LOAD);
    rebox_set_restoring(false);
    if (!rebox_write_back_ram(&states[index]->ram) || !rebox_restore_disks(&states[index]->disks, errp) ||
        !restore_devices(states[index])) {
        if (errp && !*errp) {
            error_setg(errp, "the state at instruction %" PRIu64 " cannot be loaded", states[index]->count);
        }
        return false;
    }
    rebox_restore_extras(&states[index]->extras);
    restore_log(states[index]);
    if (runstate_check(RUN_STATE_SHUTDOWN)) {
        runstate_set(RUN_STATE_PAUSED);
    }
    rebox_seek_checks(states[index]->count);
    present = index;
    last_ns = get_clock();
    is_due = false;
    due_at = UINT64_MAX;
    *reached = states[index]->count;
    return true;
}
