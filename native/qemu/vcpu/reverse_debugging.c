/*
 * gdb's reverse-stepi and reverse-continue in a replay.
 *
 * QEMU's own take snapshots in disk images, of which a replay has none, and load them as a migration does, by which a replay departs. Here
 * the states of this process are gone back to. The past is searched as the shell searches it: from state to state, the last part first.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/vcpu/vcpu.h"
#include "rebox/vcpu/states.h"
#include "exec/cpu-common.h"
#include "gdbstub/commands.h"
#include "gdbstub/internals.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-replay.h"
#include "qemu/timer.h"
#include "system/replay.h"
#include "system/runstate.h"
/* Last: it needs types of the others. */
#include "replay/replay-internal.h"

#define NO_HIT UINT64_MAX
#define NO_BREAK UINT64_MAX
/* A state is kept that many instructions in front of the place: steps back from there are short. */
#define NEAR 1000000

bool rebox_goes_back;
static bool is_on_way;
static uint64_t new_from;                /* up to there the replay was before gdb had it go back */
static uint64_t wanted_break = NO_BREAK; /* somebody else's, who wants it to stop ahead */
static VMChangeStateEntry *watch;
static uint64_t part_begin, part_end; /* of the past that is looked through now */
static uint64_t last_hit;

/* Whatever stops the machine on its way, Ctrl-C in gdb for example, ends the way. Between two parts it is stopped to load a state. */
static void on_run_state(void *opaque, bool running, RunState state)
{
    if (!running && is_on_way && state != RUN_STATE_RESTORE_VM) {
        is_on_way = false;
        qmp_replay_delete_break(NULL);
        if (wanted_break != NO_BREAK && wanted_break > rebox_instruction_count()) {
            qmp_replay_break(wanted_break, NULL);
        }
    }
}

bool rebox_repeats(void)
{
    if (!is_on_way && rebox_goes_back && rebox_instruction_count() >= new_from) {
        rebox_goes_back = false;
    }
    return rebox_goes_back;
}

/* Remembers where somebody else wants the replay to stop: going back takes that away. */
static void keep_break(void)
{
    if (!is_on_way) {
        wanted_break = replay_break_icount;
    }
}

/* QEMU's main loop, the machine being paused. Executes up to a count, and calls back. */
static void run_to(uint64_t count, QEMUTimerCB callback)
{
    if (!watch) {
        watch = qemu_add_vm_change_state_handler(on_run_state, NULL);
    }
    rebox_goes_back = is_on_way = true;
    new_from = rebox_furthest_count();
    qmp_replay_delete_break(NULL);
    replay_break_icount = count;
    replay_break_timer = timer_new_ns(QEMU_CLOCK_REALTIME, callback, NULL);
    vm_start();
}

static void arrive(void *opaque)
{
    vm_stop(RUN_STATE_DEBUG);
}

static bool go_to(uint64_t count)
{
    /* Breakpoints are passed on the way. */
    part_begin = part_end = 0;
    if (!rebox_restore_state(count, &last_hit, NULL)) {
        return false;
    }
    if (count - last_hit > 2 * NEAR) {
        rebox_keep_state_at(count - NEAR);
    }
    run_to(count, arrive);
    return true;
}

static void end_part(void *opaque);

/* Looks through the past up to a count, from the last state in front of it on. */
static bool search_before(uint64_t count)
{
    last_hit = NO_HIT;
    part_end = count;
    if (count == 0 || !rebox_restore_state(count - 1, &part_begin, NULL)) {
        return false;
    }
    run_to(part_end, end_part);
    return true;
}

static void end_part(void *opaque)
{
    uint64_t first = part_begin;

    /* gdb is told nothing of a machine in this state. */
    vm_stop(RUN_STATE_RESTORE_VM);
    if (last_hit == NO_HIT && search_before(first)) {
        return;
    }
    /* Where nothing was hit, the first state is where going back ends. */
    if (!go_to(last_hit == NO_HIT ? first : last_hit)) {
        vm_start();
        arrive(NULL);
    }
}

bool __wrap_replay_running_debug(void);
bool __wrap_replay_running_debug(void)
{
    return is_on_way;
}

void __wrap_replay_breakpoint(void);
void __wrap_replay_breakpoint(void)
{
    /* An instruction that accesses memory is counted already while it does so. */
    uint64_t count = rebox_instruction_count() - (rebox_in_guest_code() ? 1 : 0);

    if (count >= part_begin && count < part_end) {
        last_hit = count;
    }
}

bool __wrap_replay_reverse_step(void);
bool __wrap_replay_reverse_step(void)
{
    uint64_t count = rebox_instruction_count();

    keep_break();
    return count != 0 && go_to(count - 1);
}

bool __wrap_replay_reverse_continue(void);
bool __wrap_replay_reverse_continue(void)
{
    uint64_t count = rebox_instruction_count();

    keep_break();
    /* The last instruction of a guest that has switched itself off would do so again. */
    return search_before(runstate_check(RUN_STATE_SHUTDOWN) ? count - 1 : count);
}

void __wrap_replay_gdb_attached(void);
void __wrap_replay_gdb_attached(void)
{
}

/* ---- gdb writes ---- */

int __real_gdb_target_memory_rw_debug(CPUState *cpu, hwaddr address, uint8_t *bytes, int size, bool is_write);
int __wrap_gdb_target_memory_rw_debug(CPUState *cpu, hwaddr address, uint8_t *bytes, int size, bool is_write);
int __wrap_gdb_target_memory_rw_debug(CPUState *cpu, hwaddr address, uint8_t *bytes, int size, bool is_write)
{
    if (is_write && rebox_is_recorded()) {
        return -1;
    }
    return __real_gdb_target_memory_rw_debug(cpu, address, bytes, size, is_write);
}

int __real_x86_cpu_gdb_write_register(CPUState *cpu, uint8_t *bytes, int number);
int __wrap_x86_cpu_gdb_write_register(CPUState *cpu, uint8_t *bytes, int number);
int __wrap_x86_cpu_gdb_write_register(CPUState *cpu, uint8_t *bytes, int number)
{
    return rebox_is_recorded() ? 0 : __real_x86_cpu_gdb_write_register(cpu, bytes, number);
}

/* ---- gdb's command monitor ---- */

/* Those of the monitor's commands that only look. */
static const char *const looks[] = { "info", "x", "xp", "print", "p", "help", "?" };

/* Whether a command, in hexadecimal as gdb has sent it, only looks. */
static bool is_look(const char *hex)
{
    char word[8] = "";
    unsigned int letter;

    for (size_t i = 0; i + 1 < sizeof(word) && sscanf(hex + 2 * i, "%2x", &letter) == 1; i++) {
        if (g_ascii_isspace(letter) || letter == '/') {
            break;
        }
        word[i] = letter;
    }
    for (int i = 0; i < ARRAY_SIZE(looks); i++) {
        if (!strcmp(word, looks[i])) {
            return true;
        }
    }
    return false;
}

void __real_gdb_handle_query_rcmd(GArray *params, void *context);
void __wrap_gdb_handle_query_rcmd(GArray *params, void *context);
void __wrap_gdb_handle_query_rcmd(GArray *params, void *context)
{
    static const char refusal[] =
        "the machine is recorded or replayed: of the monitor's commands, info, x, xp, print and help can be given\n";
    g_autoptr(GString) told = g_string_new("O");

    if (!rebox_is_recorded() || !params->len || is_look(gdb_get_cmd_param(params, 0)->data)) {
        __real_gdb_handle_query_rcmd(params, context);
        return;
    }
    gdb_memtohex(told, (const uint8_t *)refusal, sizeof(refusal) - 1);
    gdb_put_packet(told->str);
    gdb_put_packet("OK");
}
