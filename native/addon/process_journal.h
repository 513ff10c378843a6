// Notes which processes begin, execute programs and end, of the whole system, without a call into JavaScript: the
// system's are many, and nobody waits for them. TypeScript takes the notes now and then.
#pragma once

#include <napi.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "guest_set.h"

// The places of what is noted, in the kernel's memory. TypeScript knows the kernel, and gives them.
struct JournalLayout {
  // In task_struct.
  uint32_t flags, mm, tid, tgid, name, parent, leader, signal;
  // In signal_struct: the number of threads that live.
  uint32_t live;
  // In mm_struct: where the words of the command line begin and end.
  uint32_t words, words_end;
  // In linux_binprm, which is the first argument at kProgram: the path of what is executed.
  uint32_t path;
  // In bytes.
  uint32_t pointer_size;
  // Of the pointer to the current task, from the base of the vCPU's own data.
  uint64_t current;
};

class ProcessJournal {
 public:
  // In the order of JournalPlace in src/machine/engine/native.ts.
  enum class Place {
    // The first argument is a new task.
    kBegin,
    // The program of the current task is complete.
    kProgram,
    // The current task begins to end.
    kEnd,
  };

  // The tasks in the sets are told of by somebody else.
  ProcessJournal(Place place, const JournalLayout& layout, std::shared_ptr<GuestSet> told,
                 std::shared_ptr<GuestSet> also_told);

  void Note(int cpu_index) const;

 private:
  bool Read(int cpu_index, uint64_t address, void* to, size_t size) const;
  // Zero where nothing can be read.
  uint64_t Pointer(int cpu_index, uint64_t address) const;
  int32_t Number(int cpu_index, uint64_t address) const;
  std::string Text(int cpu_index, uint64_t address, size_t longest) const;
  std::string Words(int cpu_index, uint64_t mm) const;
  bool IsLast(int cpu_index, uint64_t task) const;
  uint64_t Width(uint64_t value) const { return layout_.pointer_size == 8 ? value : static_cast<uint32_t>(value); }

  // In QEMU's own memory: the first argument, and where the vCPU's own data begins.
  struct Registers {
    const uint64_t *argument, *base;
  };

  Place place_;
  JournalLayout layout_;
  // By vCPU.
  std::vector<Registers> registers_;
  std::shared_ptr<GuestSet> told_, also_told_;
};

Napi::Object InitProcessJournal(Napi::Env env, Napi::Object exports);
