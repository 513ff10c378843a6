/*
 * Events of the machine that no executed instruction is: TLB fills, key codes, network frames.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/machine.h"
#include "hw/net/ne2000.h"
#include "net/net.h"
#include "qemu/iov.h"

void rebox_hook_tlb_fill(CPUState *cpu, vaddr addr)
{
    if (unlikely(rebox_watched[REBOX_TLB_EXEC]) && rebox_on_vcpu_thread() && rebox_in_guest_code()) {
        rebox_listening->tlb_fill(rebox_listening->opaque, cpu->cpu_index, addr);
    }
}

void rebox_hook_keystroke(int keycode)
{
    if (unlikely(rebox_watched[REBOX_KEYSTROKE])) {
        rebox_listening->keystroke(rebox_listening->opaque, keycode);
    }
}

static bool is_card(const NetClientState *client)
{
    return client->info->type == NET_CLIENT_DRIVER_NIC;
}

/* The card's own memory, for the one model whose events carry it. */
static const NE2000State *find_ne2k(NetClientState *client)
{
    return strcmp(client->model, "ne2k_pci") == 0 ? qemu_get_nic_opaque(client) : NULL;
}

void rebox_hook_frame(NetClientState *sender, NetClientState *receiver, const uint8_t *bytes, size_t size)
{
    rebox_frame frame = { .bytes = bytes, .size = size };
    const NE2000State *ne2k;

    if (unlikely(rebox_watched[REBOX_NIC_SEND]) && is_card(sender)) {
        ne2k = find_ne2k(sender);
        frame.address = ne2k ? bytes - ne2k->mem : 0;
        rebox_listening->frame_sent(rebox_listening->opaque, &frame);
    }
    if (unlikely(rebox_watched[REBOX_NIC_REC]) && is_card(receiver)) {
        ne2k = find_ne2k(receiver);
        if (ne2k) {
            frame.current = ne2k->curpag << 8;
            frame.start = ne2k->start;
            frame.stop = ne2k->stop;
        }
        rebox_listening->frame_received(rebox_listening->opaque, &frame);
    }
}

void rebox_hook_frame_iov(NetClientState *sender, NetClientState *receiver, const struct iovec *iov, int iov_count)
{
    g_autofree uint8_t *bytes = NULL;
    size_t size;

    if (likely(!rebox_watched[REBOX_NIC_SEND] && !rebox_watched[REBOX_NIC_REC])) {
        return;
    }
    size = iov_size(iov, iov_count);
    bytes = g_malloc(size);
    iov_to_buf(iov, iov_count, 0, bytes, size);
    rebox_hook_frame(sender, receiver, bytes, size);
}
