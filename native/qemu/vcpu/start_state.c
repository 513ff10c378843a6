/*
 * A recorded machine that begins from a state in files: its RAM lies in one of them, the state of its processor and devices is a
 * migration without RAM in another.
 *
 * QEMU's recorder begins from a snapshot in a disk image alone, of a machine that counted its instructions already. Here any state is
 * loaded, in the recording and in each replay at the same place: when the machine is built, before its first instruction. Two things are
 * set right, which a machine without -icount has otherwise. The guest's clock goes on where it stood: devices have armed their timers by
 * it. And the processor's counter of ticks goes on at the rate of the host, by which the guest's kernel has measured it; with counted
 * instructions QEMU has it count nanoseconds, and a clock of the guest would be several times too slow.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/vcpu/vcpu.h"
#include "hw/boards.h"
#include "io/channel-file.h"
#include "migration/migration.h"
#include "migration/misc.h"
#include "migration/qemu-file.h"
#include "migration/savevm.h"
#include "migration/vmstate.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/host-utils.h"
#include "qemu/seqlock.h"
#include "qemu/timer.h"
#include "qemu/yank.h"
#include "system/cpu-timers.h"
#include "system/cpu-timers-internal.h"
#include "system/cpus.h"
#include "system/reset.h"
#include "system/runstate.h"
#include <sys/mman.h>

#define KHZ_PER_GHZ 1000000
#define MEASURED_NS (20 * SCALE_MS)

static char *devices_path;
static uint64_t ticks_khz;
static bool is_loading, has_begun;
/* Where the guest's clock and its counter of ticks stood in the state. */
static int64_t first_ns, first_ticks;

uint64_t rebox_host_ticks_khz(void)
{
    int64_t began_ns = get_clock();
    int64_t began_ticks = cpu_get_host_ticks();
    int64_t ns, ticks;

    do {
        ns = get_clock() - began_ns;
        ticks = cpu_get_host_ticks() - began_ticks;
    } while (ns < MEASURED_NS);
    return muldiv64(ticks, KHZ_PER_GHZ, ns);
}

void rebox_start_from(const char *devices, uint64_t khz)
{
    g_free(devices_path);
    devices_path = g_strdup(devices);
    ticks_khz = khz;
}

/* The clocks are the first part of a state: devices that are loaded behind them read the guest's clock. */
static void set_clocks(void)
{
    if (timers_state.qemu_icount) {
        /* A machine that has counted its instructions: its ticks were nanoseconds. */
        first_ns = timers_state.qemu_icount_bias + icount_to_ns(timers_state.qemu_icount);
        first_ticks = first_ns;
        ticks_khz = KHZ_PER_GHZ;
    } else {
        first_ns = timers_state.cpu_clock_offset;
        first_ticks = timers_state.cpu_ticks_offset;
    }
    qatomic_set_i64(&timers_state.qemu_icount, 0);
    qatomic_set_i64(&timers_state.qemu_icount_bias, first_ns);
    has_begun = true;
}

int __real_vmstate_load_state(QEMUFile *file, const VMStateDescription *description, void *opaque, int version);
int __wrap_vmstate_load_state(QEMUFile *file, const VMStateDescription *description, void *opaque, int version);
int __wrap_vmstate_load_state(QEMUFile *file, const VMStateDescription *description, void *opaque, int version)
{
    int result = __real_vmstate_load_state(file, description, opaque, version);

    if (is_loading && opaque == &timers_state) {
        set_clocks();
    }
    return result;
}

uint64_t __real_cpu_get_tsc(CPUX86State *env);
uint64_t __wrap_cpu_get_tsc(CPUX86State *env);
uint64_t __wrap_cpu_get_tsc(CPUX86State *env)
{
    uint64_t ns = __real_cpu_get_tsc(env);

    return has_begun ? first_ticks + muldiv64(ns - first_ns, ticks_khz, KHZ_PER_GHZ) : ns;
}

/* Makes the RAM what its file has: firmware was put there while the machine was built, in pages of this process alone. */
static void reread_ram(void)
{
    MemoryRegion *ram = current_machine->ram;

    madvise(memory_region_get_ram_ptr(ram), memory_region_size(ram), MADV_DONTNEED);
}

static bool load(Error **errp)
{
    MigrationIncomingState *incoming = migration_incoming_get_current();
    bool *is_ignored = &migrate_get_current()->capabilities[MIGRATION_CAPABILITY_X_IGNORE_SHARED];
    QIOChannelFile *channel = qio_channel_file_new_path(devices_path, O_RDONLY, 0, errp);
    int result;

    if (!channel) {
        return false;
    }
    if (!yank_register_instance(MIGRATION_YANK_INSTANCE, errp)) {
        object_unref(OBJECT(channel));
        return false;
    }
    rebox_set_restoring(true);
    qemu_system_reset(SHUTDOWN_CAUSE_SNAPSHOT_LOAD);
    rebox_set_restoring(false);
    reread_ram();
    incoming->from_src_file = qemu_file_new_input(QIO_CHANNEL(channel));
    object_unref(OBJECT(channel));
    /* The state says of itself that it has no RAM. */
    *is_ignored = true;
    is_loading = true;
    result = qemu_loadvm_state(incoming->from_src_file);
    is_loading = false;
    *is_ignored = false;
    migration_incoming_state_destroy();
    if (result < 0) {
        error_setg(errp, "the machine's arguments are others than those of the machine that it was made of (%d)",
                   result);
    }
    return result >= 0;
}

void __real_replay_vmstate_init(void);
void __wrap_replay_vmstate_init(void);
void __wrap_replay_vmstate_init(void)
{
    Error *error = NULL;

    if (devices_path && !load(&error)) {
        error_reportf_err(error, "the state in %s cannot be loaded: ", devices_path);
        exit(1);
    }
    __real_replay_vmstate_init();
}
