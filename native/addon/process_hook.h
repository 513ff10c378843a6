// Hooks in a Linux kernel where processes begin and end, as far as they can be decided without JavaScript: a call into
// JavaScript between two turns of the guest takes 20 us, because nothing of it is in the processor's caches any more.
#pragma once

#include <napi.h>

#include <cstdint>
#include <string>
#include <vector>

#include "script_calls.h"

// The places of a task's members in the kernel's memory. TypeScript knows the kernel, and gives them.
struct TaskLayout {
  // In task_struct.
  uint32_t flags, mm, tid, tgid, name;
  // In mm_struct.
  uint32_t users, pgd;
  // In bytes.
  uint32_t pointer_size;
  // Of the pointer to the current task, from the base of the vCPU's own data; 0 when it is not known.
  uint64_t current;
};

class ProcessHook {
 public:
  // In the order of ProcessPlace in src/engine/native.ts.
  enum class Place {
    // The first argument is a new task.
    kNewTask,
    // The first argument is a task that leaves its memory, which is the second.
    kLeave,
    // The current task has just been given new memory and a new name.
    kNewProgram,
  };

  ProcessHook(Place place, const TaskLayout& layout, const Napi::Value& on_unwatched);
  ~ProcessHook();

  // Raises what there is to raise. False when it cannot be decided here: nothing has been done then.
  bool Handle(int cpu_index);

 private:
  struct Task {
    uint64_t mm = 0, pgd = 0;
    uint32_t flags = 0, users = 0;
    int32_t tid = 0, tgid = 0;
    std::string name;

    bool is_user() const;
  };

  bool Read(int cpu_index, uint64_t address, void* to, size_t size) const;
  bool ReadPointer(int cpu_index, uint64_t address, uint64_t* value) const;
  bool ReadTask(int cpu_index, uint64_t address, Task* task) const;

  bool HandleNewTask(int cpu_index);
  bool HandleLeave(int cpu_index);
  bool HandleNewProgram(int cpu_index);
  void Begin(const Task& task);
  void Raise(int kind, const struct ToldProcess& process);

  // In QEMU's own memory.
  struct Registers {
    // Arguments, and where the vCPU's own data begins.
    const uint64_t *first, *second, *base;
  };

  uint64_t ToWidth(uint64_t value) const { return layout_.pointer_size == 8 ? value : static_cast<uint32_t>(value); }

  Place place_;
  TaskLayout layout_;
  // By vCPU.
  std::vector<Registers> registers_;
  // (kind): a raised event has used up its last listener.
  Callable on_unwatched_;
};

Napi::Object InitProcessHook(Napi::Env env, Napi::Object exports);
