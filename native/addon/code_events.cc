#include "code_events.h"

#include "call_journal.h"
#include "dispatch.h"
#include "process_hook.h"
#include "process_journal.h"
#include "set_remover.h"

namespace {

inline EventFacts FactsOfCode(int cpu_index) {
  EventFacts facts;
  facts.cpu_index = cpu_index;
  facts.pc = facts.address = *script_objects.pcs[cpu_index];
  facts.pgd = script_objects.pgds[cpu_index];
  facts.icount = 1;
  return facts;
}

inline EventFacts FactsOfBlock(int cpu_index, const rebox_block* block) {
  EventFacts facts = FactsOfCode(cpu_index);
  facts.pc = facts.address = block->pc;
  facts.size = block->size;
  facts.icount = block->icount;
  return facts;
}

inline EventFacts FactsOfAccess(int cpu_index, const rebox_access* access) {
  EventFacts facts = FactsOfCode(cpu_index);
  facts.address = access->vaddr;
  facts.physical = access->paddr;
  facts.size = access->size;
  facts.data = access->data[0];
  facts.icount = 0;
  return facts;
}

// The stream that is all that listens to kind, when it is. A vCPU that came later is not known to it, and an event may
// have been given to it already.
inline Stream* DirectStream(int kind, int cpu_index) {
  Stream* stream = subscriptions.direct[kind];
  bool is_new = stream && stream->Knows(cpu_index) && !rebox_reported.subscribed_after;
  return is_new && !IsTravelling() ? stream : nullptr;
}

// A full stream that is all that listens to kind.
__attribute__((noinline)) void HandOverDirect(int kind, int cpu_index) {
  subscriptions.by_kind[kind].Each([&](Listener& listener) {
    if (CanDeliver(cpu_index)) {
      HandOver(listener);
    } else {
      // The process ends.
      listener.stream->Clear();
    }
  });
}

// Asks the trigger of the listener that is all that listens to kind: most events that a trigger sees end here.
template <typename MakeParams>
inline bool IsRejectedAlone(int kind, int cpu_index, MakeParams make_params) {
  Listener* only = subscriptions.triggered[kind];
  if (!only || rebox_reported.subscribed_after || IsTravelling() || !CanDeliver(cpu_index)) {
    return false;
  }
  bool is_measured = only->native_time.Turn();
  uint64_t began = is_measured ? ReadTicks() : 0;
  Trigger::Verdict verdict = only->trigger->Judge(make_params);
  if (__builtin_expect(verdict == Trigger::Verdict::kGone, 0)) {
    // The callback may be gone with it.
    return true;
  }
  if (is_measured) {
    only->native_time.Measured(ReadTicks() - began);
  }
  if (verdict == Trigger::Verdict::kRejects) {
    // Counts where the trigger has asked to hear of a block once.
    rebox_reported.is_known = true;
    return true;
  }
  only->has_passed = true;
  return false;
}

// Apart from its callers, which return before they need many registers.
__attribute__((noinline)) void FireBlockBegin(int cpu_index, rebox_block* block) {
  FireAll(
      REBOX_BLOCK_BEGIN, cpu_index, [&] { return FactsOfBlock(cpu_index, block); },
      [&](napi_value* arguments) {
        arguments[0] = script_objects.CpuNumber(cpu_index);
        arguments[1] = script_objects.CpuObject(cpu_index);
        arguments[2] = script_objects.BlockObject(block);
        return 3;
      },
      [&] { return BlockBeginParams(cpu_index, block); });
}

// While all that listens is one callback with a trigger.
__attribute__((aligned(64))) void OnBlockBeginTriggered(void*, int cpu_index, rebox_block* block) {
  if (!IsRejectedAlone(REBOX_BLOCK_BEGIN, cpu_index, [&] { return BlockBeginParams(cpu_index, block); })) {
    FireBlockBegin(cpu_index, block);
  }
}

void OnBlockBegin(void*, int cpu_index, rebox_block* block) {
  if (Stream* stream = DirectStream(REBOX_BLOCK_BEGIN, cpu_index)) {
    if (!stream->AppendBlock(cpu_index, *block)) {
      HandOverDirect(REBOX_BLOCK_BEGIN, cpu_index);
    }
    return;
  }
  FireBlockBegin(cpu_index, block);
}

void OnBlockEnd(void*, int cpu_index, rebox_block* block, uint64_t cur_pc, uint64_t next_pc) {
  if (IsRejectedAlone(REBOX_BLOCK_END, cpu_index, [&] { return BlockEndParams(cpu_index, block, cur_pc, next_pc); })) {
    return;
  }
  FireAll(
      REBOX_BLOCK_END, cpu_index, [&] { return FactsOfBlock(cpu_index, block); },
      [&](napi_value* arguments) {
        arguments[0] = script_objects.CpuNumber(cpu_index);
        arguments[1] = script_objects.CpuObject(cpu_index);
        arguments[2] = script_objects.BlockObject(block);
        arguments[3] = script_objects.BigInt(cur_pc);
        arguments[4] = script_objects.BigInt(next_pc);
        return 5;
      },
      [&] { return BlockEndParams(cpu_index, block, cur_pc, next_pc); });
}

void FireInsn(int kind, int cpu_index) {
  FireAll(
      kind, cpu_index, [&] { return FactsOfCode(cpu_index); },
      [&](napi_value* arguments) {
        arguments[0] = script_objects.CpuNumber(cpu_index);
        arguments[1] = script_objects.CpuObject(cpu_index);
        return 2;
      },
      [&] { return InsnParams(cpu_index); });
}

void OnInsnBegin(void*, int cpu_index) {
  if (Stream* stream = DirectStream(REBOX_INSN_BEGIN, cpu_index)) {
    if (!stream->AppendInsn(cpu_index)) {
      HandOverDirect(REBOX_INSN_BEGIN, cpu_index);
    }
    return;
  }
  FireInsn(REBOX_INSN_BEGIN, cpu_index);
}

void OnInsnEnd(void*, int cpu_index) { FireInsn(REBOX_INSN_END, cpu_index); }

void OnAccess(void*, int cpu_index, bool is_write, const rebox_access* access) {
  int kind = is_write ? REBOX_MEM_WRITE : REBOX_MEM_READ;
  if (Stream* stream = DirectStream(kind, cpu_index)) {
    if (!stream->AppendAccess(cpu_index, *access)) {
      HandOverDirect(kind, cpu_index);
    }
    return;
  }
  FireAll(
      kind, cpu_index, [&] { return FactsOfAccess(cpu_index, access); },
      [&](napi_value* arguments) {
        arguments[0] = script_objects.CpuNumber(cpu_index);
        arguments[1] = script_objects.BigInt(access->vaddr);
        arguments[2] = script_objects.Number(access->size);
        arguments[3] = script_objects.BigInt(access->paddr);
        if (!is_write) {
          return 4;
        }
        napi_create_bigint_words(script_objects.env, 0, access->size > 8 ? 2 : 1, access->data, &arguments[4]);
        return 5;
      },
      [&] { return AccessParams(cpu_index, access); });
}

void OnOpcode(void*, int cpu_index, uint16_t opcode, uint64_t pc, uint64_t next_pc) {
  if (!CanDeliver(cpu_index)) {
    return;
  }
  bool is_for_all = IsForAll(REBOX_OPCODE_RANGE);
  // A callback may cause other events, and rebox_reported is then about those.
  uint8_t insn_size = rebox_reported.insn_size;
  subscriptions.by_kind[REBOX_OPCODE_RANGE].Each([&](Listener& listener) {
    if (opcode < listener.first_opcode || opcode > listener.last_opcode || HasSeen(listener) || IsMuted(listener)) {
      return;
    }
    auto make_facts = [&] {
      EventFacts facts = FactsOfCode(cpu_index);
      facts.pc = facts.address = pc;
      facts.data = opcode;
      return facts;
    };
    if (!IsForScript(listener, is_for_all, make_facts, [&] { return OpcodeParams(cpu_index, opcode, pc, next_pc); })) {
      return;
    }
    State().calls.PrepareScope();
    napi_value arguments[5] = {script_objects.CpuNumber(cpu_index), script_objects.CpuObject(cpu_index),
                               script_objects.BigInt(pc), script_objects.BigInt(next_pc),
                               script_objects.Number(insn_size)};
    Fire(listener, 5, arguments);
  });
}

void OnHooked(void*, int cpu_index, rebox_block* block, uint32_t hook) {
  auto found = subscriptions.by_hook.find(hook);
  if (found == subscriptions.by_hook.end() || !CanDeliver(cpu_index) || IsMuted(*found->second)) {
    return;
  }
  subscriptions.hooked.One(*found->second, [&](Listener& listener) {
    if (!IsForScript(
            listener, true, [&] { return block ? FactsOfBlock(cpu_index, block) : FactsOfCode(cpu_index); },
            [&] { return block ? BlockBeginParams(cpu_index, block) : InsnParams(cpu_index); })) {
      return;
    }
    if (listener.process_journal) {
      listener.process_journal->Note(cpu_index);
      listener.filtered++;
      return;
    }
    if (listener.set_remover) {
      listener.set_remover->Remove(cpu_index);
      listener.filtered++;
      return;
    }
    if (listener.call_entry && !listener.call_entry->Note(cpu_index)) {
      listener.filtered++;
      return;
    }
    if (listener.process_hook && listener.process_hook->Handle(cpu_index)) {
      listener.filtered++;
      return;
    }
    State().calls.PrepareScope();
    napi_value arguments[3] = {script_objects.CpuNumber(cpu_index), script_objects.CpuObject(cpu_index),
                               block ? script_objects.BlockObject(block) : nullptr};
    Fire(listener, block ? 3 : 2, arguments);
  });
}

void OnTlbFill(void*, int cpu_index, uint64_t vaddr) {
  FireAll(
      REBOX_TLB_EXEC, cpu_index,
      [&] {
        EventFacts facts = FactsOfCode(cpu_index);
        facts.address = vaddr;
        facts.icount = 0;
        return facts;
      },
      [&](napi_value* arguments) {
        arguments[0] = script_objects.CpuObject(cpu_index);
        arguments[1] = script_objects.BigInt(vaddr);
        return 2;
      },
      [&] { return TlbParams(cpu_index, vaddr); });
}

void OnContextChange(void*, int cpu_index, uint64_t old_pgd, uint64_t new_pgd) {
  FireAll(
      REBOX_CONTEXT_CHANGE, cpu_index,
      [&] {
        EventFacts facts = FactsOfCode(cpu_index);
        // A stream has the address space that was left as data.
        facts.pgd = new_pgd;
        facts.data = old_pgd;
        facts.icount = 0;
        return facts;
      },
      [&](napi_value* arguments) {
        arguments[0] = script_objects.BigInt(old_pgd);
        arguments[1] = script_objects.BigInt(new_pgd);
        arguments[2] = script_objects.CpuNumber(cpu_index);
        return 3;
      },
      [&] { return ContextParams(old_pgd, new_pgd); });
}

void OnCpuid(void*, int cpu_index, uint32_t leaf, uint32_t subleaf) {
  FireAll(
      REBOX_CPUID, cpu_index,
      [&] {
        EventFacts facts = FactsOfCode(cpu_index);
        facts.data = leaf;
        facts.icount = 0;
        return facts;
      },
      [&](napi_value* arguments) {
        arguments[0] = script_objects.CpuNumber(cpu_index);
        arguments[1] = script_objects.CpuObject(cpu_index);
        arguments[2] = script_objects.Number(leaf);
        arguments[3] = script_objects.Number(subleaf);
        return 4;
      },
      [&] { return CpuidParams(cpu_index, leaf, subleaf); });
}

}  // namespace

static rebox_listener* listening;

void ChooseListeners() {
  if (listening) {
    listening->block_begin = subscriptions.triggered[REBOX_BLOCK_BEGIN] ? OnBlockBeginTriggered : OnBlockBegin;
  }
}

void ListenToCode(rebox_listener* listener) {
  listening = listener;
  listener->block_begin = OnBlockBegin;
  listener->block_end = OnBlockEnd;
  listener->insn_begin = OnInsnBegin;
  listener->insn_end = OnInsnEnd;
  listener->access = OnAccess;
  listener->opcode = OnOpcode;
  listener->hooked = OnHooked;
  listener->forget = [](void*, rebox_block* block) { script_objects.ForgetBlock(block); };
  listener->tlb_fill = OnTlbFill;
  listener->context_change = OnContextChange;
  listener->cpuid = OnCpuid;
}
