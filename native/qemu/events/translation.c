/*
 * Events of executed code, through QEMU's own plugin layer: what is not listened to is not in the generated code.
 *
 * rebox registers itself as one more plugin, without a file. The plugin layer calls on_translate() for every block it
 * translates while rebox watches anything; that function decides what the block's code has to call.
 *
 * The process filter is not in the generated code either. A vCPU in a monitored process looks blocks up with one more
 * bit in its flags, so it has translations of its own, with events; all others run those without. A change of CR3 ends
 * its block with a look-up, which is when the bit counts. An event that is watched everywhere is in both translations,
 * and the listener asks which one it comes from. Events can be limited to places in the same way: see selection.c.
 *
 * x86 system emulation translates with CF_PCREL: one translation serves every virtual address that its physical page
 * is mapped at. So the pc seen at translation is only a hint, and each event takes it from the vCPU: the page from its
 * eip, which is exact at the start of a block and stays in the block's page within it, the rest from the translation.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/events/events.h"
#include "exec/exec-all.h"
#include "exec/tb-flush.h"
#include "exec/translation-block.h"
#include "qemu/cacheinfo.h"
#include "qemu/lockable.h"
#include "qemu/memalign.h"
#include "qemu/plugin.h"
#include "plugins/plugin.h"
#include "rebox/events/blocks.h"
#include "rebox/events/code_watches.h"
#include "rebox/events/known_blocks.h"
#include "rebox/events/translation.h"
#include "rebox/events/opcode.h"
#include "rebox/events/selection.h"
#include "tcg/tcg.h"

/* plugins/core.c; QEMU declares it where it is used. */
extern struct qemu_plugin_state plugin;

static qemu_plugin_id_t plugin_id;
static struct qemu_plugin_scoreboard *counts;
static bool counting, translating, flush_queued;

static bool is_64bit(void)
{
    return (tcg_ctx->gen_tb->flags & HF_CS64_MASK) != 0;
}

static uint16_t read_opcode(struct qemu_plugin_insn *insn)
{
    uint8_t bytes[16];
    size_t size = qemu_plugin_insn_data(insn, bytes, sizeof(bytes));

    return rebox_decode_opcode(bytes, size, is_64bit());
}

static rebox_block_end read_end(struct qemu_plugin_insn *last)
{
    uint8_t bytes[16];
    size_t size = qemu_plugin_insn_data(last, bytes, sizeof(bytes));

    return rebox_decode_end(bytes, size, is_64bit());
}

/* The block under translation, as far as its instrumentation depends on it. */
typedef struct block_wishes {
    bool monitored, hooked;
    uint32_t cflags, flags;
} block_wishes;

/* Whether an event is wanted of this code; if not because of its place, it is to be counted. */
static inline bool is_wanted(const block_wishes *of, rebox_event event, bool *skipped)
{
    if (!rebox_wanted(event, of->monitored)) {
        return false;
    }
    *skipped = !rebox_is_selected(event, of->cflags, of->flags);
    return !*skipped;
}

/* With follows, the instruction before has an opcode that is watched: its end is noticed here. Returns whether this one has. */
static bool instrument_execution(struct qemu_plugin_insn *insn, const block_wishes *of, bool follows)
{
    uint64_t pc = qemu_plugin_insn_vaddr(insn);
    uint16_t opcode = 0;
    bool skipped = false;

    if (rebox_wanted(REBOX_OPCODE_RANGE, of->monitored)) {
        opcode = read_opcode(insn);
        if (!rebox_is_watched_opcode(opcode)) {
            opcode = 0;
        }
    }
    if (is_wanted(of, REBOX_INSN_BEGIN, &skipped) || (of->hooked && rebox_carries_call(false, pc)) ||
        rebox_wanted(REBOX_INSN_END, of->monitored) || opcode || follows) {
        qemu_plugin_register_vcpu_insn_exec_cb(insn, of->monitored ? rebox_on_monitored_insn : rebox_on_other_insn,
                                               QEMU_PLUGIN_CB_RW_REGS,
                                               INSN_DATA(pc, opcode, qemu_plugin_insn_size(insn)));
    } else if (skipped) {
        qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(insn, QEMU_PLUGIN_INLINE_ADD_U64,
                                                            rebox_skipped_counter(REBOX_INSN_BEGIN), 1);
    }
    return opcode != 0;
}

typedef enum access_code { ACCESSES_IGNORED, ACCESSES_COUNTED, ACCESSES_REPORTED } access_code;

static access_code instrument_accesses(struct qemu_plugin_insn *insn, const block_wishes *of)
{
    static const struct {
        rebox_event event;
        enum qemu_plugin_mem_rw rw;
    } kinds[] = { { REBOX_MEM_READ, QEMU_PLUGIN_MEM_R }, { REBOX_MEM_WRITE, QEMU_PLUGIN_MEM_W } };
    bool any_skipped = false;
    int rw = 0;

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        bool skipped = false;

        if (is_wanted(of, kinds[i].event, &skipped)) {
            rw |= kinds[i].rw;
        } else if (skipped) {
            any_skipped = true;
            qemu_plugin_register_vcpu_mem_inline_per_vcpu(insn, kinds[i].rw, QEMU_PLUGIN_INLINE_ADD_U64,
                                                          rebox_skipped_counter(kinds[i].event), 1);
        }
    }
    if (rw) {
        qemu_plugin_register_vcpu_mem_cb(insn, of->monitored ? rebox_on_monitored_access : rebox_on_other_access,
                                         QEMU_PLUGIN_CB_RW_REGS, rw, INSN_DATA(qemu_plugin_insn_vaddr(insn), 0, 0));
    }
    return rw ? ACCESSES_REPORTED : any_skipped ? ACCESSES_COUNTED : ACCESSES_IGNORED;
}

/* Pauses the guest here for an access of the instruction before: it costs a comparison. */
static void instrument_hold(struct qemu_plugin_insn *insn)
{
    qemu_plugin_register_vcpu_insn_exec_cond_cb(insn, rebox_on_held_insn, QEMU_PLUGIN_CB_RW_REGS, QEMU_PLUGIN_COND_NE,
                                                qemu_plugin_scoreboard_u64(rebox_held_accesses), 0,
                                                INSN_DATA(qemu_plugin_insn_vaddr(insn), 0, 0));
}

/*
 * The plugin layer has each access store its value for callbacks (tcg/tcg-op-ldst.c), before it is known whether there
 * are any. Where there are none the stores go: code that only has a hook in its page, or no event at all, is as fast as
 * without a plugin.
 */
static void drop_access_values(void)
{
    const TCGArg env = tcgv_ptr_arg(tcg_env);
    const intptr_t values = offsetof(CPUState, neg.plugin_mem_value_low) - sizeof(CPUState);
    const intptr_t high_values = offsetof(CPUState, neg.plugin_mem_value_high) - sizeof(CPUState);
    TCGOp *op, *next;

    QTAILQ_FOREACH_SAFE(op, &tcg_ctx->ops, link, next) {
        if ((op->opc == INDEX_op_st_i64 || op->opc == INDEX_op_st_i32) && op->args[1] == env &&
            ((intptr_t)op->args[2] == values || (intptr_t)op->args[2] == high_values)) {
            tcg_op_remove(tcg_ctx, op);
        }
    }
}

static void instrument_block(struct qemu_plugin_tb *tb, const rebox_block *block, const block_wishes *of)
{
    static const qemu_plugin_vcpu_udata_cb_t calls[2][2] = {
        { rebox_on_other_block, rebox_on_other_plain_block },
        { rebox_on_monitored_block, rebox_on_monitored_plain_block },
    };
    /* The ends of blocks and instructions are noticed where the next block begins, wherever that is. */
    bool is_plain = !((of->hooked && rebox_carries_call(true, block->pc)) ||
                      rebox_wanted(REBOX_BLOCK_END, of->monitored) || rebox_wanted(REBOX_INSN_END, of->monitored) ||
                      rebox_wanted(REBOX_OPCODE_RANGE, of->monitored));
    bool skipped = false;

    if (of->cflags & CF_WATCHED_CODE) {
        qemu_plugin_register_vcpu_tb_exec_cb(tb, rebox_on_watched_code, QEMU_PLUGIN_CB_RW_REGS, NULL);
    }
    if (counting) {
        qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, QEMU_PLUGIN_INLINE_ADD_U64,
                                                          qemu_plugin_scoreboard_u64(counts), 1);
    }
    if (is_plain && is_wanted(of, REBOX_BLOCK_BEGIN, &skipped) && rebox_may_be_known(of->monitored)) {
        rebox_compare_block(rebox_get_block(block), of->monitored);
    } else if (is_wanted(of, REBOX_BLOCK_BEGIN, &skipped) || !is_plain) {
        qemu_plugin_register_vcpu_tb_exec_cb(tb, calls[of->monitored][is_plain], QEMU_PLUGIN_CB_RW_REGS,
                                             rebox_get_block(block));
    } else if (skipped) {
        qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, QEMU_PLUGIN_INLINE_ADD_U64,
                                                          rebox_skipped_counter(REBOX_BLOCK_BEGIN), 1);
    }
}

static bool is_only_plugin(void)
{
    return QTAILQ_FIRST(&plugin.ctxs) == QTAILQ_LAST(&plugin.ctxs);
}

bool rebox_hook_is_plain(uint32_t cflags)
{
    bool monitored = (cflags & CF_MONITORED) != 0;

    if (counting || (cflags & (CF_HOOKED | CF_BP_PAGE)) || !is_only_plugin()) {
        return false;
    }
    for (int event = 0; event <= REBOX_OPCODE_RANGE; event++) {
        if (rebox_wanted(event, monitored)) {
            return false;
        }
    }
    /* A translation that was given up, at a page that is not there, leaves it (plugin_gen_tb_end() of 10.0). */
    tcg_ctx->plugin_insn = NULL;
    return true;
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    const TranslationBlock *translated = tcg_ctx->gen_tb;
    const block_wishes wishes = {
        .monitored = (translated->cflags & CF_MONITORED) != 0,
        .hooked = (translated->cflags & CF_HOOKED) != 0,
        .cflags = translated->cflags,
        .flags = translated->flags,
    };
    size_t icount = qemu_plugin_tb_n_insns(tb);
    struct qemu_plugin_insn *last = qemu_plugin_tb_get_insn(tb, icount - 1);
    rebox_block block = { .pc = qemu_plugin_tb_vaddr(tb), .icount = icount };
    bool any_accesses = false, follows = false;
    access_code before = ACCESSES_IGNORED;

    block.last = qemu_plugin_insn_vaddr(last) - block.pc;
    block.size = block.last + qemu_plugin_insn_size(last);
    block.end = read_end(last);
    instrument_block(tb, &block, &wishes);
    for (size_t i = 0; i < icount; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

        /* First: what begins there is reported when the guest continues. */
        if (before == ACCESSES_REPORTED) {
            instrument_hold(insn);
        }
        follows = instrument_execution(insn, &wishes, follows);
        before = instrument_accesses(insn, &wishes);
        any_accesses |= before != ACCESSES_IGNORED;
    }
    /* Another plugin, given by the user with -plugin, may want them. */
    if (!any_accesses && is_only_plugin()) {
        drop_access_values();
    }
}

static void on_flush(qemu_plugin_id_t id)
{
    /* Begun blocks and instructions name blocks that are about to go. */
    rebox_forget_progress();
    rebox_forget_blocks();
    rebox_hooked_pages_flushed();
}

void rebox_translation_init(void)
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
    counts = qemu_plugin_scoreboard_new(sizeof(uint64_t));
}

void rebox_select_translations(CPUState *cpu, bool monitored)
{
    uint32_t wanted = (cpu->tcg_cflags & ~(CF_MONITORED | CF_HOOKED)) | (monitored ? CF_MONITORED : 0);

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

void rebox_follow_watched(void)
{
    bool wanted = counting || rebox_any_code_watched() || rebox_any_code_hook() || rebox_any_code_watch();

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
