// The variables and functions of each trigger, by its handle.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "rebox_trigger.h"

class Trigger;

struct TriggerVariable {
  enum class Kind { kPointer, kUint64, kString, kBytes };

  std::string key;
  Kind kind;
  void* value;  // from malloc()
  size_t size;
};

// The state behind a handle. Few variables, read at every event: a linear search is the fastest.
struct TriggerStore {
  Trigger* trigger = nullptr;
  std::vector<TriggerVariable> variables;
  std::map<std::string, function_t> functions;
};

callback_handle_t NewTriggerStore(Trigger* trigger);
// nullptr when there is none.
TriggerStore* FindTriggerStore(callback_handle_t handle);
TriggerVariable* FindTriggerVariable(TriggerStore* store, const char* key);
// With its variables.
void EraseTriggerStore(callback_handle_t handle);
