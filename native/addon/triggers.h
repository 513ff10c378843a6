// Triggers: shared objects of the user that decide, before any JavaScript runs, whether a callback is called.
#pragma once

#include <napi.h>

#include <string>

#include "rebox_trigger.h"

// A trigger that is attached to one callback. Its shared object is loaded for it alone.
class Trigger {
 public:
  // Loads path, which no other loaded object may come from: the same file is loaded once for all. Returns nullptr,
  // and the reason in error.
  static Trigger* Load(const std::string& path, callback_type_t type, std::string* error);

  // Calls clean() and unloads; a trigger that is at work right now is unloaded when it returns. The pointer is void
  // after this.
  static void Unload(Trigger* trigger);

  inline bool Passes(const callback_params_t& params) {
    depth_++;
    int decision = trigger_(handle_, params);
    depth_--;
    if (__builtin_expect(doomed_, 0)) {
      EndIfIdle();
      return false;
    }
    return decision != 0;
  }

  callback_handle_t handle() const { return handle_; }
  // Calls a declared function; returns false, and which ones there are, when it is not.
  bool Call(const std::string& name, std::string* declared);

 private:
  Trigger() = default;
  void EndIfIdle();

  callback_handle_t handle_ = 0;
  int (*trigger_)(callback_handle_t, callback_params_t) = nullptr;
  void (*clean_)(callback_handle_t) = nullptr;
  void* library_ = nullptr;
  int depth_ = 0;
  bool doomed_ = false;
};

// The name of a type in messages.
const char* TriggerTypeName(int type);

// What a vCPU is for a trigger; cheap.
qemu_cpu_opaque_t OpaqueCpu(int cpu_index);

inline callback_params_t BlockBeginParams(int cpu_index, rebox_block* block) {
  callback_params_t params;
  params.block_begin_params = {cpu_index, OpaqueCpu(cpu_index), block};
  return params;
}

inline callback_params_t BlockEndParams(int cpu_index, rebox_block* block, uint64_t cur_pc, uint64_t next_pc) {
  callback_params_t params;
  params.block_end_params = {cpu_index, OpaqueCpu(cpu_index), block, cur_pc, next_pc};
  return params;
}

// Begin and end have the same members.
inline callback_params_t InsnParams(int cpu_index) {
  callback_params_t params;
  params.insn_begin_params = {cpu_index, OpaqueCpu(cpu_index)};
  return params;
}

// Read and write have the same members.
inline callback_params_t AccessParams(int cpu_index, const rebox_access* access) {
  callback_params_t params;
  params.mem_write_params = {cpu_index,    access->vaddr,        {access->paddr},
                             access->size, OpaqueCpu(cpu_index), access->data[0]};
  return params;
}

inline callback_params_t OpcodeParams(int cpu_index, uint16_t opcode, uint64_t pc, uint64_t next_pc) {
  callback_params_t params;
  params.opcode_range_params = {cpu_index, OpaqueCpu(cpu_index), pc, next_pc, opcode, rebox_event_insn_size()};
  return params;
}

inline callback_params_t TlbParams(int cpu_index, uint64_t vaddr) {
  callback_params_t params;
  params.tlb_exec_params = {OpaqueCpu(cpu_index), vaddr};
  return params;
}

inline callback_params_t ContextParams(uint64_t old_pgd, uint64_t new_pgd) {
  callback_params_t params;
  params.vmi_context_change_params = {old_pgd, new_pgd};
  return params;
}

Napi::Object InitTriggers(Napi::Env env, Napi::Object exports);
