/*
 * The monitor's commands of rebox: elements of QEMU's table, included in the middle of it (qemu-patches/0011).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* clang-format off */
    {
        .name       = "import_module",
        .args_type  = "file:F",
        .params     = "file",
        .help       = "load a script: a file, or a name like scripts.my_script",
        .cmd        = hmp_import_module,
    },
    {
        .name       = "unload_module",
        .args_type  = "module:s",
        .params     = "handle|name",
        .help       = "unload a script and all that it has registered",
        .cmd        = hmp_unload_module,
        .command_completion = rebox_complete_module,
    },
    {
        .name       = "reload_module",
        .args_type  = "module:s",
        .params     = "handle|name",
        .help       = "exchange a script for the present version of its file",
        .cmd        = hmp_reload_module,
        .command_completion = rebox_complete_module,
    },
    {
        .name       = "list_modules",
        .args_type  = "",
        .params     = "",
        .help       = "list the loaded scripts, their handles and commands",
        .cmd        = hmp_list_modules,
    },
    {
        .name       = "custom",
        .args_type  = "name:s?,arguments:S?",
        .params     = "[name [arguments]]",
        .help       = "run a script's command; without a name, list the commands",
        .cmd        = hmp_custom,
        .command_completion = rebox_complete_custom,
    },
    {
        .name       = "sh",
        .args_type  = "command:S?",
        .params     = "[command]",
        .help       = "run one command of rebox's shell",
        .cmd        = hmp_sh,
    },
