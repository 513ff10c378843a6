/*
 * Executed blocks, through QEMU's own plugin layer: what is not listened to is not in the generated code.
 *
 * rebox registers itself as one more plugin, without a file. The plugin layer calls on_translate() for every block it
 * translates while rebox watches anything; that function decides what the block's code has to call.
 *
 * x86 system emulation translates with CF_PCREL: one translation serves every virtual address that its physical page
 * is mapped at. So the pc seen at translation is only a hint, and each event takes it from the vCPU.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/machine.h"
#include "exec/exec-all.h"
#include "exec/tb-flush.h"
#include "qemu/cacheinfo.h"
#include "qemu/lockable.h"
#include "qemu/memalign.h"
#include "qemu/plugin.h"
#include "plugins/plugin.h"

/* plugins/core.c; QEMU declares it where it is used. */
extern struct qemu_plugin_state plugin;

typedef struct block_hook {
    uint32_t id;
    uint64_t address;
    uint64_t pgd;
} block_hook;

static qemu_plugin_id_t plugin_id;
static struct qemu_plugin_scoreboard *flags;    /* one uint64_t for each vCPU: is its process monitored? */
static struct qemu_plugin_scoreboard *counts;
static bool watching, counting, translating, flush_queued;

static GArray *hooks;                           /* of block_hook */
static uint32_t last_hook_id;
static unsigned int hooks_at_offset[TARGET_PAGE_SIZE];

static GHashTable *blocks;                      /* rebox_block -> itself */
static rebox_block_listener listener;

/* The block that a disturbed vCPU goes back to must not be reported a second time. */
static struct {
    bool armed;
    int cpu_index;
    uint64_t pc, pgd;
} resumed;

static qemu_plugin_u64 monitored_flag(void)
{
    return qemu_plugin_scoreboard_u64(flags);
}

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

static rebox_block *get_block(uint64_t pc, uint32_t size, uint32_t icount)
{
    rebox_block key = { .pc = pc, .size = size, .icount = icount };
    rebox_block *block = g_hash_table_lookup(blocks, &key);

    if (!block) {
        block = g_memdup2(&key, sizeof(key));
        g_hash_table_add(blocks, block);
    }
    return block;
}

static void forget_block(gpointer data)
{
    rebox_block *block = data;

    if (block->user && listener.forget) {
        listener.forget(listener.opaque, block);
    }
    g_free(block);
}

/* The block as it executes now, which is not where it was translated when its page is mapped twice. */
static inline rebox_block *block_at(CPUX86State *env, rebox_block *translated)
{
    return likely(env->eip == translated->pc) ? translated
                                              : get_block(env->eip, translated->size, translated->icount);
}

/* Tells whether the vCPU comes back to a block whose events it has had; once. */
static inline bool take_resumption(int cpu_index, CPUX86State *env)
{
    if (likely(!resumed.armed) || resumed.cpu_index != cpu_index || resumed.pc != env->eip ||
        resumed.pgd != rebox_pgd_identity(env)) {
        return false;
    }
    resumed.armed = false;
    return true;
}

/* Leaves the generated code when a listener changed what it was generated for. Does not return then. */
static void leave_if_disturbed(CPUState *cpu, CPUX86State *env)
{
    rebox_disturbance disturbance = rebox_take_disturbance();

    if (likely(disturbance == REBOX_UNDISTURBED)) {
        return;
    }
    /* Keyed to pc and process, because an interrupt may be taken before the block is executed. */
    resumed.armed = disturbance == REBOX_STATE_CHANGED;
    resumed.cpu_index = cpu->cpu_index;
    resumed.pc = env->eip;
    resumed.pgd = rebox_pgd_identity(env);
    cpu_loop_exit_noexc(cpu);
}

static void on_block(unsigned int cpu_index, void *userdata)
{
    CPUState *cpu = current_cpu;
    CPUX86State *env = cpu_env(cpu);

    if (likely(watching) && likely(!take_resumption(cpu_index, env))) {
        listener.begin(listener.opaque, cpu_index, block_at(env, userdata));
        leave_if_disturbed(cpu, env);
    }
}

static void call_hooks(int cpu_index, CPUX86State *env, rebox_block *block, uint64_t pc, uint64_t pgd)
{
    /* A listener may add and remove hooks: only those that were there count, and each is looked up anew. */
    uint32_t newest = last_hook_id;

    for (uint32_t previous = 0, i = 0; i < hooks->len; i++) {
        block_hook hook = g_array_index(hooks, block_hook, i);

        if (hook.id <= previous || hook.id > newest) {
            continue;
        }
        previous = hook.id;
        if (hook.address == pc && (hook.pgd == pgd || hook.pgd == REBOX_ALL_PROCESSES)) {
            listener.hooked(listener.opaque, cpu_index, block, hook.id);
            i = -1;
        }
    }
}

/* Blocks that begin where a hook may be: hooks, then the general event. */
static void on_hooked_block(unsigned int cpu_index, void *userdata)
{
    CPUState *cpu = current_cpu;
    CPUX86State *env = cpu_env(cpu);
    uint64_t pc = env->eip;
    rebox_block *block;

    if (take_resumption(cpu_index, env)) {
        return;
    }
    block = block_at(env, userdata);
    if (hooks_at_offset[pc & ~TARGET_PAGE_MASK]) {
        call_hooks(cpu_index, env, block, pc, rebox_pgd_identity(env));
    }
    if (watching && qemu_plugin_u64_get(monitored_flag(), cpu_index)) {
        listener.begin(listener.opaque, cpu_index, block);
    }
    leave_if_disturbed(cpu, env);
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    size_t icount = qemu_plugin_tb_n_insns(tb);
    struct qemu_plugin_insn *last = qemu_plugin_tb_get_insn(tb, icount - 1);
    uint64_t pc = qemu_plugin_tb_vaddr(tb);
    uint64_t size = qemu_plugin_insn_vaddr(last) + qemu_plugin_insn_size(last) - pc;
    bool hooked = hooks_at_offset[pc & ~TARGET_PAGE_MASK] != 0;

    if (counting) {
        qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, QEMU_PLUGIN_INLINE_ADD_U64,
                                                          qemu_plugin_scoreboard_u64(counts), 1);
    }
    if (hooked) {
        qemu_plugin_register_vcpu_tb_exec_cb(tb, on_hooked_block, QEMU_PLUGIN_CB_RW_REGS,
                                             get_block(pc, size, icount));
    } else if (watching) {
        qemu_plugin_register_vcpu_tb_exec_cond_cb(tb, on_block, QEMU_PLUGIN_CB_RW_REGS, QEMU_PLUGIN_COND_NE,
                                                  monitored_flag(), 0, get_block(pc, size, icount));
    }
}

static void on_flush(qemu_plugin_id_t id)
{
    g_hash_table_remove_all(blocks);
}

void rebox_blocks_init(void)
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
    hooks = g_array_new(false, false, sizeof(block_hook));
    flags = qemu_plugin_scoreboard_new(sizeof(uint64_t));
    counts = qemu_plugin_scoreboard_new(sizeof(uint64_t));
}

void rebox_set_monitored_flag(int cpu_index, bool monitored)
{
    /* The scoreboard grows when a vCPU first runs; rebox_sync_address_space() comes back then. */
    if (flags && cpu_index < plugin.num_vcpus) {
        qemu_plugin_u64_set(monitored_flag(), cpu_index, monitored);
    }
}

static void flush_translations(CPUState *cpu, run_on_cpu_data unused)
{
    flush_queued = false;
    tb_flush(cpu);
}

/*
 * Throws away all translations, so that the next block executed has what is wanted now. Not at once: the caller may be
 * a listener, called by the very code to be thrown away. The queue kicks the vCPU, which leaves at the next block.
 */
static void retranslate_all(void)
{
    bool wanted = watching || counting || hooks->len;

    if (wanted != translating) {
        translating = wanted;
        qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, wanted ? on_translate : NULL);
        qemu_plugin_register_flush_cb(plugin_id, wanted ? on_flush : NULL);
    }
    if (first_cpu && !flush_queued) {
        flush_queued = true;
        async_safe_run_on_cpu(first_cpu, flush_translations, RUN_ON_CPU_NULL);
    }
}

void rebox_listen_blocks(const rebox_block_listener *new_listener)
{
    listener = *new_listener;
}

void rebox_watch_blocks(bool on)
{
    if (watching != on) {
        watching = on;
        retranslate_all();
    }
}

uint32_t rebox_hook_block(uint64_t address, uint64_t pgd)
{
    block_hook hook = { .id = ++last_hook_id, .address = address, .pgd = pgd };

    g_array_append_val(hooks, hook);
    if (hooks_at_offset[address & ~TARGET_PAGE_MASK]++ == 0) {
        retranslate_all();
    }
    return hook.id;
}

bool rebox_unhook_block(uint32_t hook_id)
{
    for (guint i = 0; i < hooks->len; i++) {
        block_hook hook = g_array_index(hooks, block_hook, i);

        if (hook.id == hook_id) {
            g_array_remove_index(hooks, i);
            if (--hooks_at_offset[hook.address & ~TARGET_PAGE_MASK] == 0) {
                retranslate_all();
            }
            return true;
        }
    }
    return false;
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
