/*
 * The content of disks in states of a replay: snapshots within the images that the guest's writes go into.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/vcpu/vcpu.h"
#include "rebox/vcpu/states.h"
#include "block/block.h"
#include "block/block_int.h"
#include "block/graph-lock.h"
#include "block/snapshot.h"
#include "qemu/cutils.h"

/* Finds the next image of a disk that the guest can write, behind one or from the first on. */
static BlockDriverState *next_image(BlockDriverState *image)
{
    while ((image = bdrv_next_node(image)) != NULL) {
        if (image->drv && !strcmp(image->drv->format_name, "qcow2") && !bdrv_is_read_only(image) &&
            g_str_has_suffix(bdrv_get_node_name(image), "-image")) {
            return image;
        }
    }
    return NULL;
}

bool rebox_is_disk_busy(void)
{
    for (BlockDriverState *node = bdrv_next_node(NULL); node; node = bdrv_next_node(node)) {
        if (qatomic_read(&node->in_flight)) {
            return true;
        }
    }
    return false;
}

bool rebox_keep_disks(rebox_disk_states *taken)
{
    static unsigned int number;
    QEMUSnapshotInfo info = { 0 };

    GRAPH_RDLOCK_GUARD_MAINLOOP();

    snprintf(info.name, sizeof(info.name), "rebox-%u", ++number);
    info.icount = -1ULL;
    for (BlockDriverState *image = next_image(NULL); image; image = next_image(image)) {
        pstrcpy(taken->name, sizeof(taken->name), info.name);
        if (bdrv_snapshot_create(image, &info) < 0) {
            return false;
        }
    }
    return true;
}

void rebox_forget_disks(const rebox_disk_states *gone)
{
    GRAPH_RDLOCK_GUARD_MAINLOOP();

    for (BlockDriverState *image = gone->name[0] ? next_image(NULL) : NULL; image; image = next_image(image)) {
        QEMUSnapshotInfo info;

        if (bdrv_snapshot_find(image, &info, gone->name) >= 0) {
            bdrv_snapshot_delete(image, info.id_str, info.name, NULL);
        }
    }
}

bool rebox_restore_disks(const rebox_disk_states *wanted, Error **errp)
{
    for (BlockDriverState *image = wanted->name[0] ? next_image(NULL) : NULL; image; image = next_image(image)) {
        if (bdrv_snapshot_goto(image, wanted->name, errp) < 0) {
            return false;
        }
    }
    return true;
}
