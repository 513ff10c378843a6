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
#include "rebox/opcode.h"
#include "tcg/tcg.h"

/* plugins/core.c; QEMU declares it where it is used. */
extern struct qemu_plugin_state plugin;

/* One of the bits that include/exec/translation-block.h leaves free. */
#define CF_MONITORED 0x00800000
QEMU_BUILD_BUG_ON(CF_MONITORED & (CF_COUNT_MASK | CF_NO_GOTO_TB | CF_NO_GOTO_PTR | CF_SINGLE_STEP | CF_MEMI_ONLY |
                                  CF_USE_ICOUNT | CF_INVALID | CF_PARALLEL | CF_NOIRQ | CF_PCREL | CF_BP_PAGE |
                                  CF_CLUSTER_MASK));

typedef struct code_hook {
    uint32_t id;
    bool is_block;
    uint64_t address;
    uint64_t pgd;
} code_hook;

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
static bool physical_wanted;

static GArray *hooks;                           /* of code_hook */
static uint32_t last_hook_id;
static uint16_t hooks_at_offset[2][TARGET_PAGE_SIZE];    /* by is_block and offset in the page */
static GArray *ranges;                          /* of opcode_range */

static GHashTable *blocks;                      /* rebox_block -> itself */

/* How far a disturbed vCPU had come: the events up to there must not be reported a second time. */
typedef enum resumption { RESUME_NOTHING, RESUME_BLOCK, RESUME_INSN } resumption;
static struct {
    resumption stage;
    int cpu_index;
    uint64_t pc, pgd;
} resumed;

static struct {
    bool pending;
    int cpu_index;
    uint64_t pc;
} deferred_pc;

/* What an instruction's callback is given, packed into its pointer. */
#define INSN_OFFSET(data) ((uintptr_t)(data) & ~TARGET_PAGE_MASK)
#define INSN_OPCODE(data) ((uint16_t)((uintptr_t)(data) >> TARGET_PAGE_BITS))
#define INSN_SIZE(data) ((uint8_t)((uintptr_t)(data) >> (TARGET_PAGE_BITS + 16)))
#define INSN_DATA(pc, opcode, size) ((void *)(((pc) & ~TARGET_PAGE_MASK) | ((uintptr_t)(opcode) << TARGET_PAGE_BITS) | \
                                              ((uintptr_t)(size) << (TARGET_PAGE_BITS + 16))))

static guint hash_block(gconstpointer key)
{
    const rebox_block *block = key;
    uint64_t mixed = (block->pc ^ ((uint64_t)block->size << 48) ^ ((uint64_t)block->icount << 56)) *
                     0x9e3779b97f4a7c15ULL;

    return mixed >> 32;
}

static gboolean equal_blocks(gconstpointer a, gconstpointer b)
{
    const rebox_block *x = a, *y = b;

    return x->pc == y->pc && x->size == y->size && x->icount == y->icount;
}

static rebox_block *get_block(const rebox_block *wanted)
{
    rebox_block *block = g_hash_table_lookup(blocks, wanted);

    if (!block) {
        block = g_memdup2(wanted, sizeof(*wanted));
        block->user = NULL;
        g_hash_table_add(blocks, block);
    }
    return block;
}

static void forget_block(gpointer data)
{
    rebox_block *block = data;

    if (block->user && rebox_listening->forget) {
        rebox_listening->forget(rebox_listening->opaque, block);
    }
    g_free(block);
}

/* The block as it executes now, which is not where it was translated when its page is mapped twice. */
static inline rebox_block *block_at(CPUX86State *env, rebox_block *translated)
{
    rebox_block here;

    if (likely(rebox_linear_pc(env) == translated->pc)) {
        return translated;
    }
    here = *translated;
    here.pc = rebox_linear_pc(env);
    return get_block(&here);
}

/* Tells how far a vCPU that comes back had come; once. */
static inline resumption take_resumption(int cpu_index, CPUX86State *env, uint64_t pc)
{
    resumption stage = resumed.stage;

    if (likely(stage == RESUME_NOTHING) || resumed.cpu_index != cpu_index || resumed.pc != pc ||
        resumed.pgd != rebox_pgd_identity(env)) {
        return RESUME_NOTHING;
    }
    resumed.stage = RESUME_NOTHING;
    return stage;
}

/*
 * Leaves the generated code when a listener changed what it was generated for; does not return then. env->eip is the
 * next address to execute.
 */
static void leave_if_disturbed(CPUState *cpu, CPUX86State *env, resumption stage)
{
    rebox_disturbance disturbance = rebox_take_disturbance();

    if (likely(disturbance == REBOX_UNDISTURBED)) {
        return;
    }
    /* Keyed to pc and process, because an interrupt may be taken before the code is executed. */
    resumed.stage = disturbance == REBOX_STATE_CHANGED ? stage : RESUME_NOTHING;
    resumed.cpu_index = cpu->cpu_index;
    resumed.pc = env->eip;
    resumed.pgd = rebox_pgd_identity(env);
    cpu_loop_exit_noexc(cpu);
}

static void call_hooks(int cpu_index, rebox_block *block, uint64_t pc, uint64_t pgd)
{
    /* A listener may add and remove hooks: only those that were there count, and each is looked up anew. */
    uint32_t newest = last_hook_id;
    uint32_t previous = 0;

    for (guint i = 0; i < hooks->len; i++) {
        code_hook hook = g_array_index(hooks, code_hook, i);

        if (hook.id <= previous || hook.id > newest || hook.is_block != (block != NULL)) {
            continue;
        }
        if (hook.address == pc && (hook.pgd == pgd || hook.pgd == REBOX_ALL_PROCESSES)) {
            previous = hook.id;
            rebox_listening->hooked(rebox_listening->opaque, cpu_index, block, hook.id);
            i = -1;
        }
    }
}

static bool has_insn_events(uint64_t pc, bool monitored)
{
    return hooks_at_offset[false][pc & ~TARGET_PAGE_MASK] ||
           rebox_wanted(REBOX_INSN_BEGIN, monitored) || rebox_wanted(REBOX_INSN_END, monitored) ||
           rebox_wanted(REBOX_OPCODE_RANGE, monitored);
}

/* A listener may have ended the monitoring while the code that was generated for it is still being executed. */
static inline bool is_monitored_now(CPUState *cpu)
{
    return (cpu->tcg_cflags & CF_MONITORED) != 0;
}

/* The start of a block: the end of what came before, hooks, then the general event where it is wanted. */
static inline void begin_block(int cpu_index, rebox_block *translated, bool monitored)
{
    CPUState *cpu = current_cpu;
    CPUX86State *env = cpu_env(cpu);
    rebox_block *block;
    resumption stage = take_resumption(cpu_index, env, env->eip);

    monitored = monitored && is_monitored_now(cpu);
    if (unlikely(stage != RESUME_NOTHING)) {
        /* An instruction's callback was the last; its events are skipped by begin_insn(), if there are any. */
        if (stage == RESUME_INSN && has_insn_events(rebox_linear_pc(env), monitored)) {
            resumed.stage = RESUME_INSN;
        }
        if (rebox_wanted(REBOX_BLOCK_END, monitored)) {
            rebox_begin_block(cpu_index, block_at(env, translated), monitored);
        }
        return;
    }
    if (rebox_any_pending(cpu_index)) {
        rebox_finish(cpu_index, rebox_linear_pc(env), true);
        leave_if_disturbed(cpu, env, RESUME_NOTHING);
    }
    block = block_at(env, translated);
    if (hooks_at_offset[true][block->pc & ~TARGET_PAGE_MASK]) {
        call_hooks(cpu_index, block, block->pc, rebox_pgd_identity(env));
    }
    if (rebox_wanted(REBOX_BLOCK_END, monitored)) {
        rebox_begin_block(cpu_index, block, monitored);
    }
    if (rebox_wanted(REBOX_BLOCK_BEGIN, monitored)) {
        rebox_told.monitored = monitored;
        rebox_listening->block_begin(rebox_listening->opaque, cpu_index, block);
    }
    leave_if_disturbed(cpu, env, RESUME_BLOCK);
}

static void on_monitored_block(unsigned int cpu_index, void *block)
{
    begin_block(cpu_index, block, true);
}

static void on_other_block(unsigned int cpu_index, void *block)
{
    begin_block(cpu_index, block, false);
}

/*
 * An instruction within a block: the vCPU's eip is that of the block or of a place between, and the generated code
 * counts on it. A listener gets the exact one; afterwards the old one is put back, or the code is left.
 */
static inline void begin_insn(int cpu_index, void *data, bool monitored, uintptr_t code_pointer)
{
    CPUState *cpu = current_cpu;
    CPUX86State *env = cpu_env(cpu);
    uint64_t generated_eip = env->eip;
    uint64_t pc = (rebox_linear_pc(env) & TARGET_PAGE_MASK) | INSN_OFFSET(data);
    uint64_t eip = pc - rebox_code_base(env);
    uint16_t opcode = INSN_OPCODE(data);
    rebox_disturbance disturbance;

    if (unlikely(take_resumption(cpu_index, env, eip) != RESUME_NOTHING)) {
        return;
    }
    monitored = monitored && is_monitored_now(cpu);
    env->eip = eip;
    rebox_code_pointer = code_pointer;
    if (rebox_any_pending(cpu_index)) {
        rebox_finish(cpu_index, pc, false);
    }
    if (hooks_at_offset[false][INSN_OFFSET(data)]) {
        call_hooks(cpu_index, NULL, pc, rebox_pgd_identity(env));
    }
    if (opcode || rebox_wanted(REBOX_INSN_END, monitored)) {
        rebox_begin_insn(cpu_index, pc, monitored);
    }
    if (opcode && !rebox_opcode_interrupts(opcode)) {
        rebox_begin_opcode(opcode, INSN_SIZE(data), cpu_index);
    } else if (opcode && rebox_wanted(REBOX_OPCODE_RANGE, monitored)) {
        rebox_told = (rebox_event_facts) { .monitored = monitored, .insn_size = INSN_SIZE(data) };
        rebox_listening->opcode(rebox_listening->opaque, cpu_index, opcode, pc, 0);
    }
    if (rebox_wanted(REBOX_INSN_BEGIN, monitored)) {
        rebox_told.monitored = monitored;
        rebox_listening->insn_begin(rebox_listening->opaque, cpu_index);
    }
    disturbance = rebox_take_disturbance();
    if (likely(disturbance == REBOX_UNDISTURBED)) {
        rebox_code_pointer = 0;
        env->eip = generated_eip;
        return;
    }
    rebox_settle_flags(cpu);
    resumed.stage = disturbance == REBOX_STATE_CHANGED ? RESUME_INSN : RESUME_NOTHING;
    resumed.cpu_index = cpu_index;
    resumed.pc = env->eip;
    resumed.pgd = rebox_pgd_identity(env);
    cpu_loop_exit_noexc(cpu);
}

static void on_monitored_insn(unsigned int cpu_index, void *data)
{
    begin_insn(cpu_index, data, true, GETPC());
}

static void on_other_insn(unsigned int cpu_index, void *data)
{
    begin_insn(cpu_index, data, false, GETPC());
}

static inline void report_access(int cpu_index, qemu_plugin_meminfo_t info, uint64_t vaddr, void *data, bool monitored,
                                 uintptr_t code_pointer)
{
    CPUState *cpu = current_cpu;
    CPUX86State *env = cpu_env(cpu);
    bool is_write = qemu_plugin_mem_is_store(info);
    rebox_access access = { .vaddr = vaddr, .size = 1u << qemu_plugin_mem_size_shift(info) };
    rebox_disturbance disturbance;
    uint64_t generated_eip = env->eip;

    if (!rebox_wanted(is_write ? REBOX_MEM_WRITE : REBOX_MEM_READ, monitored && is_monitored_now(cpu))) {
        return;
    }
    if (physical_wanted) {
        struct qemu_plugin_hwaddr *physical = qemu_plugin_get_hwaddr(info, vaddr);

        if (physical) {
            access.paddr = qemu_plugin_hwaddr_phys_addr(physical);
            access.is_mmio = qemu_plugin_hwaddr_is_io(physical);
        }
    }
    access.data[0] = cpu->neg.plugin_mem_value_low;
    if (access.size == 16) {
        access.data[1] = cpu->neg.plugin_mem_value_high;
    } else if (access.size < 8) {
        access.data[0] &= (1ULL << (access.size * 8)) - 1;
    }
    env->eip = ((rebox_linear_pc(env) & TARGET_PAGE_MASK) | INSN_OFFSET(data)) - rebox_code_base(env);
    rebox_code_pointer = code_pointer;
    rebox_told.monitored = monitored;
    rebox_listening->access(rebox_listening->opaque, cpu_index, is_write, &access);
    disturbance = rebox_take_disturbance();
    if (unlikely(disturbance != REBOX_UNDISTURBED)) {
        /* The instruction is half done: it is completed, and its block, before the vCPU goes elsewhere. */
        if (disturbance == REBOX_PC_CHANGED) {
            deferred_pc.pending = true;
            deferred_pc.cpu_index = cpu_index;
            deferred_pc.pc = env->eip;
        }
        cpu_exit(cpu);
    }
    rebox_code_pointer = 0;
    env->eip = generated_eip;
}

static void on_monitored_access(unsigned int cpu_index, qemu_plugin_meminfo_t info, uint64_t vaddr, void *data)
{
    report_access(cpu_index, info, vaddr, data, true, GETPC());
}

static void on_other_access(unsigned int cpu_index, qemu_plugin_meminfo_t info, uint64_t vaddr, void *data)
{
    report_access(cpu_index, info, vaddr, data, false, GETPC());
}

void rebox_apply_deferred_pc(CPUState *cpu)
{
    if (unlikely(deferred_pc.pending) && deferred_pc.cpu_index == cpu->cpu_index) {
        deferred_pc.pending = false;
        cpu_env(cpu)->eip = deferred_pc.pc;
    }
}

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
    if (has_insn_events(pc, monitored)) {
        qemu_plugin_register_vcpu_insn_exec_cb(insn, monitored ? on_monitored_insn : on_other_insn,
                                               QEMU_PLUGIN_CB_RW_REGS,
                                               INSN_DATA(pc, opcode, qemu_plugin_insn_size(insn)));
    }
    if (reads || writes) {
        qemu_plugin_register_vcpu_mem_cb(insn, monitored ? on_monitored_access : on_other_access,
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
    if (rebox_wanted(REBOX_BLOCK_BEGIN, monitored) || rebox_wanted(REBOX_BLOCK_END, monitored) ||
        rebox_wanted(REBOX_INSN_END, monitored) || rebox_wanted(REBOX_OPCODE_RANGE, monitored) ||
        hooks_at_offset[true][block.pc & ~TARGET_PAGE_MASK]) {
        qemu_plugin_register_vcpu_tb_exec_cb(tb, monitored ? on_monitored_block : on_other_block,
                                             QEMU_PLUGIN_CB_RW_REGS, get_block(&block));
    }
    for (size_t i = 0; i < icount; i++) {
        instrument_insn(qemu_plugin_tb_get_insn(tb, i), monitored);
    }
}

static void on_flush(qemu_plugin_id_t id)
{
    /* What has begun names blocks that are about to go. */
    rebox_forget_progress();
    g_hash_table_remove_all(blocks);
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
    blocks = g_hash_table_new_full(hash_block, equal_blocks, forget_block, NULL);
    hooks = g_array_new(false, false, sizeof(code_hook));
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
    return counting || hooks->len;
}

/*
 * Throws away all translations, so that what is executed next has what is wanted now. Not at once: the caller may be a
 * listener, called by the very code to be thrown away. The vCPU leaves that code when the listener returns.
 */
static void retranslate_all(void)
{
    bool wanted = any_code_watched();

    if (wanted != translating) {
        translating = wanted;
        qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, wanted ? on_translate : NULL);
        qemu_plugin_register_flush_cb(plugin_id, wanted ? on_flush : NULL);
    }
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
            retranslate_all();
        }
    }
}

void rebox_watch_everywhere(rebox_event event, bool on)
{
    if (event <= REBOX_OPCODE_RANGE && rebox_watched_everywhere[event] != on) {
        rebox_watched_everywhere[event] = on;
        retranslate_all();
    }
}

uint32_t rebox_hook(bool is_block, uint64_t address, uint64_t pgd)
{
    code_hook hook = { .id = ++last_hook_id, .is_block = is_block, .address = address, .pgd = pgd };

    g_array_append_val(hooks, hook);
    if (hooks_at_offset[is_block][address & ~TARGET_PAGE_MASK]++ == 0) {
        retranslate_all();
    }
    return hook.id;
}

bool rebox_unhook(uint32_t hook_id)
{
    for (guint i = 0; i < hooks->len; i++) {
        code_hook hook = g_array_index(hooks, code_hook, i);

        if (hook.id == hook_id) {
            g_array_remove_index(hooks, i);
            if (--hooks_at_offset[hook.is_block][hook.address & ~TARGET_PAGE_MASK] == 0) {
                retranslate_all();
            }
            return true;
        }
    }
    return false;
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
    retranslate_all();
}

void rebox_ignore_opcodes(uint16_t first, uint16_t last)
{
    for (guint i = 0; i < ranges->len; i++) {
        opcode_range *range = &g_array_index(ranges, opcode_range, i);

        if (range->first == first && range->last == last && --range->count == 0) {
            g_array_remove_index(ranges, i);
            rebox_watched[REBOX_OPCODE_RANGE] = ranges->len != 0;
            retranslate_all();
            return;
        }
    }
}

void rebox_want_physical(bool on)
{
    physical_wanted = on;
}

void rebox_count_blocks(bool on)
{
    if (counting != on) {
        counting = on;
        retranslate_all();
    }
}

uint64_t rebox_block_count(void)
{
    return qemu_plugin_u64_sum(qemu_plugin_scoreboard_u64(counts));
}
