// Triggers: shared objects of the user that decide, before any JavaScript runs, whether a callback is called.
#pragma once

#include <napi.h>

#include <cstddef>
#include <string>

#include "rebox_trigger.h"

// callback_params_t in words; those that a type does not have are anything.
struct TriggerParams {
  uint64_t words[6];
};
static_assert(sizeof(callback_params_t) == sizeof(TriggerParams), "the words of Trigger::Passes()");

// A trigger that is attached to one callback. Its shared object is loaded for it alone.
class Trigger {
 public:
  // Called when the function trigger() has thrown, with a sentence about it. May unload the trigger.
  using ThrownHandler = void (*)(Trigger* trigger, uint32_t listener_id, const std::string& what);

  // Loads path, which no other loaded object may come from: the same file is loaded once for all. Returns nullptr,
  // and the reason in error.
  static Trigger* Load(const std::string& path, callback_type_t type, uint32_t listener_id, ThrownHandler on_thrown,
                       std::string* error);

  // Calls clean() and unloads; a trigger that is at work right now is unloaded when it returns. The pointer is void
  // after this.
  static void Unload(Trigger* trigger);

  // kGone: what it did has removed it, and it let nothing pass.
  enum class Verdict { kRejects, kPasses, kGone };

  template <typename MakeParams>
  inline bool Passes(MakeParams make_params) {
    return Judge(make_params) == Verdict::kPasses;
  }

  template <typename MakeParams>
  inline Verdict Judge(MakeParams make_params) {
    const TriggerParams p = make_params();
    int decision = 0;
    depth_++;
    try {
      decision =
          trigger_(handle_, 0, 0, 0, 0, 0, p.words[0], p.words[1], p.words[2], p.words[3], p.words[4], p.words[5]);
    } catch (...) {
      OnThrown();
    }
    depth_--;
    if (__builtin_expect(doomed_, 0)) {
      EndIfIdle();
      return Verdict::kGone;
    }
    return decision ? Verdict::kPasses : Verdict::kRejects;
  }

  // Whether it is asked only about monitored processes.
  bool is_of_monitored() const { return is_of_monitored_; }
  // How often it wants to be asked about a block.
  rebox_telling telling() const { return telling_; }
  void set_telling(rebox_telling telling) { telling_ = telling; }
  // nullptr when it has none.
  rebox_access_sieve sieve() const { return sieve_; }
  callback_handle_t handle() const { return handle_; }
  uint32_t listener_id() const { return listener_id_; }
  // Calls a declared function; returns false, and the reason, when there is none of this name or it has thrown.
  bool Call(const std::string& name, std::string* error);
  // The same for a trigger, which may catch what is thrown.
  void CallFromTrigger(const std::string& name);

 private:
  Trigger() = default;
  void Run(function_t function);
  void EndIfIdle();
  // Within a catch: has it reported, and the trigger removed.
  void OnThrown();

  callback_handle_t handle_ = 0;
  uint32_t listener_id_ = 0;
  ThrownHandler on_thrown_ = nullptr;
  // A large structure is passed on the stack, and so are integers from the seventh on (System V ABI for x86-64, 3.2.3):
  // this is trigger(handle, params) with params in words. A structure would be copied there as soon as it was written,
  // which takes longer than everything else here.
  int (*trigger_)(callback_handle_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                  uint64_t, uint64_t, uint64_t) = nullptr;
  void (*clean_)(callback_handle_t) = nullptr;
  rebox_access_sieve sieve_ = nullptr;
  void* library_ = nullptr;
  bool is_of_monitored_ = false;
  rebox_telling telling_ = REBOX_TELL_ALWAYS;
  int depth_ = 0;
  bool doomed_ = false;
};

// The name of a type in messages.
const char* TriggerTypeName(int type);

// The vCPUs as triggers know them, by index; set once a trigger was loaded.
extern qemu_cpu_opaque_t* opaque_cpus;

inline uint64_t ToWord(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer); }
inline uint64_t CpuWord(int cpu_index) { return ToWord(opaque_cpus[cpu_index]); }
inline uint64_t IndexWord(int cpu_index) { return static_cast<uint32_t>(cpu_index); }

inline TriggerParams BlockBeginParams(int cpu_index, rebox_block* block) {
  return {{IndexWord(cpu_index), CpuWord(cpu_index), ToWord(block)}};
}

inline TriggerParams BlockEndParams(int cpu_index, rebox_block* block, uint64_t cur_pc, uint64_t next_pc) {
  return {{IndexWord(cpu_index), CpuWord(cpu_index), ToWord(block), cur_pc, next_pc}};
}

// Begin and end have the same members.
inline TriggerParams InsnParams(int cpu_index) { return {{IndexWord(cpu_index), CpuWord(cpu_index)}}; }

// Read and write have the same members.
inline TriggerParams AccessParams(int cpu_index, const rebox_access* access) {
  return {{IndexWord(cpu_index), access->vaddr, access->paddr, access->size, CpuWord(cpu_index), access->data[0]}};
}

inline TriggerParams OpcodeParams(int cpu_index, uint16_t opcode, uint64_t pc, uint64_t next_pc) {
  uint64_t last = opcode | static_cast<uint64_t>(rebox_reported.insn_size) << 16;
  return {{IndexWord(cpu_index), CpuWord(cpu_index), pc, next_pc, last}};
}

inline TriggerParams TlbParams(int cpu_index, uint64_t vaddr) { return {{CpuWord(cpu_index), vaddr}}; }

inline TriggerParams CpuidParams(int cpu_index, uint32_t leaf, uint32_t subleaf) {
  return {{static_cast<uint64_t>(cpu_index), CpuWord(cpu_index), leaf, subleaf}};
}

inline TriggerParams ContextParams(uint64_t old_pgd, uint64_t new_pgd) { return {{old_pgd, new_pgd}}; }

static_assert(offsetof(block_end_params_t, tb) == 16 && offsetof(block_end_params_t, next_pc) == 32 &&
                  offsetof(mem_write_params_t, haddr) == 16 && offsetof(mem_write_params_t, data) == 40 &&
                  offsetof(opcode_range_params_t, opcode) == 32 && offsetof(opcode_range_params_t, insn_size) == 34 &&
                  offsetof(vmi_create_proc_params_t, name) == 16 && offsetof(vmi_load_module_params_t, base) == 16 &&
                  offsetof(vmi_load_module_params_t, fullname) == 40 && offsetof(vmi_exec_params_t, envp) == 40,
              "the words are the members");

Napi::Object InitTriggers(Napi::Env env, Napi::Object exports);
