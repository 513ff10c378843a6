/*
 * Events of the machine that no executed instruction is: TLB fills, key codes, network frames.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/events/events.h"
#include "rebox/events/code_watches.h"
#include "rebox/events/stale_code.h"
#include "rebox/vcpu/vcpu.h"
#include "hw/net/ne2000.h"
#include "net/filter.h"
#include "net/net.h"
#include "qemu/iov.h"

void rebox_hook_tlb_fill(CPUState *cpu, vaddr addr, int mmu_idx)
{
    /* QEMU walks page tables through TLBs of physical addresses; the guest has none of these. */
    if (mmu_idx == MMU_PHYS_IDX || mmu_idx == MMU_NESTED_IDX) {
        return;
    }
    rebox_code_page_filled(cpu, mmu_idx, addr);
    rebox_watched_page_filled(cpu, mmu_idx, addr);
    if (unlikely(rebox_watched[REBOX_TLB_EXEC]) && rebox_on_vcpu_thread() && rebox_in_guest_code()) {
        rebox_listening->tlb_fill(rebox_listening->opaque, cpu->cpu_index, addr);
        if (rebox_take_disturbance() != REBOX_UNDISTURBED) {
            /* In the middle of an instruction: what the listener changed holds from the next block. */
            cpu_exit(cpu);
        }
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

/* Returns the place of the frame in the memory of the card; 0 for one that QEMU made up, after loading a snapshot for example. */
static uint64_t ne2k_address(const NE2000State *ne2k, const uint8_t *bytes)
{
    return bytes >= ne2k->mem && bytes < ne2k->mem + sizeof(ne2k->mem) ? bytes - ne2k->mem : 0;
}

/* A virtio header may be in front of the frame, when both sides have agreed on one: the backend knows its size. */
static size_t header_size(NetClientState *sender, NetClientState *receiver, unsigned flags, size_t size)
{
    NetClientState *backend = is_card(sender) ? receiver : sender;

    return flags & QEMU_NET_PACKET_FLAG_RAW ? 0 : MIN(size, (size_t)qemu_get_vnet_hdr_len(backend));
}

static void tell_frame(NetClientState *sender, NetClientState *receiver, unsigned flags, const uint8_t *bytes,
                       size_t size, bool is_sent)
{
    rebox_frame frame;
    const NE2000State *ne2k;
    size_t header;

    if (likely(!rebox_watched[REBOX_NIC_SEND] && !rebox_watched[REBOX_NIC_REC])) {
        return;
    }
    header = header_size(sender, receiver, flags, size);
    frame = (rebox_frame){ .bytes = bytes + header, .size = size - header };

    if (rebox_watched[REBOX_NIC_SEND] && is_card(sender) && is_sent) {
        ne2k = find_ne2k(sender);
        frame.address = ne2k ? ne2k_address(ne2k, bytes) : 0;
        rebox_listening->frame_sent(rebox_listening->opaque, &frame);
    }
    /* The card of a recorded machine gets it where the log has it, and not when the network sends it. */
    if (rebox_watched[REBOX_NIC_REC] && is_card(receiver) && !(is_sent && rebox_is_recorded())) {
        ne2k = find_ne2k(receiver);
        if (ne2k) {
            frame.current = ne2k->curpag << 8;
            frame.start = ne2k->start;
            frame.stop = ne2k->stop;
        }
        rebox_listening->frame_received(rebox_listening->opaque, &frame);
    }
}

void rebox_hook_frame(NetClientState *sender, NetClientState *receiver, unsigned flags, const uint8_t *bytes,
                      size_t size)
{
    tell_frame(sender, receiver, flags, bytes, size, true);
}

static void tell_vector(NetClientState *sender, NetClientState *receiver, unsigned flags, const struct iovec *iov,
                        int iov_count, bool is_sent)
{
    g_autofree uint8_t *bytes = NULL;
    size_t size;

    if (likely(!rebox_watched[REBOX_NIC_SEND] && !rebox_watched[REBOX_NIC_REC])) {
        return;
    }
    size = iov_size(iov, iov_count);
    bytes = g_malloc(size);
    iov_to_buf(iov, iov_count, 0, bytes, size);
    tell_frame(sender, receiver, flags, bytes, size, is_sent);
}

void rebox_hook_frame_iov(NetClientState *sender, NetClientState *receiver, const struct iovec *iov, int iov_count)
{
    tell_vector(sender, receiver, QEMU_NET_PACKET_FLAG_NONE, iov, iov_count, true);
}

/*
 * The recorder's filter holds frames of the network back until they are in the log, and lets them pass here; so does a
 * replay.
 */
ssize_t __real_qemu_netfilter_pass_to_next(NetClientState *sender, unsigned flags, const struct iovec *iov,
                                           int iov_count, void *filter);
ssize_t __wrap_qemu_netfilter_pass_to_next(NetClientState *sender, unsigned flags, const struct iovec *iov,
                                           int iov_count, void *filter);
ssize_t __wrap_qemu_netfilter_pass_to_next(NetClientState *sender, unsigned flags, const struct iovec *iov,
                                           int iov_count, void *filter)
{
    if (rebox_is_recorded() && sender && sender->peer) {
        tell_vector(sender, sender->peer, flags, iov, iov_count, false);
    }
    return __real_qemu_netfilter_pass_to_next(sender, flags, iov, iov_count, filter);
}
