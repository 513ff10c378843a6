/*
 * Shared by the code that instruments translations and the code that instrumented ones call.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef REBOX_TRANSLATION_H
#define REBOX_TRANSLATION_H

#include "rebox/events/code_hooks.h"
#include "exec/translation-block.h"
#include "qemu/qemu-plugin.h"

/* One of the bits that include/exec/translation-block.h leaves free. */
#define CF_MONITORED 0x00800000
/*
 * The code's page has hooks: see hooked_pages.c. QEMU has this bit for clusters of unlike processors, of which no x86 machine has
 * any: it is set for all vCPUs, until rebox_select_translations() clears it.
 */
#define CF_HOOKED (1U << CF_CLUSTER_SHIFT)
/* Four more, one for each event that can be selected by place: see selection.c. */
#define CF_SELECTED_FIRST 0x00080000
#define CF_SELECTED (0xf * CF_SELECTED_FIRST)
QEMU_BUILD_BUG_ON((CF_MONITORED | CF_SELECTED) &
                  (CF_COUNT_MASK | CF_NO_GOTO_TB | CF_NO_GOTO_PTR | CF_SINGLE_STEP | CF_MEMI_ONLY | CF_USE_ICOUNT |
                   CF_INVALID | CF_PARALLEL | CF_NOIRQ | CF_PCREL | CF_BP_PAGE | CF_CLUSTER_MASK));

/* The data of an instruction's callback, packed into its pointer. */
#define INSN_OFFSET(data) ((uintptr_t)(data) & ~TARGET_PAGE_MASK)
#define INSN_OPCODE(data) ((uint16_t)((uintptr_t)(data) >> TARGET_PAGE_BITS))
#define INSN_SIZE(data) ((uint8_t)((uintptr_t)(data) >> (TARGET_PAGE_BITS + 16)))
#define INSN_DATA(pc, opcode, size) \
    ((void *)(((pc) & ~TARGET_PAGE_MASK) | ((uintptr_t)(opcode) << TARGET_PAGE_BITS) | \
              ((uintptr_t)(size) << (TARGET_PAGE_BITS + 16))))

/* A listener may have ended the monitoring while the code that was generated for it is still being executed. */
static inline bool rebox_is_monitored_now(CPUState *cpu)
{
    return (cpu->tcg_cflags & CF_MONITORED) != 0;
}

static inline bool rebox_has_block_events(uint64_t pc, bool monitored)
{
    /* The ends of instructions are noticed where the next block begins. */
    return (rebox_may_be_hooked(true, pc) && rebox_is_hooked_page(pc)) || rebox_wanted(REBOX_BLOCK_BEGIN, monitored) ||
           rebox_wanted(REBOX_BLOCK_END, monitored) || rebox_wanted(REBOX_INSN_END, monitored) ||
           rebox_wanted(REBOX_OPCODE_RANGE, monitored);
}

static inline bool rebox_has_insn_events(uint64_t pc, bool monitored)
{
    return (rebox_may_be_hooked(false, pc) && rebox_is_hooked_page(pc)) || rebox_wanted(REBOX_INSN_BEGIN, monitored) ||
           rebox_wanted(REBOX_INSN_END, monitored) || rebox_wanted(REBOX_OPCODE_RANGE, monitored);
}

/* translation.c */
void rebox_translation_init(void);
/* Chooses between the translations with and without the events of monitored processes. */
void rebox_select_translations(CPUState *cpu, bool monitored);
/* Has blocks instrumented while anything is watched or hooked. */
void rebox_follow_watched(void);
/* Throws away all translations, so that what is executed next has what is wanted now. */
void rebox_retranslate_all(void);

/* execution.c: what instrumented code calls; for a monitored process, or another. data is a rebox_block. */
void rebox_on_monitored_block(unsigned int cpu_index, void *block);
void rebox_on_other_block(unsigned int cpu_index, void *block);
/* Before the block's other calls, in translations with CF_WATCHED_CODE. */
void rebox_on_watched_code(unsigned int cpu_index, void *unused);
/* The same where nothing else is wanted than BLOCK_BEGIN. */
void rebox_on_monitored_plain_block(unsigned int cpu_index, void *block);
void rebox_on_other_plain_block(unsigned int cpu_index, void *block);
/* The same for a block that is told once: known_blocks.c calls them for one that is not known. */
void rebox_on_monitored_unknown_block(unsigned int cpu_index, void *block);
void rebox_on_other_unknown_block(unsigned int cpu_index, void *block);
/* data is INSN_DATA(). */
void rebox_on_monitored_insn(unsigned int cpu_index, void *data);
void rebox_on_other_insn(unsigned int cpu_index, void *data);

/* Behind an access that the guest is held for: leaves the block before this instruction. */
void rebox_on_held_insn(unsigned int cpu_index, void *data);

/* accesses.c: which vCPUs are to be paused behind the access that was just reported; one number each. */
extern struct qemu_plugin_scoreboard *rebox_held_accesses;
void rebox_accesses_init(void);
/* data is INSN_DATA() of the instruction. */
void rebox_on_monitored_access(unsigned int cpu_index, qemu_plugin_meminfo_t info, uint64_t vaddr, void *data);
void rebox_on_other_access(unsigned int cpu_index, qemu_plugin_meminfo_t info, uint64_t vaddr, void *data);

#endif
