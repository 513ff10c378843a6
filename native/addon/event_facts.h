// An event as filters and streams see it, the same for all types.
#pragma once

#include <cstdint>

struct EventFacts {
  int cpu_index = 0;
  uint64_t pc = 0;
  uint64_t pgd = 0;
  // Of memory events, and the page of a TLB fill; for blocks and instructions the same as pc.
  uint64_t address = 0;
  uint64_t physical = 0;
  uint32_t size = 0;
  uint64_t data = 0;
  // Instructions of a block, 1 for an instruction, 0 otherwise.
  uint32_t icount = 0;
  bool is_kernel = false;
};
