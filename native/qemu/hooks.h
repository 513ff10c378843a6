/*
 * The functions that the patches in qemu-patches/ call. Nothing else of native/qemu is visible to QEMU's own files.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef REBOX_HOOKS_H
#define REBOX_HOOKS_H

#include "qemu/typedefs.h"

struct CPUArchState;
struct ReadLineState;
struct iovec;

/*
 * Whether the place of code chooses its translation: an event is selected by place (events/selection.c), or a page has hooks
 * (events/hooked_pages.c): then the bit of the low 12 bits of its number is set.
 */
extern bool rebox_selecting, rebox_hooking;
extern uint64_t rebox_pages_with_hooks[64];
uint32_t rebox_find_selections(uint64_t pc);
uint32_t rebox_find_hooks(uint64_t pc);

/* Returns the flags that a translation at pc is to be looked up with, besides the vCPU's. */
static inline uint32_t rebox_hook_lookup(uint64_t pc)
{
    uint32_t flags = __builtin_expect(rebox_selecting, 0) ? rebox_find_selections(pc) : 0;

    if (__builtin_expect(rebox_hooking, 0) && (rebox_pages_with_hooks[(pc >> 18) % 64] >> ((pc >> 12) % 64)) & 1) {
        flags |= rebox_find_hooks(pc);
    }
    return flags;
}

/* Reports that a page with translations is written, at this address in RAM (events/code_watches.c). */
extern bool rebox_watching_code;
void rebox_note_code_written(uint64_t ram);

static inline void rebox_hook_code_written(uint64_t ram)
{
    if (__builtin_expect(rebox_watching_code, 0)) {
        rebox_note_code_written(ram);
    }
}

/* Returns whether a block that is being translated with these flags needs nothing of rebox (events/translation.c). */
bool rebox_hook_is_plain(uint32_t cflags);

/*
 * The shortest time between two pictures for viewers, in milliseconds: 14 in a second. Each is drawn while the vCPU waits, and one that a
 * viewer is not ready for makes the next come later (ui/vnc.c: vnc_refresh()).
 */
#define REBOX_SCREEN_INTERVAL_MS 70

/* Returns where the buffer for generated code is best placed, NULL for anywhere (events/code_buffer.c). */
void *rebox_hook_code_buffer(size_t size);

/* Puts the vCPUs on the thread that called rebox_engine_start() (vcpu/vcpu.c). */
void rebox_hook_accel_ops(AccelOpsClass *ops);

/* Returns false, with an error for the user when errp is not NULL: the vCPUs share one thread (vcpu/vcpu.c). */
bool rebox_hook_mttcg(Error **errp);

/* Reports that env->cr[3] was written (guest/address_space.c). */
void rebox_hook_cr3(struct CPUArchState *env);

/* Reports that an interrupt, an exception or (is_int) a software interrupt is about to be delivered (events/ends.c). */
void rebox_hook_interrupt(struct CPUArchState *env, int is_int, int is_hw);

/*
 * Reports that CPUID was executed, with its answer in the registers; leaf and subleaf were in EAX and ECX, code_pointer is where in the
 * generated code it is (events/cpuid.c).
 */
void rebox_hook_cpuid(struct CPUArchState *env, uint32_t leaf, uint32_t subleaf, uintptr_t code_pointer);

/* Reports that addr was entered into one of the TLBs of cpu (events/devices.c). */
void rebox_hook_tlb_fill(CPUState *cpu, uint64_t addr, int mmu_idx);

/* Reports a code that the PS/2 keyboard sends (events/devices.c). */
void rebox_hook_keystroke(int keycode);

/*
 * Reports a frame on its way from sender to receiver; one of them may be a network card (events/devices.c). flags are
 * QEMU_NET_PACKET_FLAG_*.
 */
void rebox_hook_frame(NetClientState *sender, NetClientState *receiver, unsigned flags, const uint8_t *bytes,
                      size_t size);
void rebox_hook_frame_iov(NetClientState *sender, NetClientState *receiver, const struct iovec *iov, int iov_count);

/* Names a field of a device that a migration does not carry: states of a replay have it as it is (vcpu/state_extras.c). */
void rebox_hook_keep(void *place, size_t size);

/* The monitor's commands, and what completes their arguments: the entries of monitor/hmp_commands.h (monitor/people.c). */
void hmp_import_module(Monitor *monitor, const QDict *arguments);
void hmp_unload_module(Monitor *monitor, const QDict *arguments);
void hmp_reload_module(Monitor *monitor, const QDict *arguments);
void hmp_list_modules(Monitor *monitor, const QDict *arguments);
void hmp_custom(Monitor *monitor, const QDict *arguments);
void hmp_sh(Monitor *monitor, const QDict *arguments);
void rebox_complete_module(struct ReadLineState *line, int argument_count, const char *begun);
void rebox_complete_custom(struct ReadLineState *line, int argument_count, const char *begun);

#endif
