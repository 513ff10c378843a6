/*
 * What rebox's native filters are compared with: a plugin for plain QEMU that is called for every block or instruction,
 * looks whether the program counter is in a range, and counts.
 *
 * -plugin FILE,event=block|insn,first=ADDRESS,last=ADDRESS
 */
#include <glib.h>
#include <inttypes.h>
#include <qemu-plugin.h>
#include <stdlib.h>
#include <string.h>

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

static uint64_t first, last, rejected, accepted;
static bool instructions;

static void on_executed(unsigned int cpu_index, void *pc)
{
    (void)cpu_index;
    if ((uint64_t)(uintptr_t)pc < first || (uint64_t)(uintptr_t)pc > last) {
        rejected++;
    } else {
        accepted++;
    }
}

static void on_translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    if (!instructions) {
        qemu_plugin_register_vcpu_tb_exec_cb(tb, on_executed, QEMU_PLUGIN_CB_R_REGS,
                                             (void *)(uintptr_t)qemu_plugin_tb_vaddr(tb));
        return;
    }
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_executed, QEMU_PLUGIN_CB_R_REGS,
                                               (void *)(uintptr_t)qemu_plugin_insn_vaddr(insn));
    }
}

static void on_end(qemu_plugin_id_t id, void *unused)
{
    g_autofree char *text = g_strdup_printf("reference: rejected %" PRIu64 " accepted %" PRIu64 "\n", rejected, accepted);

    (void)id;
    (void)unused;
    qemu_plugin_outs(text);
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++) {
        g_auto(GStrv) option = g_strsplit(argv[i], "=", 2);

        if (strcmp(option[0], "event") == 0) {
            instructions = strcmp(option[1], "insn") == 0;
        } else if (strcmp(option[0], "first") == 0) {
            first = strtoull(option[1], NULL, 0);
        } else if (strcmp(option[0], "last") == 0) {
            last = strtoull(option[1], NULL, 0);
        }
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translated);
    qemu_plugin_register_atexit_cb(id, on_end, NULL);
    return 0;
}
