/*
 * Blocks that are told until somebody knows them: generated code then compares a word in place of a call.
 *
 * The word is in the block, and says where it is known: an address, since one translation is executed at several, and above its bits
 * the number of an address space, since processes share code. The kernel's number is 0. A process that executes a block known in
 * another one has it told anew, and so has that other one afterwards: that is a call too many, and never one too few. An address
 * space whose blocks are to be told again gets another number.
 *
 * All vCPUs have one thread, so that the number of the address space that is executed is in one place.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/events/known_blocks.h"
#include "exec/exec-all.h"
#include "exec/translation-block.h"
#include "qemu/plugin.h"
#include "rebox/events/blocks.h"
#include "rebox/events/code_watches.h"
#include "rebox/events/translation.h"
#include "tcg/tcg.h"
#include "tcg/tcg-op-common.h"
#include "tcg/tcg-temp-internal.h"

/* Addresses have 48 bits, those of the upper half sign-extended; none that is summed up with a number is REBOX_UNKNOWN_BLOCK. */
#define NUMBER_SHIFT 48
#define MOST_NUMBERS 0x3ffe

uint64_t rebox_known_space, rebox_known_changes;
static rebox_telling telling;
static GHashTable *numbers; /* identity of an address space -> its number */
static uint64_t last_number;
static uint64_t numbered_pgd; /* whose number rebox_known_space is */

static uint64_t number_of(uint64_t pgd)
{
    uint64_t number;

    if (!numbers) {
        numbers = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    }
    number = (uintptr_t)g_hash_table_lookup(numbers, &pgd);
    if (number) {
        return number;
    }
    if (last_number == MOST_NUMBERS) {
        g_hash_table_remove_all(numbers);
        rebox_forget_known_blocks();
        last_number = 0;
    }
    g_hash_table_insert(numbers, g_memdup2(&pgd, sizeof(pgd)), (void *)(uintptr_t)++last_number);
    return last_number;
}

void rebox_follow_known_blocks(CPUState *cpu)
{
    uint64_t pgd = rebox_current_pgds()[cpu->cpu_index];

    if (telling == REBOX_TELL_ALWAYS || (current_cpu && current_cpu != cpu) ||
        (rebox_known_space && numbered_pgd == pgd)) {
        return;
    }
    numbered_pgd = pgd;
    rebox_known_space = number_of(pgd) << NUMBER_SHIFT;
}

/* Outside of a slice nobody executes: each vCPU notes its address space when it goes on. */
static void renew_space(void)
{
    rebox_known_space = 0;
    if (current_cpu) {
        rebox_follow_known_blocks(current_cpu);
    }
}

void rebox_tell_blocks_again(uint64_t pgd)
{
    if (pgd == REBOX_ALL_PROCESSES) {
        rebox_known_changes++;
        rebox_forget_known_blocks();
    } else if (numbers) {
        uint64_t identity = rebox_normal_pgd(pgd);

        g_hash_table_remove(numbers, &identity);
    }
    renew_space();
}

void rebox_tell_blocks(rebox_telling how)
{
    if (telling != how) {
        telling = how;
        rebox_forget_known_blocks();
        renew_space();
        rebox_retranslate_all();
    }
}

static bool is_kernel_block(void)
{
    return (tcg_ctx->gen_tb->flags & HF_CPL_MASK) == 0;
}

bool rebox_may_be_known(bool monitored)
{
    const TranslationBlock *tb = tcg_ctx->gen_tb;

    if (telling == REBOX_TELL_ALWAYS || (tb->cflags & CF_WATCHED_CODE) || tb->cs_base) {
        return false;
    }
    /* Addresses of programs may have more bits than are left for them. A guest that wants this has it before its programs. */
    if (!is_kernel_block() && (cpu_env(current_cpu)->cr[4] & CR4_LA57_MASK)) {
        return false;
    }
    /* Where listeners of these leave the code, a mark is left behind, which only a call takes. */
    for (int event = REBOX_BLOCK_END; event <= REBOX_OPCODE_RANGE; event++) {
        if (rebox_wanted(event, monitored)) {
            return false;
        }
    }
    return true;
}

static TCGOp *find_begin(void)
{
    TCGOp *op;

    QTAILQ_FOREACH(op, &tcg_ctx->ops, link) {
        if (op->opc == INDEX_op_plugin_cb) {
            break;
        }
    }
    return op;
}

void rebox_compare_block(rebox_block *block, bool monitored)
{
    static TCGHelperInfo info = {
        .typemask = dh_typemask(void, 0) | dh_typemask(i32, 1) | dh_typemask(ptr, 2),
    };
    TCGv_i64 here, known;
    TCGv_i32 cpu_index;
    TCGLabel *is_known;

    if (is_kernel_block() && telling == REBOX_TELL_PROGRAMS_ONCE) {
        return;
    }
    /* The plugin layer's own code for this place, which is in front of the first instruction, comes behind. */
    tcg_ctx->emit_before_op = find_begin();
    tcg_temp_ebb_reset_freed(tcg_ctx);
    here = tcg_temp_ebb_new_i64();
    known = tcg_temp_ebb_new_i64();
    is_known = gen_new_label();
    tcg_gen_ld_i64(here, tcg_env, offsetof(CPUX86State, eip));
    if (!is_kernel_block()) {
        tcg_gen_ld_i64(known, tcg_constant_ptr(&rebox_known_space), 0);
        tcg_gen_add_i64(here, here, known);
    }
    tcg_gen_ld_i64(known, tcg_constant_ptr(&block->known), 0);
    tcg_gen_brcond_i64(TCG_COND_EQ, here, known, is_known);
    if (CPU_NEXT(first_cpu)) {
        cpu_index = tcg_temp_ebb_new_i32();
        tcg_gen_ld_i32(cpu_index, tcg_env, (intptr_t)offsetof(CPUState, cpu_index) - (intptr_t)sizeof(CPUState));
    } else {
        cpu_index = tcg_constant_i32(first_cpu->cpu_index);
    }
    tcg_gen_call2(monitored ? rebox_on_monitored_unknown_block : rebox_on_other_unknown_block, &info, NULL,
                  tcgv_i32_temp(cpu_index), tcgv_ptr_temp(tcg_constant_ptr(block)));
    gen_set_label(is_known);
    tcg_ctx->emit_before_op = NULL;
}
