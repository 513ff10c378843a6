/*
 * The vCPUs, executed by the caller's thread a slice at a time.
 *
 * This is the single-threaded scheduler of accel/tcg/tcg-accel-ops-rr.c turned inside out: what there is a thread that
 * never returns is here a function that Node's event loop calls. Order of work within a turn, the kick timer and the
 * handling of icount follow that file (QEMU 10.0), because the rest of QEMU relies on them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/vcpu/vcpu.h"
#include "rebox/vcpu/recording.h"
#include "qapi/error.h"
#include "qemu/main-loop.h"
#include "qemu/notify.h"
#include "qemu/rcu.h"
#include "qemu/timer.h"
#include "exec/cpu-common.h"
#include "system/accel-ops.h"
#include "system/cpu-timers.h"
#include "system/cpus.h"
#include "system/replay.h"
#include "system/tcg.h"
#include "tcg/startup.h"
#include "accel/tcg/tcg-accel-ops.h"
#include "accel/tcg/tcg-accel-ops-icount.h"

/* The time that one of several vCPUs runs before the next has its turn, as in tcg-accel-ops.h's TCG_KICK_PERIOD. */
#define TURN_NS (NANOSECONDS_PER_SECOND / 10)

static QemuThread vcpu_thread;
static QemuThread *shared_thread;
static QemuCond *shared_halt_cond;
static Notifier force_rcu;

static CPUState *executing_cpu; /* the vCPU whose turn it is; read by other threads to kick it */
static CPUState *next_cpu;      /* where the next slice continues */
static QEMUTimer *turn_timer;
static bool in_guest_code;

static bool interrupt_requested; /* any thread: the slice has to end */
static bool asleep;              /* the event loop waits for wake() */
static unsigned int holds;       /* callbacks that are waited for */
static bool has_ended_itself;    /* the guest has ended the machine: nothing is executed until it runs anew */
static int held_cpu = -1;        /* whose event the last of them is about; -1: a device's */

static void kick_executing_cpu(void)
{
    CPUState *cpu;

    do {
        cpu = qatomic_read(&executing_cpu);
        if (cpu) {
            cpu_exit(cpu);
        }
        /* The kick must be visible before executing_cpu is read again, or a change of turn could swallow it. */
        smp_mb();
    } while (cpu != qatomic_read(&executing_cpu));
}

static void on_force_rcu(Notifier *notifier, void *data)
{
    kick_executing_cpu();
}

static void on_turn_timer(void *opaque)
{
    timer_mod(turn_timer, qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) + TURN_NS);
    kick_executing_cpu();
}

static void start_turn_timer(void)
{
    if (!turn_timer && CPU_NEXT(first_cpu)) {
        turn_timer = timer_new_ns(QEMU_CLOCK_VIRTUAL, on_turn_timer, NULL);
    }
    if (turn_timer && !timer_pending(turn_timer)) {
        timer_mod(turn_timer, qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) + TURN_NS);
    }
}

static void stop_turn_timer(void)
{
    if (turn_timer && timer_pending(turn_timer)) {
        timer_del(turn_timer);
    }
}

static void wake_event_loop(void)
{
    if (qatomic_xchg(&asleep, false)) {
        rebox_events.wake(rebox_events.opaque);
    }
}

static void kick_vcpus(CPUState *unused)
{
    CPUState *cpu;

    CPU_FOREACH(cpu) {
        cpu_exit(cpu);
    }
    wake_event_loop();
}

static void create_vcpu(CPUState *cpu)
{
    tcg_cpu_init_cflags(cpu, false);

    if (!shared_thread) {
        /* QEMU's RCU constructor registered this thread when the library was loaded: not a second time. */
        shared_thread = cpu->thread;
        shared_halt_cond = cpu->halt_cond;
        qemu_thread_get_self(cpu->thread);
        vcpu_thread = *cpu->thread;
        tcg_register_thread();
        force_rcu.notify = on_force_rcu;
        rcu_add_force_rcu_notifier(&force_rcu);
        cpu->thread_id = qemu_get_thread_id();
        /* Its random numbers are seeded: QEMU did so for the thread that it was initialised on, where -seed asks for it. */
    } else {
        g_free(cpu->thread);
        qemu_cond_destroy(cpu->halt_cond);
        g_free(cpu->halt_cond);
        cpu->thread = shared_thread;
        cpu->halt_cond = shared_halt_cond;
        cpu->thread_id = first_cpu->thread_id;
    }
    cpu->neg.can_do_io = true;
    cpu->exit_request = 1;
    /* qemu_init_vcpu() waits for this, and no other thread will ever set it. */
    cpu->created = true;
}

void rebox_hook_accel_ops(AccelOpsClass *ops)
{
    ops->create_vcpu_thread = create_vcpu;
    ops->kick_vcpu_thread = kick_vcpus;
}

bool rebox_hook_mttcg(Error **errp)
{
    error_setg(errp, "rebox executes all vCPUs on one thread, so that scripts see one event after the other: "
                     "use thread=single or leave it out");
    return false;
}

bool rebox_on_vcpu_thread(void)
{
    return shared_thread && qemu_thread_is_self(&vcpu_thread);
}

bool rebox_in_guest_code(void)
{
    return in_guest_code;
}

CPUState *rebox_find_cpu(int cpu_index)
{
    CPUState *cpu;

    if (likely(first_cpu && first_cpu->cpu_index == cpu_index)) {
        return first_cpu;
    }
    CPU_FOREACH(cpu) {
        if (cpu->cpu_index == cpu_index) {
            return cpu;
        }
    }
    return NULL;
}

void rebox_rouse_vcpus(void)
{
    /* An interrupt raised by the vCPUs' own thread does not kick them: QEMU takes it that they are awake. */
    wake_event_loop();
}

void rebox_engine_interrupt(void)
{
    qatomic_set(&interrupt_requested, true);
    smp_mb();
    kick_executing_cpu();
    if (shared_halt_cond) {
        qemu_cond_broadcast(shared_halt_cond);
    }
}

int rebox_event_cpu(void)
{
    if (in_guest_code && current_cpu) {
        return current_cpu->cpu_index;
    }
    return holds ? held_cpu : -1;
}

void rebox_hold(void)
{
    held_cpu = rebox_event_cpu();
    holds++;
    if (current_cpu) {
        rebox_disturb(current_cpu, REBOX_STATE_CHANGED);
    }
    rebox_engine_interrupt();
}

void rebox_stop_executing(void)
{
    has_ended_itself = true;
    cpu_exit(current_cpu);
}

void rebox_start_executing(void)
{
    qatomic_set(&has_ended_itself, false);
}

bool rebox_is_held(void)
{
    return holds != 0;
}

void rebox_release(void)
{
    if (holds && --holds == 0) {
        qatomic_set(&asleep, false);
        rebox_events.wake(rebox_events.opaque);
    }
}

static int count_cpus(void)
{
    CPUState *cpu;
    int count = 0;

    CPU_FOREACH(cpu) {
        count++;
    }
    return count;
}

/* Called with the BQL, returns with it. Runs each vCPU once, beginning with next_cpu, until one is asked to leave. */
static void execute_turn(void)
{
    CPUState *cpu = next_cpu ? next_cpu : first_cpu;
    int64_t budget = 0;

    bql_unlock();
    replay_mutex_lock();
    bql_lock();
    rebox_recording_turn();
    if (rebox_engine_has_ended()) {
        /* The replay has departed: nothing is executed any more. */
        return;
    }
    if (icount_enabled()) {
        icount_account_warp_timer();
        icount_handle_deadline();
        rebox_replay_clocks();
        budget = icount_percpu_budget(count_cpus());
    }
    replay_mutex_unlock();

    while (cpu && cpu_work_list_empty(cpu) && !cpu->exit_request) {
        /* Visible before cpu_can_run() is asked, so that a kick in between is not lost. */
        qatomic_set_mb(&executing_cpu, cpu);
        current_cpu = cpu;
        qemu_clock_enable(QEMU_CLOCK_VIRTUAL, (cpu->singlestep_enabled & SSTEP_NOTIMER) == 0);

        if (cpu_can_run(cpu)) {
            int reason;

            bql_unlock();
            if (icount_enabled()) {
                icount_prepare_for_run(cpu, budget);
            }
            rebox_enter_floors(cpu);
            in_guest_code = true;
            reason = tcg_cpu_exec(cpu);
            in_guest_code = false;
            if (icount_enabled()) {
                icount_process_data(cpu);
            }
            if (reason == EXCP_DEBUG) {
                rebox_stop_floors(cpu);
            }
            bql_lock();

            if (reason == EXCP_DEBUG) {
                cpu_handle_guest_debug(cpu);
                break;
            } else if (reason == EXCP_ATOMIC) {
                bql_unlock();
                cpu_exec_step_atomic(cpu);
                bql_lock();
                break;
            }
        } else if (cpu->stop) {
            if (cpu->unplug) {
                cpu = CPU_NEXT(cpu);
            }
            break;
        }
        cpu = CPU_NEXT(cpu);
    }

    qatomic_set(&executing_cpu, NULL);
    if (cpu && cpu->exit_request) {
        qatomic_set_mb(&cpu->exit_request, 0);
    }
    if (icount_enabled() && all_cpu_threads_idle()) {
        /* The main loop has to start the warp timer. */
        qemu_notify_event();
    }
    next_cpu = cpu;
}

/* Called with the BQL. Does what other threads queued for the vCPUs, and buries the unplugged. */
static void serve_vcpus(void)
{
    CPUState *cpu;

    CPU_FOREACH(cpu) {
        current_cpu = cpu;
        qemu_wait_io_event_common(cpu);
    }
    CPU_FOREACH(cpu) {
        if (cpu->unplug && !cpu_can_run(cpu)) {
            if (next_cpu == cpu) {
                next_cpu = NULL;
            }
            tcg_cpu_destroy(cpu);
            break;
        }
    }
}

/* Called with the BQL. Returns false when the vCPUs stayed idle for the whole of idle_wait_ms. */
static bool wait_for_work(int idle_wait_ms)
{
    int64_t deadline_ms = 0;

    while (all_cpu_threads_idle()) {
        int64_t now_ms = qemu_clock_get_ms(QEMU_CLOCK_REALTIME);

        stop_turn_timer();
        if (qatomic_read(&interrupt_requested) || rebox_engine_has_ended()) {
            return true;
        }
        if (deadline_ms == 0) {
            deadline_ms = now_ms + idle_wait_ms;
        }
        if (now_ms >= deadline_ms) {
            rebox_check_idleness();
            qatomic_set(&asleep, true);
            /* Work may have been queued without the BQL since the test above. */
            smp_mb();
            if (all_cpu_threads_idle()) {
                return false;
            }
            qatomic_set(&asleep, false);
            break;
        }
        qemu_cond_timedwait_bql(shared_halt_cond, deadline_ms - now_ms);
    }
    start_turn_timer();
    return true;
}

rebox_slice_result rebox_engine_slice(int idle_wait_ms)
{
    rebox_slice_result result = REBOX_SLICE_INTERRUPTED;

    if (rebox_engine_has_ended() || !first_cpu) {
        return REBOX_SLICE_ENDED;
    }
    bql_lock();
    qatomic_set(&asleep, false);
    while (!qatomic_read(&interrupt_requested)) {
        if (rebox_engine_has_ended()) {
            result = REBOX_SLICE_ENDED;
            break;
        }
        if (holds || qatomic_read(&has_ended_itself)) {
            /* Requests to stop the vCPUs, and work for them, are served all the same: a kick comes back here. */
            qatomic_set(&asleep, true);
            smp_mb();
            serve_vcpus();
            result = REBOX_SLICE_IDLE;
            break;
        }
        if (!wait_for_work(idle_wait_ms)) {
            result = REBOX_SLICE_IDLE;
            break;
        }
        serve_vcpus();
        /*
         * A recorder that is ending is left with its lock taken, which a turn waits for. It has stopped the vCPUs before; one
         * that is not stopped is waited for.
         */
        if (!cpu_is_stopped(first_cpu)) {
            execute_turn();
        }
    }
    qatomic_set(&interrupt_requested, false);
    /* Outside a slice this thread is nobody's vCPU: qemu_in_vcpu_thread() must say so. */
    current_cpu = NULL;
    bql_unlock();
    return result;
}
