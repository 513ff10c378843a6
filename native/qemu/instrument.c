/*
 * Events of executed code, through QEMU's own plugin layer: what is not listened to is not in the generated code.
 *
 * rebox registers itself as one more plugin, without a file. The plugin layer calls on_translate() for every block it
 * translates while rebox watches anything; that function decides what the block's code has to call.
 *
 * The process filter is not in the generated code either. A vCPU in a monitored process looks blocks up with one more
 * bit in its flags, so it has translations of its own, with events; all others run those without. A change of CR3 ends
 * its block with a look-up, which is when the bit counts. An event that is watched everywhere is in both translations,
 * and the listener asks which one it comes from.
 *
 * x86 system emulation translates with CF_PCREL: one translation serves every virtual address that its physical page
 * is mapped at. So the pc seen at translation is only a hint, and each event takes it from the vCPU: the page from its
 * eip, which is exact at the start of a block and stays in the block's page within it, the rest from the translation.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/machine.h"
#include "exec/exec-all.h"
#include "exec/tb-flush.h"
#include "exec/translation-block.h"
#include "qemu/cacheinfo.h"
#include "qemu/lockable.h"
#include "qemu/memalign.h"
#include "qemu/plugin.h"
#include "plugins/plugin.h"
#include "rebox/blocks.h"
#include "rebox/instrument.h"
#include "rebox/opcode.h"
#include "rebox/resumption.h"
#include "tcg/tcg.h"

/* plugins/core.c; QEMU declares it where it is used. */
extern struct qemu_plugin_state plugin;

typedef struct opcode_range {
    uint16_t first, last;
    unsigned int count;
} opcode_range;

bool rebox_watched[REBOX_EVENT_COUNT];
bool rebox_watched_everywhere[REBOX_EVENT_COUNT];
rebox_event_facts rebox_told;
static const rebox_listener nobody;
const rebox_listener *rebox_listening = &nobody;

static qemu_plugin_id_t plugin_id;
static struct qemu_plugin_scoreboard *counts;
static bool counting, translating, flush_queued;
static GArray *ranges;              /* of opcode_range */

static bool is_watched_opcode(uint16_t opcode)
{
    for (guint i = 0; i < ranges->len; i++) {
        opcode_range range = g_array_index(ranges, opcode_range, i);

        if (opcode >= range.first && opcode <= range.last) {
            return true;
        }
    }
    return false;
}

static uint16_t read_opcode(struct qemu_plugin_insn *insn)
{
    uint8_t bytes[16];
    size_t size = qemu_plugin_insn_data(insn, bytes, sizeof(bytes));

    return rebox_decode_opcode(bytes, size, (tcg_ctx->gen_tb->flags & HF_CS64_MASK) != 0);
}

static void instrument_insn(struct qemu_plugin_insn *insn, bool monitored)
{
    uint64_t pc = qemu_plugin_insn_vaddr(insn);
    uint16_t opcode = 0;
    bool reads = rebox_wanted(REBOX_MEM_READ, monitored), writes = rebox_wanted(REBOX_MEM_WRITE, monitored);

    if (rebox_wanted(REBOX_OPCODE_RANGE, monitored)) {
        opcode = read_opcode(insn);
        if (!is_watched_opcode(opcode)) {
            opcode = 0;
        }
    }
    if (rebox_has_insn_events(pc, monitored)) {
        qemu_plugin_register_vcpu_insn_exec_cb(insn, monitored ? rebox_on_monitored_insn : rebox_on_other_insn,
                                               QEMU_PLUGIN_CB_RW_REGS,
                                               INSN_DATA(pc, opcode, qemu_plugin_insn_size(insn)));
    }
    if (reads || writes) {
        qemu_plugin_register_vcpu_mem_cb(insn, monitored ? rebox_on_monitored_access : rebox_on_other_access,
                                         QEMU_PLUGIN_CB_RW_REGS,
                                         (reads ? QEMU_PLUGIN_MEM_R : 0) | (writes ? QEMU_PLUGIN_MEM_W : 0),
                                         INSN_DATA(pc, 0, 0));
    }
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    size_t icount = qemu_plugin_tb_n_insns(tb);
    struct qemu_plugin_insn *last = qemu_plugin_tb_get_insn(tb, icount - 1);
    bool monitored = (tcg_ctx->gen_tb->cflags & CF_MONITORED) != 0;
    rebox_block block = { .pc = qemu_plugin_tb_vaddr(tb), .icount = icount };

    block.last = qemu_plugin_insn_vaddr(last) - block.pc;
    block.size = block.last + qemu_plugin_insn_size(last);
    if (counting) {
        qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, QEMU_PLUGIN_INLINE_ADD_U64,
                                                          qemu_plugin_scoreboard_u64(counts), 1);
    }
    if (rebox_has_block_events(block.pc, monitored)) {
        qemu_plugin_register_vcpu_tb_exec_cb(tb, monitored ? rebox_on_monitored_block : rebox_on_other_block,
                                             QEMU_PLUGIN_CB_RW_REGS, rebox_get_block(&block));
    }
    for (size_t i = 0; i < icount; i++) {
        instrument_insn(qemu_plugin_tb_get_insn(tb, i), monitored);
    }
}

static void on_flush(qemu_plugin_id_t id)
{
    /* What has begun names blocks that are about to go. */
    rebox_forget_progress();
    rebox_forget_blocks();
    rebox_code_hooks_flushed();
}

void rebox_instrument_init(void)
{
    struct qemu_plugin_ctx *ctx = qemu_memalign(qemu_dcache_linesize, sizeof(*ctx));

    memset(ctx, 0, sizeof(*ctx));
    WITH_QEMU_LOCK_GUARD(&plugin.lock) {
        /* Other plugins have random ids made from a pointer; this pointer is unique too. */
        ctx->id = (uintptr_t)ctx;
        g_hash_table_insert(plugin.id_ht, &ctx->id, &ctx->id);
        QTAILQ_INSERT_TAIL(&plugin.ctxs, ctx, entry);
    }
    plugin_id = ctx->id;
    rebox_blocks_init();
    rebox_code_hooks_init();
    ranges = g_array_new(false, false, sizeof(opcode_range));
    counts = qemu_plugin_scoreboard_new(sizeof(uint64_t));
}

void rebox_select_translations(CPUState *cpu, bool monitored)
{
    uint32_t wanted = (cpu->tcg_cflags & ~CF_MONITORED) | (monitored ? CF_MONITORED : 0);

    if (wanted != cpu->tcg_cflags) {
        cpu->tcg_cflags = wanted;
        if (!monitored) {
            rebox_drop_progress(cpu->cpu_index);
        }
        rebox_disturb(cpu, REBOX_STATE_CHANGED);
    }
}

static void flush_translations(CPUState *cpu, run_on_cpu_data unused)
{
    flush_queued = false;
    tb_flush(cpu);
}

static bool any_code_watched(void)
{
    for (int event = 0; event <= REBOX_OPCODE_RANGE; event++) {
        if (rebox_watched[event]) {
            return true;
        }
    }
    return counting || rebox_any_code_hook();
}

void rebox_follow_watched(void)
{
    bool wanted = any_code_watched();

    if (wanted != translating) {
        translating = wanted;
        qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, wanted ? on_translate : NULL);
        qemu_plugin_register_flush_cb(plugin_id, wanted ? on_flush : NULL);
    }
}

/*
 * Not at once: the caller may be a listener, called by the very code to be thrown away. The vCPU leaves that code when
 * the listener returns.
 */
void rebox_retranslate_all(void)
{
    rebox_follow_watched();
    if (first_cpu && !flush_queued) {
        flush_queued = true;
        async_safe_run_on_cpu(first_cpu, flush_translations, RUN_ON_CPU_NULL);
    }
    if (current_cpu) {
        rebox_disturb(current_cpu, REBOX_STATE_CHANGED);
    }
}

void rebox_listen(const rebox_listener *listener)
{
    rebox_listening = listener;
}

void rebox_watch(rebox_event event, bool on)
{
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
    for (guint i = 0; i < ranges->len; i++) {
        opcode_range *range = &g_array_index(ranges, opcode_range, i);

        if (range->first == first && range->last == last && --range->count == 0) {
            g_array_remove_index(ranges, i);
            rebox_watched[REBOX_OPCODE_RANGE] = ranges->len != 0;
            rebox_retranslate_all();
            return;
        }
    }
}

void rebox_count_blocks(bool on)
{
    if (counting != on) {
        counting = on;
        rebox_retranslate_all();
    }
}

uint64_t rebox_block_count(void)
{
    return qemu_plugin_u64_sum(qemu_plugin_scoreboard_u64(counts));
}
