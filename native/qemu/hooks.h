/*
 * What the patches in qemu-patches/ call. Nothing else of native/qemu is visible to QEMU's own files.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef REBOX_HOOKS_H
#define REBOX_HOOKS_H

struct AccelOpsClass;
struct CPUArchState;
struct Error;

/* Puts the vCPUs on the thread that called rebox_engine_start() (vcpu.c). */
void rebox_hook_accel_ops(struct AccelOpsClass *ops);

/* Returns false, with an error for the user when errp is not NULL: the vCPUs share one thread (vcpu.c). */
bool rebox_hook_mttcg(struct Error **errp);

/* Reports that env->cr[3] was written (address_space.c). */
void rebox_hook_cr3(struct CPUArchState *env);

#endif
