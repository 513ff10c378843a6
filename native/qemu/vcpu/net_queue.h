/*
 * Queues of frames, of which only net/queue.c knows how they are made.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef REBOX_NET_QUEUE_H
#define REBOX_NET_QUEUE_H

#include "net/queue.h"

/* Makes a queue with the frames of another one; qemu_del_net_queue() frees it. */
NetQueue *rebox_copy_net_queue(const NetQueue *queue);
/* Puts the frames of a copy in the place of those that a queue has. Nobody is told of the latter. */
void rebox_restore_net_queue(NetQueue *queue, const NetQueue *copy);

#endif
