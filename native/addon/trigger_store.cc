#include "trigger_store.h"

#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

#include "triggers.h"

using Kind = TriggerVariable::Kind;

// By handle - 1, with a gap where a trigger was removed.
static std::vector<std::unique_ptr<TriggerStore>> stores;

TriggerStore* FindTriggerStore(callback_handle_t handle) {
  return handle - 1 < stores.size() ? stores[handle - 1].get() : nullptr;
}

callback_handle_t NewTriggerStore(Trigger* trigger) {
  size_t index = 0;
  while (index < stores.size() && stores[index]) {
    index++;
  }
  if (index == stores.size()) {
    stores.emplace_back();
  }
  stores[index] = std::make_unique<TriggerStore>();
  stores[index]->trigger = trigger;
  return index + 1;
}

TriggerVariable* FindTriggerVariable(TriggerStore* store, const char* key) {
  if (store && key) {
    for (TriggerVariable& variable : store->variables) {
      if (strcmp(variable.key.c_str(), key) == 0) {
        return &variable;
      }
    }
  }
  return nullptr;
}

void EraseTriggerStore(callback_handle_t handle) {
  erase_trigger_vars(handle);
  stores[handle - 1].reset();
}

namespace {

// Takes value, which comes from malloc().
void SetVariable(callback_handle_t handle, const char* key, Kind kind, void* value, size_t size) {
  TriggerStore* store = FindTriggerStore(handle);
  TriggerVariable* variable = FindTriggerVariable(store, key);
  if (!store || !key) {
    return;
  }
  if (!variable) {
    store->variables.push_back({key, kind, value, size});
    return;
  }
  if (variable->value != value) {
    free(variable->value);
  }
  variable->kind = kind;
  variable->value = value;
  variable->size = size;
}

// One byte more than asked for, a zero: a string's end, and an address for what has no bytes.
void* Copy(const void* bytes, size_t size) {
  char* copy = static_cast<char*>(malloc(size + 1));
  if (size) {
    memcpy(copy, bytes, size);
  }
  copy[size] = 0;
  return copy;
}

}  // namespace

// The functions that triggers call.
extern "C" {

void* get_var(callback_handle_t handle, const char* key_str) {
  TriggerVariable* variable = FindTriggerVariable(FindTriggerStore(handle), key_str);
  return variable ? variable->value : nullptr;
}

void set_var(callback_handle_t handle, const char* key_str, void* val) {
  SetVariable(handle, key_str, Kind::kPointer, val, 0);
}

void set_var_uint64(callback_handle_t handle, const char* key_str, uint64_t value) {
  TriggerVariable* variable = FindTriggerVariable(FindTriggerStore(handle), key_str);
  if (variable && variable->kind == Kind::kUint64) {
    // A counter is set at every event.
    memcpy(variable->value, &value, sizeof(value));
    return;
  }
  SetVariable(handle, key_str, Kind::kUint64, Copy(&value, sizeof(value)), sizeof(value));
}

void set_var_string(callback_handle_t handle, const char* key_str, const char* text) {
  size_t size = text ? strlen(text) : 0;
  SetVariable(handle, key_str, Kind::kString, Copy(text, size), size);
}

void set_var_bytes(callback_handle_t handle, const char* key_str, const void* bytes, size_t size) {
  SetVariable(handle, key_str, Kind::kBytes, Copy(bytes, size), size);
}

size_t get_var_size(callback_handle_t handle, const char* key_str) {
  TriggerVariable* variable = FindTriggerVariable(FindTriggerStore(handle), key_str);
  return variable ? variable->size : 0;
}

int get_var_uint64(callback_handle_t handle, const char* key_str, uint64_t* value) {
  TriggerVariable* variable = FindTriggerVariable(FindTriggerStore(handle), key_str);
  if (!variable || variable->kind != Kind::kUint64) {
    return 0;
  }
  memcpy(value, variable->value, sizeof(*value));
  return 1;
}

const char* get_var_string(callback_handle_t handle, const char* key_str) {
  TriggerVariable* variable = FindTriggerVariable(FindTriggerStore(handle), key_str);
  return variable && variable->kind == Kind::kString ? static_cast<const char*>(variable->value) : nullptr;
}

void delete_var(callback_handle_t handle, const char* key_str, int bool_free) {
  TriggerStore* store = FindTriggerStore(handle);
  TriggerVariable* variable = FindTriggerVariable(store, key_str);
  if (variable) {
    if (bool_free) {
      free(variable->value);
    }
    store->variables.erase(store->variables.begin() + (variable - store->variables.data()));
  }
}

void erase_trigger_vars(callback_handle_t handle) {
  TriggerStore* store = FindTriggerStore(handle);
  if (store) {
    for (TriggerVariable& variable : store->variables) {
      free(variable.value);
    }
    store->variables.clear();
  }
}

void declare_function(callback_handle_t handle, const char* function_name, function_t function) {
  TriggerStore* store = FindTriggerStore(handle);
  if (store && function_name && function) {
    store->functions[function_name] = function;
  }
}

void call_function(callback_handle_t handle, const char* function_name) {
  TriggerStore* store = FindTriggerStore(handle);
  if (store && function_name) {
    store->trigger->CallFromTrigger(function_name);
  }
}

}  // extern "C"
